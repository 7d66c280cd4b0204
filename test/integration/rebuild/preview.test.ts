// A changed mapping, previewed: what it would change is told row by row and in money, and nothing is changed. A mapping that breaks a rule is refused.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import type { NewRow, Projection } from '../../../projectors/projection.ts';
import { discardShadow } from '../../../projectors/rebuild/shadow.ts';
import { allProjections } from '../../support/crm.ts';
import { createRebuildRig, type RebuildRig, touchedRows } from '../../support/rebuild-rig.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
console.log(`CROSSWALK_SEED=${seed}`);
let rig: RebuildRig;

beforeAll(async () => {
  rig = await createRebuildRig('rebuild_preview', { seed, rows: 250 });
  rig.project();
  await rig.untilApplied();
});
afterEach(async () => {
  for (const name of await rig.shadows())
    await discardShadow(rig.config.targetUrl(), name.replace('crosswalk_shadow_', ''));
});
afterAll(() => rig?.drop());

/** A projection that maps rows of one of its tables differently. */
function remapped(projection: Projection, table: string, to: (row: NewRow) => NewRow): Projection {
  return {
    ...projection,
    version: String(Number(projection.version) + 1),
    map: (row, tenants) => {
      const implied = projection.map(row, tenants);
      return { ...implied, rows: { ...implied.rows, [table]: (implied.rows[table] ?? []).map(to) } };
    },
  };
}

