import type { Aggregate, Contribution, FoldedRow } from '../../../../projectors/projection.ts';
import { copyOf } from '../../../../projectors/values/cell.ts';
import { uuid5 } from '../../../../projectors/values/uuid5.ts';
import { readTold, toldNeeds } from '../../values/told-tenant.ts';

/** Columns copied to a subscriber unchanged. */
export const copiedToSubscriber = ['campaign_id', 'contact_id', 'status', 'subscribed_at'];

/** Subscribers of a campaign, which alone determines their tenant. The merge key is the campaign's id. */
export const subscribersAggregate: Aggregate = {
  name: 'campaign_subscribers',
  targets: [
    {
      table: 'campaign_subscribers',
      columns: ['id', 'tenant_id', 'source_metadata', ...copiedToSubscriber],
      key: 'campaign_id',
    },
  ],
  needsHistory: false,
  fold: (mergeKey, contributions) => ({ campaign_subscribers: foldSubscribers(mergeKey, contributions) }),
  needs: toldNeeds,
};

/** Returns no row for a subscriber that is gone: rows that the fold leaves out are soft-deleted. */
function foldSubscribers(campaignId: string, contributions: readonly Contribution[]): FoldedRow[] {
  const { tenantId, tellers, told } = readTold(contributions);
  return told.map((subscriber) => {
    const { data } = subscriber;
    const row = {
      ...copyOf(data, ['source_metadata', ...copiedToSubscriber]),
      id: uuid5(`subscriber:${data.campaign_id ?? ''}|${data.contact_id ?? ''}`),
      tenant_id: tenantId,
      campaign_id: campaignId,
    };
    return { row, deletedAt: null, from: [subscriber, ...tellers] };
  });
}
