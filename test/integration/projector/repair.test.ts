// What a repair writes: everything that its legacy row implies, even where nothing seems changed, and nothing that belongs to another row.
import type pg from 'pg';
import { expect, test } from 'vitest';
import { toRepairHint } from '../../../projectors/decode.ts';
import type { LegacyRow } from '../../../projectors/projection.ts';
import type { RepairHint } from '../../../projectors/source-change.ts';
import { contactRow, quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';
import { dumpTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const [A, B, C, X] = [idAt(1), idAt(2), idAt(3), idAt(9)];
const company = 'c0000000-0000-4000-8000-000000000001';

let client: pg.Client;
let log: ScriptedLog;

useScriptedTarget('repair', 4, (target) => {
  ({ client, log } = target);
});

const quote = (id: string, cells: Record<string, string> = {}): LegacyRow =>
  quoteRow(id, {
    ...{ company_id: company, phone: '+12015552701', address: '1 Main St', lead_status: 'new', total: '5.00' },
    ...{ items: '[{"name": "a", "unit_price": 2}]' },
    ...cells,
  });

/** Delivers rows, or keys without a row, as repairs. */
async function repair(table: string, hint: RepairHint, ...rows: (LegacyRow | { deleted: string })[]): Promise<void> {
  const changes = log
    .append(table, 0, ...rows)
    .map((change) => ({ ...change, op: change.after === null ? 'd' : 'r', repair: hint }) as const);
  const outcome = await log.apply(table, 0, changes);
  expect(outcome).toMatchObject({ blocked: [], defects: [] });
}

const one = async (sql: string) => (await client.query<Record<string, string>>(sql)).rows[0];
const live = () => dumpTarget(client, 'live');

test('the mark is a header of the record', () => {
  expect(toRepairHint(undefined)).toBeNull();
  expect(toRepairHint({ other: Buffer.from('x') })).toBeNull();
  expect(toRepairHint({ 'crosswalk.repair': Buffer.from('{"refold":{"customers":["k"]}}') })).toEqual({
    refold: { customers: ['k'] },
  });
});

test('every cell is written again, those of others and whose row it is, too', async () => {
  await log.deliver('quotes', 0, quote(A), quote(B));
  const before = await live();
  await client.query(`UPDATE crm.leads SET notes = 'tampered', utm_source = 'tampered' WHERE id = '${A}';
    UPDATE crm.quotes_new SET total = 6, legacy_key = '${B}' WHERE id = '${A}'; UPDATE crm.quote_items_new SET legacy_table = 'contacts', is_upsell = true;
    UPDATE crm.leads SET deleted_at = now() WHERE id = '${B}'`);
  // Without the mark, what the projection does not write stays, and so does what only names another row.
  await log.deliver('quotes', 0, quote(A));
  expect(
    await one(`SELECT l.notes, q.total FROM crm.leads l JOIN crm.quotes_new q USING (id) WHERE id = '${A}'`),
  ).toEqual({ notes: 'tampered', total: '5.00' });
  await repair('quotes', {}, quote(A), quote(B));
  expect(await live()).toEqual(before);
  expect(await one(`SELECT count(*) FROM crm.quotes_new WHERE legacy_key <> id::text`)).toEqual({ count: '0' });
  expect(
    await one(
      `SELECT count(*) FROM crm.quote_items_new WHERE legacy_table <> 'quotes' OR legacy_key <> quote_id::text`,
    ),
  ).toEqual({ count: '0' });
});

test('merged rows are folded again although no contribution changes', async () => {
  await log.deliver('quotes', 0, quote(A), quote(B, { customer_name: 'B' }));
  const before = await live();
  await client.query(
    `UPDATE crm.customers SET name = 'tampered'; UPDATE crm.customer_addresses SET deleted_at = now()`,
  );
  await log.deliver('quotes', 0, quote(A));
  expect(await live()).not.toEqual(before);
  await repair('quotes', {}, quote(A));
  expect(await live()).toEqual(before);
  // What is recorded of a row is mended as well.
  await client.query(`UPDATE crosswalk.contribution SET data = data || '{"customer_key": "x"}' WHERE legacy_key = '${A}';
    UPDATE crosswalk.contribution SET live = false WHERE legacy_key = '${B}'`);
  await repair('quotes', {}, quote(A), quote(B, { customer_name: 'B' }));
  expect(
    await one(`SELECT count(*) FROM crosswalk.contribution WHERE live AND data ->> 'customer_key' = 'p:+12015552701'`),
  ).toEqual({ count: '2' });
  expect(await live()).toEqual(before);
});

test('a merged row that nobody contributes to goes, whatever it names', async () => {
  await log.deliver('quotes', 0, quote(A));
  const before = await live();
  await client.query(
    `INSERT INTO crm.customers SELECT (jsonb_populate_record(c, '{"id": "${X}", "phone_e164": null, "legacy_table": "contacts", "legacy_key": "?"}')).* FROM crm.customers c`,
  );
  await repair('quotes', { refold: { customers: [X] } }, quote(A));
  expect(await live()).toEqual(before);
  expect(await one(`SELECT (deleted_at IS NOT NULL)::text AS gone FROM crm.customers WHERE id = '${X}'`)).toEqual({
    gone: 'true',
  });
});

test('rows that it names go only where they name its own legacy row, and are not implied', async () => {
  await log.deliver('quotes', 0, quote(A), quote(B));
  const before = await live();
  const fabricate = (table: string, id: string, of: Record<string, string>) =>
    client.query(
      `INSERT INTO crm.${table} SELECT (jsonb_populate_record(t, $1)).* FROM crm.${table} t WHERE legacy_key = '${A}' LIMIT 1`,
      [JSON.stringify({ id, ...of })],
    );
  await fabricate('quotes_new', X, {});
  await fabricate('quote_items_new', idAt(10), { quote_id: X });
  await fabricate('quotes_new', C, { legacy_key: B });
  const app = idAt(11);
  await client.query(
    `INSERT INTO crm.quotes_new SELECT (jsonb_populate_record(t, '{"id": "${app}", "origin": "app"}')).* FROM crm.quotes_new t WHERE id = '${A}'`,
  );
  const hint = { rows: { quotes_new: [X, A, B, C, app], quote_items_new: [idAt(10)], jobs_new: [] } };
  await repair('quotes', hint, quote(A));
  expect(
    await one(`SELECT string_agg(id::text, ' ' ORDER BY id) AS live FROM crm.quotes_new WHERE deleted_at IS NULL`),
  ).toEqual({ live: [A, B, C, app].join(' ') });
  expect(await one(`SELECT count(*) FROM crm.quote_items_new WHERE id = '${idAt(10)}'`)).toEqual({ count: '0' });
  await repair('quotes', { rows: { quotes_new: [C] } }, quote(B));
  expect(await live()).toEqual(before);
  // Also where the legacy row does not exist.
  await fabricate('quotes_new', X.replace(/9$/, '8'), { legacy_key: idAt(77) });
  await repair('quotes', { rows: { quotes_new: [X.replace(/9$/, '8')] } }, { deleted: idAt(77) });
  expect(await live()).toEqual(before);
});

test('a row that stands under another one comes back, in one batch with that other one', async () => {
  await log.deliver('quotes', 0, quote(A), quote(B, { phone: '+12015552702', address: '2 Side St' }));
  const before = await live();
  await client.query(`UPDATE crm.quote_items_new SET quote_id = '${B}' WHERE quote_id = '${A}';
    UPDATE crm.customer_addresses SET customer_id = (SELECT id FROM crm.customers WHERE phone_e164 = '+12015552702') WHERE address = '1 Main St'`);
  await repair('quotes', {}, quote(A), quote(B, { phone: '+12015552702', address: '2 Side St' }));
  expect(await live()).toEqual(before);
});

test('one that waits stays a repair: what it names makes room for what waits', async () => {
  await log.deliver('contacts', 0, contactRow(A, { workspace_id: company, city: 'Y' }));
  const before = await live();
  await client.query(`UPDATE crm.lead_custom_fields SET id = $1`, [X]);
  // The field has its name already, under another id.
  await log.deliver('contacts', 0, contactRow(A, { workspace_id: company, city: 'Y', notes: 'n' }));
  expect((await client.query('SELECT FROM crosswalk.parked_change')).rowCount).toBe(1);
  await repair('contacts', { rows: { lead_custom_fields: [X] } }, contactRow(A, { workspace_id: company, city: 'Y' }));
  const retry = log.retryParked('contacts');
  await waitUntil(
    'nothing waits',
    async () => (await client.query('SELECT FROM crosswalk.parked_change')).rowCount === 0,
  );
  await retry.close();
  expect((await client.query('SELECT FROM crosswalk.dead_letter')).rowCount).toBe(0);
  expect(await live()).toEqual(before);
});

test('a change that comes after it in the same batch is a repair, too', async () => {
  await log.deliver('quotes', 0, quote(A));
  await client.query(`UPDATE crm.leads SET notes = 'tampered' WHERE id = '${A}'`);
  const [sent] = log.append('quotes', 0, quote(A));
  const [later] = log.append('quotes', 0, quote(A, { total: '7.00' }));
  await log.apply('quotes', 0, [{ ...sent!, op: 'r', repair: {} }, later!]);
  expect(await one(`SELECT l.notes, q.total FROM crm.leads l JOIN crm.quotes_new q USING (id)`)).toEqual({
    notes: null,
    total: '7.00',
  });
});

test('a contribution that the row does not imply is retired: who opted out stays so', async () => {
  await log.deliver('contacts', 0, contactRow(A, { phone_number: '+12015552710', opted_out: 't' }));
  await client.query(
    `INSERT INTO crosswalk.contribution SELECT aggregate, '${X}', legacy_table, legacy_key, true, NULL, data, source_lsn, source_xid, source_committed_at, mapping_version FROM crosswalk.contribution WHERE aggregate = 'dnc_list'`,
  );
  await repair(
    'contacts',
    { refold: { dnc_list: [X] } },
    contactRow(A, { phone_number: '+12015552710', opted_out: 't' }),
  );
  expect(
    await one(
      `SELECT string_agg(live::text, ' ' ORDER BY live) AS live FROM crosswalk.contribution WHERE aggregate = 'dnc_list'`,
    ),
  ).toEqual({
    live: 'false true',
  });
  expect(await one(`SELECT count(*) FROM crm.dnc_list WHERE deleted_at IS NULL`)).toEqual({ count: '2' });
});
