import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Bench, createBench, idAt, idOf, type Row } from '../oracle/hand-written.ts';
import { createDatabases } from '../support/stack.ts';

const CONTACT = idAt(1);
const AT = '2024-05-01 10:00:00.000001+00';
let databases: Awaited<ReturnType<typeof createDatabases>>;
let bench: Bench;

beforeAll(async () => {
  databases = await createDatabases('oracle_activities');
  bench = await createBench(databases);
});
beforeEach(async () => {
  await bench.clear();
  await bench.legacy('contacts', { id: CONTACT });
  const user = { user_id: 1, chatbot_id: 1 };
  await bench.projected('contacts', { id: CONTACT, tenant_id: 'unassigned', ...user, opted_out: false });
  await bench.projected('leads', {
    ...{ id: idOf(`lead:contact:${CONTACT}`), tenant_id: 'unassigned', contact_id: CONTACT, priority: 'medium' },
    ...{ qualification_status: 'unqualified', is_converted: false },
  });
});
afterAll(async () => {
  await bench?.close();
  await databases?.drop();
});

const activity = (table: string, type: string, row: Row, data: Readonly<Record<string, string>>) =>
  bench.projected('lead_activities', {
    ...{ id: idOf(`activity:${table}:${data[`${type}_id`]}`), tenant_id: 'unassigned', performed_at: AT },
    ...{ lead_id: idOf(`lead:contact:${CONTACT}`), activity_type: type, activity_data: JSON.stringify(data), ...row },
  });

it('messages belong to the accounts of their tenant, and are activities without their bodies', async () => {
  const [one, other] = [idAt(2), idAt(3)];
  const message = { contact_id: CONTACT, direction: 'inbound', channel: 'sms', sent_at: AT };
  const told = { body: 'Hello', media: '[{"bytes": 1.50}]', status: ' Failed', external_id: 'e1', read_at: AT };
  await bench.legacy('messages', { ...message, ...told, id: one, workspace_id: 'acme' });
  await bench.legacy('messages', { ...message, id: other, workspace_id: ' ', direction: 'outbound' });
  const [acme, blank] = [
    { tenant_id: 'acme', workspace_id: 'acme' },
    { tenant_id: 'unassigned', workspace_id: ' ' },
  ];
  await bench.projected('messages', { ...message, ...told, ...acme, id: one, user_id: 5, chatbot_id: 6 });
  const outbound = { direction: 'outbound', user_id: 1, chatbot_id: 1 };
  await bench.projected('messages', { ...message, ...blank, id: other, ...outbound });
  await activity(
    'messages',
    'message',
    { tenant_id: 'acme' },
    {
      ...{ message_id: one, workspace_id: 'acme', direction: 'inbound', channel: 'sms', status: ' Failed' },
      ...{ external_id: 'e1', read_at: AT },
    },
  );
  const sent = { workspace_id: ' ', direction: 'outbound', channel: 'sms' };
  await activity('messages', 'message', {}, { message_id: other, ...sent });
  const own = { tenantId: 'acme', country: 'US', userId: '5', chatbotId: '6' };
  expect(await bench.differences({}, [own])).toEqual([]);
});

it('appointments happen when they start, opportunities when they were opened; a number that is none is a reject', async () => {
  const [visit, deal, odd] = [idAt(4), idAt(5), idAt(6)];
  const times = { created_at: AT, updated_at: AT };
  await bench.legacy('appointments', {
    ...{ id: visit, contact_id: CONTACT, starts_at: AT, title: 'Visit', notes: 'Gate 2', ...times },
  });
  await activity(
    'appointments',
    'appointment',
    { notes: 'Gate 2' },
    { appointment_id: visit, title: 'Visit', ...times },
  );
  const named = { contact_id: CONTACT, name: 'Gutters', ...times };
  await bench.legacy('opportunities', {
    ...named,
    id: deal,
    stage: 'won',
    amount: '1250.50',
    close_date: '2024-06-01',
  });
  await bench.legacy('opportunities', { ...named, id: odd, amount: 'NaN', probability: '40' });
  const { updated_at } = times;
  await activity(
    'opportunities',
    'opportunity',
    {},
    {
      ...{
        opportunity_id: deal,
        name: 'Gutters',
        stage: 'won',
        amount: '1250.50',
        close_date: '2024-06-01',
        updated_at,
      },
    },
  );
  const kept = { opportunity_id: odd, name: 'Gutters', probability: '40.00', updated_at };
  await activity('opportunities', 'opportunity', {}, kept);
  await bench.projected('rejects', {
    ...{ id: idOf(`reject:opportunities|${odd}|amount`), tenant_id: 'unassigned', path: 'amount', raw_value: 'NaN' },
    reason: 'not a finite number',
  });
  expect(await bench.differences()).toEqual([]);
});

it('a column that no rule names is kept in both', async () => {
  const tables = ['messages', 'appointments', 'opportunities'];
  await bench.alter(tables, 'ADD COLUMN tags text[]');
  try {
    const message = { id: idAt(7), contact_id: CONTACT, direction: 'inbound', channel: 'sms', sent_at: AT };
    await bench.legacy('messages', { ...message, tags: '{a,b}' });
    const account = { tenant_id: 'unassigned', user_id: 1, chatbot_id: 1 };
    await bench.projected('messages', { ...message, ...account, source_metadata: '{"tags": "{a,b}"}' });
    const { id: message_id, direction, channel } = message;
    await activity('messages', 'message', {}, { message_id, direction, channel, tags: '{a,b}' });
    expect(await bench.differences()).toEqual([]);
  } finally {
    await bench.alter(tables, 'DROP COLUMN tags');
  }
});
