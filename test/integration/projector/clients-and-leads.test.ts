// Clients and legacy leads name each other: whichever comes first, the lead shows one conversion, and what disagrees is listed.
import type pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import type { LegacyRow } from '../../../projectors/projection.ts';
import { bareRow } from '../../support/legacy-shape.ts';
import { pollUntil } from '../../support/poll.ts';
import { quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';

const idAt = (kind: string, n: number) => `${kind}000000-0000-4000-8000-00000000000${n}`;
const [LEAD, OTHER_LEAD] = [idAt('e0', 1), idAt('e0', 2)];
const [C1, C2] = [idAt('c1', 1), idAt('c1', 2)];
const QUOTE = idAt('b0', 1);
const CREATED = '2024-03-01 10:00:00+00';
const COMPANY = 'c0000000-0000-4000-8000-00000000000a';

let client: pg.Client;
let log: ScriptedLog;
const open: { close(): Promise<void> }[] = [];

useScriptedTarget('clients_and_leads', 6, (target) => {
  ({ client, log } = target);
});
afterEach(async () => {
  for (const retry of open.splice(0)) await retry.close();
});

const read = async (sql: string) => (await client.query(sql)).rows;
const leadRow = (id: string, cells: LegacyRow = {}) => bareRow('leads', 0, { id, workspace_id: 'w', ...cells });
const clientRow = (id: string, cells: LegacyRow = {}) => bareRow('clients', 0, { id, workspace_id: 'w', ...cells });
const conversions = () =>
  read(
    `SELECT id, is_converted, converted_to_client_id AS client, conversion_date::text AS date FROM crm.leads WHERE deleted_at IS NULL ORDER BY id`,
  );
const conflicts = () =>
  read('SELECT lead_id, client_id, other_client_id FROM crm.lead_conversion_conflicts ORDER BY 3');
const waiting = () => read('SELECT projection, reason FROM crosswalk.parked_change ORDER BY 1');
const dead = () => read('SELECT projection, legacy_key, reason FROM crosswalk.dead_letter WHERE resolved_at IS NULL');

function retryParked(...sources: string[]): void {
  open.push(...sources.map((source) => log.retryParked(source)));
}
const untilNothingWaits = () => pollUntil(waiting, (rows) => rows.length === 0);

test('a conversion that the client alone tells is one, whichever of them comes first', async () => {
  await log.deliver('clients', 0, clientRow(C1, { converted_from_lead_id: LEAD }));
  expect(await conversions()).toEqual([]);
  await log.deliver('leads', 0, leadRow(LEAD));
  const told = { is_converted: 't', client: C1, date: CREATED };
  expect(await conversions()).toEqual([{ id: LEAD, ...told }]);
  await log.deliver('leads', 1, leadRow(OTHER_LEAD));
  await log.deliver('clients', 0, clientRow(C1, { converted_from_lead_id: OTHER_LEAD }));
  expect(await conversions()).toEqual([
    { id: LEAD, is_converted: 'f', client: null, date: null },
    { id: OTHER_LEAD, ...told },
  ]);
  await log.deliver('clients', 0, { deleted: C1 });
  expect(await conversions()).toMatchObject([{ client: null }, { client: null }]);
});

test('a lead waits for the client that it names', async () => {
  await log.deliver('leads', 0, leadRow(LEAD, { client_id: C1, status: 'converted' }));
  expect(await waiting()).toEqual([{ projection: 'leads', reason: '23503 leads leads_converted_to_client_id_fkey' }]);
  await log.deliver('clients', 0, clientRow(C1));
  retryParked('leads');
  await untilNothingWaits();
  expect(await conversions()).toMatchObject([{ id: LEAD, client: C1 }]);
  expect(await dead()).toEqual([]);
});

test('a lead of a client that never comes is a dead letter', async () => {
  await log.deliver('leads', 0, leadRow(LEAD, { client_id: C1 }));
  retryParked('leads', 'clients');
  await pollUntil(dead, (rows) => rows.length === 1);
  expect(await dead()).toMatchObject([{ projection: 'leads', legacy_key: LEAD }]);
});

test('where both tell it differently the lead is right, both words are kept and the conflict is listed', async () => {
  await log.deliver('clients', 0, clientRow(C1, { converted_from_lead_id: LEAD }), clientRow(C2));
  await log.deliver('leads', 0, leadRow(LEAD, { client_id: C2, updated_at: '2024-04-01 00:00:00+00' }));
  expect(await conversions()).toEqual([{ id: LEAD, is_converted: 't', client: C2, date: '2024-04-01 00:00:00+00' }]);
  expect(await read(`SELECT id, converted_from_lead_id AS lead FROM crm.customers ORDER BY id`)).toEqual([
    { id: C1, lead: LEAD },
    { id: C2, lead: null },
  ]);
  expect(await conflicts()).toEqual([{ lead_id: LEAD, client_id: C2, other_client_id: C1 }]);
  await log.deliver('leads', 0, leadRow(LEAD, { client_id: C1 }));
  expect(await conflicts()).toEqual([]);
});

test('a client and a customer of quotes with one phone are two customers, linked', async () => {
  const phone = '206 555 0200';
  await log.deliver('quotes', 0, quoteRow(QUOTE, { company_id: COMPANY, phone: '+1 206-555-0200' }));
  await log.deliver('clients', 0, clientRow(C1, { workspace_id: COMPANY, phone }), clientRow(C2, { phone }));
  const [customer] = await read(`SELECT id FROM crm.customers WHERE customer_key = 'p:+12065550200'`);
  const links =
    'SELECT tenant_id, customer_id, same_as FROM crm.customer_same_as ORDER BY customer_id = $$' + C1 + '$$';
  expect(await read(links)).toEqual([
    { tenant_id: COMPANY, customer_id: customer.id, same_as: C1 },
    { tenant_id: COMPANY, customer_id: C1, same_as: customer.id },
  ]);
  // Nothing that the other one does touches it.
  await log.deliver('quotes', 0, { deleted: QUOTE });
  expect(await read(`SELECT id FROM crm.customers WHERE deleted_at IS NULL ORDER BY id`)).toEqual([
    { id: C1 },
    { id: C2 },
  ]);
  expect(await read(links)).toEqual([]);
});

test('what a client says of an id that is a quote leaves the lead of the quote alone', async () => {
  await log.deliver('quotes', 0, quoteRow(QUOTE, { lead_status: 'new' }));
  await log.deliver('clients', 0, clientRow(C1, { converted_from_lead_id: QUOTE }));
  await log.deliver('clients', 0, clientRow(C1));
  expect(await read('SELECT id, legacy_table, deleted_at FROM crm.leads')).toEqual([
    { id: QUOTE, legacy_table: 'quotes', deleted_at: null },
  ]);
});

test.each(['quotes', 'leads'] as const)(
  'of a quote and a legacy lead of one id the first keeps the row, and the other waits: %s first',
  async (first) => {
    const [quote, lead] = [
      quoteRow(QUOTE, { lead_status: 'won', customer_name: 'Q' }),
      leadRow(QUOTE, { status: 'new', name: 'L' }),
    ];
    const rows = { quotes: quote, leads: lead };
    const second = first === 'quotes' ? 'leads' : 'quotes';
    await log.deliver(first, 0, rows[first]);
    const before = await read('SELECT * FROM crm.leads');
    expect(await log.deliver(second, 0, rows[second])).toMatchObject({ parked: 1 });
    expect(await waiting()).toEqual([{ projection: second, reason: '23505 leads one_source_per_lead' }]);
    expect(await read('SELECT * FROM crm.leads')).toEqual(before);
    // The first goes: the other one has the row.
    await log.deliver(first, 0, { deleted: QUOTE });
    retryParked(second);
    await untilNothingWaits();
    expect(await read('SELECT legacy_table, name FROM crm.leads WHERE deleted_at IS NULL')).toEqual([
      { legacy_table: second, name: second === 'quotes' ? 'Q' : 'L' },
    ]);
    expect(await dead()).toEqual([]);
  },
);

test('of a quote and a legacy lead of one id the second is a dead letter where the first stays', async () => {
  await log.deliver('quotes', 0, quoteRow(QUOTE, { lead_status: 'won' }));
  await log.deliver('leads', 0, leadRow(QUOTE));
  retryParked('leads', 'quotes');
  await pollUntil(dead, (rows) => rows.length === 1);
  expect(await dead()).toMatchObject([
    { projection: 'leads', legacy_key: QUOTE, reason: expect.stringContaining('one_source_per_lead') },
  ]);
  expect(await read('SELECT legacy_table FROM crm.leads')).toEqual([{ legacy_table: 'quotes' }]);
});

test('the views of leads know all three sources', async () => {
  await log.deliver('clients', 0, clientRow(C1, { name: 'N' }));
  await log.deliver(
    'leads',
    0,
    leadRow(LEAD, { client_id: C1, status: 'converted' }),
    leadRow(OTHER_LEAD, { phone: '206 555 0200' }),
  );
  await log.deliver('quotes', 0, quoteRow(QUOTE, { lead_status: 'new', phone: '206 555 0200', company_id: null }));
  expect(await read(`SELECT lead_id, client_id, client_name FROM crm.client_lead_history`)).toEqual([
    { lead_id: LEAD, client_id: C1, client_name: 'N' },
  ]);
  expect(
    await read(`SELECT tenant_id, total_leads, converted_leads FROM crm.lead_conversion_summary ORDER BY 1`),
  ).toEqual([
    { tenant_id: 'unassigned', total_leads: '1', converted_leads: '0' },
    { tenant_id: 'w', total_leads: '2', converted_leads: '1' },
  ]);
  expect(await read(`SELECT id FROM crm.active_leads WHERE tenant_id = 'w'`)).toEqual([{ id: OTHER_LEAD }]);
  expect(await read(`SELECT lead_from, total_leads FROM crm.lead_conversion_by_source ORDER BY 1`)).toEqual([
    { lead_from: 'lead', total_leads: '2' },
    { lead_from: 'quote', total_leads: '1' },
  ]);
});
