import { describe, expect, it } from 'vitest';
import { opportunities } from '../../../pipelines/crm/projections/opportunities.ts';
import type { LegacyRow } from '../../../projectors/projection.ts';
import { parseJson } from '../../../projectors/values/json.ts';
import { expectedUuid } from '../values/expected-uuid.ts';
import { contactId, only, rejectsOf, tenants } from './mapped.ts';

const id = '33333333-3333-4333-8333-333333333333';
const at = '2024-05-01 10:00:00.000001+00';
const own = { id, contact_id: contactId, workspace_id: 'acme', created_at: at };
const dataOf = (data: string | null | undefined) => Object.fromEntries(parseJson(data!) as Map<string, string>);

describe('opportunities → lead_activities', () => {
  const mapped = (cells: LegacyRow) => opportunities.map({ ...own, ...cells }, tenants);
  const activityOf = (cells: LegacyRow) => only(mapped(cells), 'lead_activities');

  it('an activity of the lead of its contact', () => {
    const { activity_data, ...activity } = activityOf({
      ...{ name: 'Gutters', stage: 'Proposal', amount: '1250.50', probability: '40.00', close_date: '2024-06-01' },
      updated_at: at,
    });
    expect(activity).toEqual({
      ...{ id: expectedUuid(`activity:opportunities:${id}`), tenant_id: 'acme' },
      ...{ lead_id: expectedUuid(`lead:contact:${contactId}`), activity_type: 'opportunity' },
      ...{ performed_by: null, performed_at: at, notes: null },
    });
    expect(dataOf(activity_data)).toEqual({
      ...{ opportunity_id: id, workspace_id: 'acme', name: 'Gutters', stage: 'Proposal', amount: '1250.50' },
      ...{ probability: '40.00', close_date: '2024-06-01', updated_at: at },
    });
  });

  it('keeps blanks, odd columns and one that is called like the id, and no null', () => {
    const { tenant_id, activity_data } = activityOf({
      ...{ workspace_id: ' ', name: '', stage: null, invented: 'x', opportunity_id: 'own' },
    });
    expect(tenant_id).toBe('unassigned');
    expect(dataOf(activity_data)).toEqual({ opportunity_id: 'own', workspace_id: ' ', name: '', invented: 'x' });
  });

  it('leaves a number out that is none, and rejects it', () => {
    const implied = mapped({ amount: 'NaN', probability: '-Infinity' });
    expect(dataOf(only(implied, 'lead_activities').activity_data)).toEqual({
      opportunity_id: id,
      workspace_id: 'acme',
    });
    expect(rejectsOf(implied)).toEqual([
      ['amount', 'NaN', 'not a finite number'],
      ['probability', '-Infinity', 'not a finite number'],
    ]);
  });

  it('is found by its legacy key alone, wherever the contact went', () => {
    const { scope } = opportunities.owned.find(({ table }) => table === 'lead_activities')!;
    expect([scope.column, scope.of(id)]).toEqual(['id', activityOf({ contact_id: null }).id]);
    expect(activityOf({ contact_id: null }).lead_id).toBeNull();
  });
});
