import { describe, expect, it } from 'vitest';
import { appointments } from '../../../pipelines/crm/projections/appointments.ts';
import { messages } from '../../../pipelines/crm/projections/messages.ts';
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

describe('appointments → lead_activities', () => {
  it('an activity of the time at which it starts, with its notes', () => {
    const cells = { title: 'Visit', starts_at: '2024-06-02 08:00:00+00', notes: ' Gate 2', status: 'no-show' };
    const { activity_data, ...activity } = only(appointments.map({ ...own, ...cells }, tenants), 'lead_activities');
    expect(activity).toMatchObject({
      ...{ id: expectedUuid(`activity:appointments:${id}`), lead_id: expectedUuid(`lead:contact:${contactId}`) },
      ...{ activity_type: 'appointment', performed_at: cells.starts_at, notes: ' Gate 2' },
    });
    const { title, status } = cells;
    expect(dataOf(activity_data)).toEqual({
      ...{ appointment_id: id, workspace_id: 'acme', title, status, created_at: at },
    });
  });
});

describe('messages → messages, lead_activities', () => {
  const cells = { ...own, workspace_id: 'berlin', direction: 'inbound', channel: 'sms', body: 'Hi', media: '[1.50]' };
  const { created_at: _, ...message } = { ...cells, status: ' Failed', sent_at: at };
  const implied = messages.map({ ...message, invented: 'x' }, tenants);

  it('a message of the accounts of its tenant, as it is', () => {
    expect(only(implied, 'messages')).toEqual({
      ...message,
      ...{ tenant_id: 'berlin', user_id: '5', chatbot_id: '6', source_metadata: '{"invented": "x"}' },
      ...{ external_id: null, delivered_at: null, read_at: null },
    });
  });

  it('an activity without the body and the media', () => {
    const { activity_data, ...activity } = only(implied, 'lead_activities');
    expect(activity).toMatchObject({ activity_type: 'message', performed_at: at, notes: null, tenant_id: 'berlin' });
    expect(dataOf(activity_data)).toEqual({
      ...{ message_id: id, workspace_id: 'berlin', direction: 'inbound', channel: 'sms', status: ' Failed' },
      invented: 'x',
    });
  });
});
