// Each kind of difference by itself, at rest: named as what it is, and nothing else with it.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Verification } from '../../../projectors/verify/verify.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';

let pipeline: VerifyRig;
let target: pg.Client;
let quote: Record<string, string>;

beforeAll(async () => {
  pipeline = await createVerifyRig('verify_kinds', { seed: 'kinds', contacts: 40, quotes: 60 });
  target = pipeline.target;
  quote = await one(
    `SELECT q.id, q.customer_id, i.id AS item FROM crm.quotes_new q JOIN crm.quote_items_new i ON i.quote_id = q.id WHERE q.deleted_at IS NULL AND q.lead_id IS NOT NULL ORDER BY q.id LIMIT 1`,
  );
});
afterAll(() => pipeline?.drop());

async function one(text: string, values: unknown[] = []): Promise<Record<string, string>> {
  return (await target.query<Record<string, string>>(text, values)).rows[0]!;
}

/** A verification in which no row was left unsettled, as a transaction elsewhere on the server that stays open for long leaves them. */
async function verifySettled(): Promise<Verification> {
  for (;;) {
    const result = await pipeline.verify();
    if (result.tables.every(({ unsettled }) => unsettled === 0)) return result;
  }
}

/** What is named with these statements in effect, and after they are repaired. */
async function verifyWith(...statements: string[]): Promise<string[]> {
  for (const statement of statements) await target.query(statement);
  const result = await verifySettled();
  expect(result.ok).toBe(false);
  const repair = await pipeline.repair(result.run);
  expect(
    repair.left.map(({ table, id, column, kind, reason }) => `${table} ${id} ${column ?? kind}: ${reason}`),
  ).toEqual([]);
  const after = await verifySettled();
  expect(namesOf(after)).toEqual([]);
  expect(after.ok).toBe(true);
  return namesOf(result).sort();
}

test('a cell, also one that other projections write', async () => {
  expect(
    await verifyWith(
      `UPDATE crm.leads SET utm_source = 'x', address = coalesce(address, '') || 'x' WHERE id = '${quote.id}'`,
    ),
  ).toEqual([`leads ${quote.id} address`, `leads ${quote.id} utm_source`]);
});

test('a number with other digits of the same value, and a sum that does not fit', async () => {
  const { table, id } = await one(
    `SELECT 'quotes_new' AS table, id FROM crm.quotes_new WHERE total <> 0 AND deleted_at IS NULL ORDER BY id LIMIT 1`,
  );
  expect(await verifyWith(`UPDATE crm.quotes_new SET total = total * 1.000 WHERE id = '${id}'`)).toEqual([
    `${table} ${id} total`,
  ]);
  await target.query(`UPDATE crm.quotes_new SET total = total + 1 WHERE id = '${id}'`);
  const result = await verifySettled();
  expect(result.checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['sum of totals']);
  const { expected, actual } = result.sums.find(({ table: of, column }) => of === 'quotes_new' && column === 'total')!;
  expect(Number(actual) - Number(expected)).toBeCloseTo(1, 6);
  expect((await pipeline.repair(result.run)).left).toEqual([]);
});

test('a row that is gone, and one that is retracted', async () => {
  const { option } = await one(
    `SELECT id AS option FROM crm.status_options o WHERE NOT EXISTS (SELECT FROM crm.leads l WHERE l.lead_status_id = o.id) ORDER BY id LIMIT 1`,
  );
  expect(
    await verifyWith(
      `DELETE FROM crm.quote_items_new WHERE id = '${quote.item}'`,
      `DELETE FROM crm.status_options WHERE id = ${option}`,
      `UPDATE crm.leads SET deleted_at = now() WHERE id = '${quote.id}'`,
    ),
  ).toEqual([
    `leads ${quote.id} deleted_at`,
    `quote_items_new ${quote.item} missing`,
    `status_options ${option} missing`,
  ]);
});

test('rows that name a legacy row which does not exist, or one that cannot imply them', async () => {
  const copy = (table: string, id: string, key: string) =>
    `INSERT INTO crm.${table} SELECT (jsonb_populate_record(t, '{"id": "${id}", "legacy_key": "${key}"}')).* FROM crm.${table} t WHERE t.id = '${quote.id}'`;
  const [nobody, stray] = ['a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002'];
  expect(await verifyWith(copy('quotes_new', nobody, nobody), copy('quotes_new', stray, quote.id!))).toEqual([
    `quotes_new ${nobody} extra`,
    `quotes_new ${stray} extra`,
  ]);
});