const count = async (sql: string, values: readonly unknown[] = []) =>
  Number((await rig.owner.query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`, [...values])).rows[0]!.n);

test('a wrong mapping: exactly which rows, and how much money, while the projectors go on', async () => {
  const wrong = remapped(quotes, 'quotes_new', (row) => ({ ...row, total: row.subtotal ?? null }));
  const expected = await rig.owner.query<{ id: string; before: string; after: string; legacy_key: string }>(
    `SELECT id::text, total::text AS before, subtotal::text AS after, legacy_key FROM crm.quotes_new
     WHERE origin = 'cdc' AND deleted_at IS NULL AND total::text IS DISTINCT FROM subtotal::text ORDER BY id::text`,
  );
  const { rows: money } = await rig.owner.query<{ before: string; after: string }>(
    `SELECT trim_scale(sum(total))::text AS before, trim_scale(sum(subtotal))::text AS after FROM crm.quotes_new WHERE origin = 'cdc' AND deleted_at IS NULL`,
  );
  expect(expected.rows.length).toBeGreaterThan(100);
  const before = await rig.rows();
  let going: Promise<unknown> | null = null;
  const result = await rig.rebuild(
    { projections: [wrong], dryRun: true },
    {
      onProgress: (phase) => {
        if (phase === 'compare')
          going ??= rig.source.legacy
            .query(`UPDATE workspaces SET name = 'renamed meanwhile' WHERE id = (SELECT min(id) FROM workspaces)`)
            .then(() => rig.untilApplied());
      },
    },
  );
  expect(result).toMatchObject({ state: 'previewed', merged: null, report: { failures: [] } });
  expect(
    result.report!.differences.map(({ id, kind, column, before: was, after, legacyKey }) => [
      id,
      kind,
      column,
      was,
      after,
      legacyKey,
    ]),
  ).toEqual(
    expected.rows.map(({ id, before: was, after, legacy_key }) => [id, 'change', 'total', was, after, legacy_key]),
  );
  const tables = result.report!.projections[0]!.tables;
  expect(tables.find(({ table }) => table === 'quotes_new')).toMatchObject({
    added: 0,
    changed: expected.rows.length,
    removed: 0,
    columns: { total: expected.rows.length },
    sums: { total: money[0]!, subtotal: { before: money[0]!.after, after: money[0]!.after } },
  });
  expect(
    tables.filter(({ added, changed, removed }) => added + changed + removed > 0).map(({ table }) => table),
  ).toEqual(['quotes_new']);
  await going;
  const renamed = touchedRows(before, await rig.rows());
  expect(renamed).toHaveLength(1);
  expect(renamed[0]).toMatch(/^tenants /);
  expect(await rig.shadows()).toEqual([]);
});

test('of a table and of all: counts, sums and differences by projection, limited one by one', async () => {
  const wrong = remapped(contacts, 'leads', (row) => ({ ...row, estimated_value: '1.50' }));
  const all = allProjections.map((each) => (each === contacts ? wrong : each));
  const result = await rig.rebuild({ projections: all, all, dryRun: true, limit: 3 });
  const changed = await count(
    `crm.leads WHERE origin = 'cdc' AND deleted_at IS NULL AND contact_id IS NOT NULL AND estimated_value::text IS DISTINCT FROM '1.50'`,
  );
  const of = (name: string) => result.report!.projections.find(({ projection }) => projection === name)!.tables;
  expect(of('contacts').find(({ table }) => table === 'leads')).toMatchObject({
    changed,
    columns: { estimated_value: changed },
  });
  expect(of('quotes').find(({ table }) => table === 'leads')).toMatchObject({ changed: 0 });
  expect(result.report!.differences).toHaveLength(3);
});

/** Tries to merge, and sees that it is refused and everything is as it was. */
async function refused(projections: readonly Projection[], request: Parameters<RebuildRig['rebuild']>[0] = {}) {
  const before = await rig.rows();
  const all = allProjections.map((each) => projections.find(({ name }) => name === each.name) ?? each);
  const result = await rig.rebuild({ projections, all, ...request });
  expect(result).toMatchObject({ state: 'refused', merged: null });
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  expect(await count('crosswalk.dead_letter')).toBe(0);
  expect(await count('crosswalk.parked_change')).toBe(0);
  expect(await rig.shadows()).toEqual(['crosswalk_shadow_test']);
  return result.report!.failures;
}

test('a mapping that breaks a CHECK is refused, and says which one, how often and where', async () => {
  const wrong = remapped(contacts, 'leads', (row) =>
    /[02468ace]$/.test(row.contact_id ?? '') ? { ...row, lead_score: '101' } : row,
  );
  const legacyKeys = await rig.source.legacy.query<{ id: string }>(
    `SELECT id::text FROM contacts WHERE id::text ~ '[02468ace]$' ORDER BY 1`,
  );
  const failures = await refused([wrong]);
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatchObject({
    projection: 'contacts',
    kind: 'failed',
    reason: '23514 leads leads_score_check',
  });
  expect(failures[0]!.count).toBeGreaterThanOrEqual(legacyKeys.rows.length);
  expect(legacyKeys.rows.map(({ id }) => id)).toEqual(expect.arrayContaining([...failures[0]!.legacyKeys]));
});

test('a reference to a row that is not there is refused, also where its table is not rebuilt', async () => {
  const { rows } = await rig.source.legacy.query<{ id: string; n: string }>(
    'SELECT workspace_id::text AS id, count(*) AS n FROM contacts WHERE workspace_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 1',
  );
  const tenants = createTenants({ tenants: { [rows[0]!.id]: { userId: '99' } } });
  expect(await refused([contacts], { tenants })).toEqual([
    {
      projection: 'contacts',
      // On a busy machine the time for waiting changes may be over before they have been refused often enough: then they wait, and are refused as well.
      kind: expect.stringMatching(/^(failed|waiting)$/),
      reason: expect.stringMatching(/^23503 contacts contacts_user_id_fkey(, with everything before it applied)?$/),
      count: Number(rows[0]!.n),
      legacyKeys: expect.anything(),
    },
  ]);
  await discardShadow(rig.config.targetUrl(), 'test');
  const { rows: few } = await rig.source.legacy.query<{ id: string }>(
    'SELECT id::text FROM contacts ORDER BY id LIMIT 5',
  );
  const some = few.map(({ id }) => id);
  const wrong = remapped(contacts, 'leads', (row) =>
    some.includes(row.contact_id ?? '') ? { ...row, lead_status_id: '987654' } : row,
  );
  const failures = await refused([wrong]);
  expect(failures).toMatchObject([
    {
      kind: expect.stringMatching(/^(failed|waiting)$/),
      count: some.length,
      reason: expect.stringContaining('23503 leads leads_lead_status_id_fkey'),
    },
  ]);
});

test('two rows that claim one unique value are refused', async () => {
  const { rows } = await rig.source.legacy.query<{ id: string }>('SELECT id::text FROM contacts ORDER BY id LIMIT 2');
  const ids = rows.map(({ id }) => id);
  const wrong = remapped(contacts, 'contacts', (row) =>
    ids.includes(row.id ?? '') ? { ...row, phone_number: 'one number' } : row,
  );
  const failures = await refused([wrong]);
  expect(failures).toMatchObject([
    { kind: 'failed', reason: expect.stringContaining('23P01 contacts contacts_user_phone_key'), count: 1 },
  ]);
  expect(ids).toContain(failures[0]!.legacyKeys[0]);
});

test('a mapping that throws is refused', async () => {
  const { rows } = await rig.source.legacy.query<{ id: string }>('SELECT id::text FROM quotes ORDER BY id LIMIT 1');
  const wrong: Projection = {
    ...quotes,
    map: (row, tenants) => {
      if (row.id === rows[0]!.id) throw new RangeError(`secret ${row.email}`);
      return (quotes as Projection).map(row, tenants);
    },
  };
  expect(await refused([wrong])).toEqual([
    { projection: 'quotes', kind: 'failed', reason: 'map threw RangeError', count: 1, legacyKeys: [rows[0]!.id] },
  ]);
});

test('a mapping that requires a column which older records lack says so, and where they are', async () => {
  const newer: Projection = { ...quotes, requires: [...quotes.requires, 'added_later'] };
  await expect(rig.rebuild({ projections: [newer] })).rejects.toMatchObject({
    code: 'source_changed',
    message: expect.stringMatching(/quotes\/\d+ at offset \d+ lacks quotes\.added_later, .* older than the column$/),
    remedy: expect.stringContaining('--from'),
  });
});

test('a rule that only the live tables have refuses the merge as a whole', async () => {
  await rig.owner.query(`
    CREATE FUNCTION crm.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON crm.payments FOR EACH ROW EXECUTE FUNCTION crm.refuse()`);
  try {
    const wrong = remapped(quotes, 'payments', (row) => ({ ...row, method: `${row.method}!` }));
    const both = remapped(wrong, 'quotes_new', (row) => ({ ...row, notes: 'changed with it' }));
    expect(await refused([both])).toEqual([
      { projection: '', kind: 'refused', reason: 'P0001', count: 1, legacyKeys: [] },
    ]);
  } finally {
    await rig.owner.query('DROP TRIGGER refuse ON crm.payments; DROP FUNCTION crm.refuse');
  }
});

test('a mapping that is right is merged, and what was dead before is alive after', async () => {
  // One that has a row: the sample also has quotes that are rejected.
  const { rows } = await rig.owner.query<{ id: string }>(
    `SELECT id::text FROM crm.quotes_new WHERE origin = 'cdc' AND deleted_at IS NULL AND job_name IS NOT NULL ORDER BY id LIMIT 1`,
  );
  const id = rows[0]!.id;
  await rig.owner.query(`ALTER TABLE crm.quotes_new ADD CONSTRAINT no_odd_name CHECK (job_name <> 'odd')`);
  await rig.source.legacy.query(`UPDATE quotes SET job_name = 'odd', notes = 'the last version' WHERE id::text = $1`, [
    id,
  ]);
  await rig.untilApplied();
  expect(await count('crosswalk.dead_letter WHERE resolved_at IS NULL')).toBe(1);
  // The same mapping fails as the live one does: that stands in nobody's way.
  expect(await rig.rebuild({ projections: [quotes], dryRun: true })).toMatchObject({
    report: { failures: [], differences: [], deadLetters: { before: 1, after: 1 } },
  });
  const healed = remapped(quotes, 'quotes_new', (row) => (row.job_name === 'odd' ? { ...row, job_name: 'even' } : row));
  const result = await rig.rebuild({ projections: [healed] });
  expect(result).toMatchObject({ state: 'merged', report: { deadLetters: { before: 1, after: 0 } } });
  const changed = result.report!.differences.map(({ id: of, column, after }) => `${of} ${column} ${after}`);
  expect(changed).toEqual(expect.arrayContaining([`${id} job_name even`, `${id} notes the last version`]));
  expect(await count('crosswalk.dead_letter WHERE resolved_at IS NULL')).toBe(0);
  expect(await count(`crosswalk.dead_letter WHERE resolution = 'rebuilt by test'`)).toBe(1);
});
