import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { campaignSubscribers } from '../../../pipelines/crm/projections/campaign-subscribers.ts';
import { subscribersAggregate } from '../../../pipelines/crm/projections/campaigns/subscriber-fold.ts';
import { campaigns } from '../../../pipelines/crm/projections/campaigns.ts';
import type { Cell, Contribution, LegacyRow } from '../../../projectors/projection.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import { contribution, inTwoOrders } from './contributions.ts';
import { contactId, contributed, only, rejectsOf, tenants } from './mapped.ts';

const campaignId = '33333333-3333-4333-8333-333333333333';
const mapCampaign = (cells: LegacyRow) => campaigns.map({ id: campaignId, workspace_id: 'acme', ...cells }, tenants);
const mapSubscriber = (cells: LegacyRow) =>
  campaignSubscribers.map({ campaign_id: campaignId, contact_id: contactId, ...cells }, tenants);

describe('a campaign', () => {
  it('is copied, and tells the tenant of its subscribers', () => {
    const implied = mapCampaign({ name: ' Spring ', status: 'Paused', budget: '12.50', region: 'north' });
    expect(only(implied, 'campaigns')).toEqual({
      ...{ id: campaignId, tenant_id: 'acme', workspace_id: 'acme', name: ' Spring ', channel: null, status: 'Paused' },
      ...{ budget: '12.50', starts_at: null, ends_at: null, created_at: null, updated_at: null },
      source_metadata: '{"region": "north"}',
    });
    expect(implied.contributions).toEqual([
      { aggregate: 'campaign_subscribers', mergeKey: campaignId, data: { tenant_id: 'acme' } },
    ]);
    expect(contributed(mapCampaign({ workspace_id: ' ' }))).toEqual({ tenant_id: 'unassigned' });
  });

  it.each(['NaN', 'Infinity', '-Infinity'])('has no budget of %s', (budget) => {
    const implied = mapCampaign({ budget });
    expect(only(implied, 'campaigns').budget).toBeNull();
    expect(rejectsOf(implied)).toEqual([['budget', budget, 'not a finite number']]);
  });
});

describe('subscribers of a campaign', () => {
  const told = (tenantId: string, given: Partial<Contribution> = {}) =>
    contribution('campaigns', campaignId, contributed(mapCampaign({ workspace_id: tenantId })), given);
  const subscriber = (contact: string, cells: LegacyRow = {}, given: Partial<Contribution> = {}) =>
    contribution('campaign_subscribers', contact, contributed(mapSubscriber({ contact_id: contact, ...cells })), given);
  const fold = (...contributions: Contribution[]) =>
    subscribersAggregate.fold(campaignId, contributions).campaign_subscribers!;

  it('have the tenant of the campaign', () => {
    const [ann, teller] = [
      subscriber('ann', { status: 'active', subscribed_at: '2024-01-01 00:00:00+00' }),
      told('acme'),
    ];
    expect(fold(ann, teller)).toEqual([
      {
        row: {
          ...{ tenant_id: 'acme', campaign_id: campaignId },
          ...{ contact_id: 'ann', status: 'active', subscribed_at: '2024-01-01 00:00:00+00', source_metadata: null },
          id: uuid5(`subscriber:${campaignId}|ann`),
        },
        deletedAt: null,
        from: [ann, teller],
      },
    ]);
  });

  it('are nobody’s while there is no campaign, whatever was there', () => {
    expect(fold(subscriber('ann')).map(({ row }) => row.tenant_id)).toEqual(['unassigned']);
    expect(fold(subscriber('ann'), told('acme', { live: false })).map(({ row }) => row.tenant_id)).toEqual([
      'unassigned',
    ]);
  });

  it('are not there when they left', () => {
    expect(fold(subscriber('ann', {}, { live: false }), told('acme'))).toEqual([]);
    expect(fold(told('acme'))).toEqual([]);
  });

  it('keep what no rule names', () => {
    expect(fold(subscriber('ann', { source: 'fair' }))[0]!.row.source_metadata).toBe('{"source": "fair"}');
  });

  it('are the same in any order', () => {
    const data: fc.Arbitrary<Readonly<Record<string, Cell>>> = fc.oneof(
      fc.record({ tenant_id: fc.constantFrom('a', 'b') }),
      fc.record({ contact_id: fc.constantFrom('x', 'y', 'z'), status: fc.constantFrom(null, 's') }),
    );
    fc.assert(
      fc.property(inTwoOrders('any', data), ([left, right]) => {
        expect(fold(...left)).toEqual(fold(...right));
      }),
    );
  });
});