test('a row that names another legacy row than its own, once', async () => {
  const { other } = await one(
    `SELECT id AS other FROM crm.quotes_new WHERE id <> '${quote.id}' AND deleted_at IS NULL ORDER BY id LIMIT 1`,
  );
  expect(await verifyWith(`UPDATE crm.quotes_new SET legacy_key = '${other}' WHERE id = '${quote.id}'`)).toEqual([
    `quotes_new ${quote.id} legacy_key`,
  ]);
});

test('a merged row that is not the fold of what is recorded', async () => {
  expect(await verifyWith(`UPDATE crm.customers SET name = 'x' WHERE id = '${quote.customer_id}'`)).toEqual([
    `customers ${quote.customer_id} name`,
  ]);
  const id = 'a0000000-0000-4000-8000-000000000003';
  expect(
    await verifyWith(
      `INSERT INTO crm.customers SELECT (jsonb_populate_record(t, '{"id": "${id}", "phone_e164": null}')).* FROM crm.customers t WHERE t.id = '${quote.customer_id}'`,
    ),
  ).toEqual([`customers ${id} extra`]);
});

test('what is recorded of a legacy row, with the merged row that it made', async () => {
  const name = `contribution customers ${quote.customer_id} quotes ${quote.id}`;
  const { others } = await one(
    `SELECT count(*) AS others FROM crosswalk.contribution WHERE merge_key = '${quote.customer_id}' AND legacy_key <> '${quote.id}'`,
  );
  expect(others).toBe('0');
  expect(
    await verifyWith(
      `UPDATE crosswalk.contribution SET data = data || '{"customer_key": "x"}' WHERE legacy_key = '${quote.id}' AND aggregate = 'customers'`,
    ),
  ).toEqual([`${name} data.customer_key`, `customers ${quote.customer_id} customer_key`]);
  const merge = 'a0000000-0000-4000-8000-000000000004';
  const fabricate = (key: string) =>
    `INSERT INTO crosswalk.contribution SELECT aggregate, '${merge}', legacy_table, '${key}', true, NULL, data, source_lsn, source_xid, source_committed_at, mapping_version
     FROM crosswalk.contribution WHERE legacy_key = '${quote.id}' AND merge_key = '${quote.customer_id}'`;
  const named = await verifyWith(fabricate(quote.id!), fabricate(merge));
  expect(named).toContain(`contribution customers ${merge} quotes ${quote.id} extra`);
  expect(named).toContain(`contribution customers ${merge} quotes ${merge} extra`);
});

test('rows of the application are none, and nobody waits for a pipeline that stands still', async () => {
  await target.query(`INSERT INTO crm.leads (tenant_id, customer_id) VALUES ('app', '${quote.customer_id}')`);
  expect((await verifySettled()).ok).toBe(true);
  // What is not applied is no difference: there is nothing to compare with yet.
  await pipeline.stopProjectors();
  await pipeline.legacy.query(`UPDATE public.quotes SET notes = 'not applied' WHERE id = '${quote.id}'`);
  await expect(pipeline.verify({ fenceTimeoutMs: 3000 })).rejects.toMatchObject({ code: 'not_reached' });
  pipeline.startProjectors();
  expect((await verifySettled()).ok).toBe(true);
});

test('texts that hold what stands between the cells of a compared row', async () => {
  await pipeline.legacy.query(
    `UPDATE public.quotes SET job_name = E'a\\x1fb', description = 'c', customer_name = E'Ann\\x1fBell\\x1e' WHERE id = '${quote.id}'`,
  );
  await pipeline.untilApplied();
  expect((await verifySettled()).ok).toBe(true);
  expect(
    await verifyWith(`UPDATE crm.quotes_new SET job_name = 'a', description = E'b\\x1fc' WHERE id = '${quote.id}'`),
  ).toEqual([`quotes_new ${quote.id} description`, `quotes_new ${quote.id} job_name`]);
});
