// Rebuilding at rest: what was changed behind the projectors' back is found, named and put right, and nothing else is touched.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { discardShadow } from '../../../projectors/rebuild/shadow.ts';
import { inTransaction } from '../../../runtime/postgres.ts';
import { allProjections, readTargetChecks } from '../../support/crm.ts';
import { createRebuildRig, type RebuildRig, type RunningProjectors, touchedRows } from '../../support/rebuild-rig.ts';
import { dumpTarget, insertAppRows } from '../../support/target-database.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
console.log(`CROSSWALK_SEED=${seed}`);
let rig: RebuildRig;
let projectors: RunningProjectors;

beforeAll(async () => {
  rig = await createRebuildRig('rebuild', { seed, rows: 400 });
  // Few contacts have opted out: with some seeds none, and then no entry of dnc_list could be deleted.
  const { rowCount } = await rig.source.legacy.query(
    `UPDATE contacts SET opted_out = true, phone_number = NULL, email = 'stop@example.com' WHERE ctid = (SELECT min(ctid) FROM contacts)`,
  );
  expect(rowCount).toBe(1);
  projectors = rig.project();
  await rig.untilApplied();
  await insertAppRows(rig.owner);
});
afterAll(() => rig?.drop());

/** Id of a live row, the `at`-th in order of ids. */
async function idOf(table: string, at: number, condition = 'true'): Promise<string> {
  const { rows } = await rig.owner.query<{ id: string }>(
    `SELECT id::text FROM crm.${table} WHERE origin = 'cdc' AND to_jsonb(${table}) ->> 'deleted_at' IS NULL AND ${condition} ORDER BY id::text OFFSET ${at} LIMIT 1`,
  );
  return rows[0]!.id;
}

async function change(sql: string, values: readonly unknown[]): Promise<void> {
  const { rowCount } = await rig.owner.query(sql, [...values]);
  expect(rowCount, sql).toBe(1);
}

const named = (result: Awaited<ReturnType<RebuildRig['rebuild']>>) =>
  result.report!.differences.map(({ table, id, kind, column }) => [table, id, kind, column].join(' ').trim()).sort();

test('of what is as the log says finds no difference, and touches nothing', async () => {
  const before = await rig.rows();
  const result = await rig.rebuild();
  expect(result).toMatchObject({ state: 'equal', merged: null, report: { differences: [], failures: [] } });
  const all = result.report!.projections.flatMap(({ tables }) => tables);
  for (const table of ['leads', 'rejects']) {
    const { rows } = await rig.owner.query(
      `SELECT count(*)::int AS n FROM crm.${table} WHERE origin = 'cdc' AND to_jsonb(${table}) ->> 'deleted_at' IS NULL`,
    );
    const told = all.filter((each) => each.table === table).reduce((sum, each) => sum + each.before, 0);
    expect(`${table} ${told}`).toBe(`${table} ${(rows[0] as { n: string }).n}`);
  }
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  expect(await rig.shadows()).toEqual([]);
});

test('names exactly the rows that were changed, deleted or made up, and touches no other', async () => {
  const { owner } = rig;
  const lead = await idOf('leads', 3, 'contact_id IS NOT NULL');
  const contact = await idOf('contacts', 7);
  await owner.query(
    `INSERT INTO crm.lead_custom_fields (id, tenant_id, lead_id, field_name) VALUES ('91000000-0000-4000-8000-000000000001', 'x', $1, 'contact.mine')`,
    [lead],
  );
  await owner.query(
    `INSERT INTO crm.leads (id, tenant_id, contact_id) VALUES ('91000000-0000-4000-8000-000000000002', 'x', $1)`,
    [contact],
  );
  const before = await rig.rows();
  const appRows = await dumpTarget(owner, 'app');
  const expected: string[] = [];
  const corrupt = async (table: string, id: string, column: string, value: string) => {
    await change(`UPDATE crm.${table} SET ${column} = ${value} WHERE id::text = $1`, [id]);
    expected.push(`${table} ${id} change ${column}`);
  };
  const remove = async (table: string, id: string) => {
    await change(`DELETE FROM crm.${table} WHERE id::text = $1`, [id]);
    expected.push(`${table} ${id} add`);
  };
  const fabricate = async (table: string, id: string, cells: string) => {
    await change(
      `INSERT INTO crm.${table} SELECT (jsonb_populate_record(t, jsonb_build_object('id', $1::text) || $2::jsonb)).* FROM crm.${table} t WHERE id::text = $3`,
      [id, cells, await idOf(table, 0)],
    );
    expected.push(`${table} ${id} remove`);
  };

  await corrupt('quotes_new', await idOf('quotes_new', 2, 'total IS NOT NULL'), 'total', 'total + 0.01');
  // The same number in other digits is another value.
  await corrupt('quotes_new', await idOf('quotes_new', 5, 'subtotal IS NOT NULL'), 'subtotal', 'subtotal + 0.00000');
  await corrupt('customers', await idOf('customers', 1, 'name IS NOT NULL'), 'name', `'Somebody Else'`);
  await corrupt('contacts', contact, 'email', `'x@y.z'`);
  await corrupt('leads', lead, 'lead_score', '1 + coalesce(lead_score, 0) % 50');
  await corrupt('jobs_new', await idOf('jobs_new', 4), 'legacy_key', `'nobody'`);
  await corrupt('leads', await idOf('leads', 9, 'customer_id IS NOT NULL'), 'legacy_table', `'clients'`);
  // A column that this legacy table does not fill.
  await corrupt('leads', await idOf('leads', 11, 'customer_id IS NOT NULL'), 'notes', `'noted'`);
  const paid = await idOf('payments', 0);
  await change(`UPDATE crm.payments SET deleted_at = now() WHERE id::text = $1`, [paid]);
  expected.push(`payments ${paid} add`);
  await remove('quote_items_new', await idOf('quote_items_new', 3));
  await remove('lead_custom_fields', await idOf('lead_custom_fields', 10));
  await remove('payments', await idOf('payments', 0));
  await remove('dnc_list', await idOf('dnc_list', 0));
  await remove('customer_addresses', await idOf('customer_addresses', 6));
  await remove('rejects', await idOf('rejects', 0));
  await fabricate('tenants', 'nobody', '{}');
  await fabricate('rejects', '91000000-0000-4000-8000-00000000000a', '{"legacy_key": "nobody"}');
  await fabricate('rejects', '91000000-0000-4000-8000-00000000000b', '{"legacy_table": "nowhere"}');
  await fabricate('customers', '91000000-0000-4000-8000-00000000000c', '{"phone_e164": null}');
  await fabricate('invoices_new', '91000000-0000-4000-8000-00000000000d', '{}');
  await fabricate('quote_items_new', '91000000-0000-4000-8000-00000000000e', '{}');
  await change(
    `UPDATE crosswalk.contribution SET data = jsonb_set(data, '{name}', '"X"') WHERE aggregate = 'customers' AND legacy_key = (SELECT min(legacy_key) FROM crosswalk.contribution WHERE aggregate = 'customers' AND live) AND live`,
    [],
  );
  await change(
    `INSERT INTO crosswalk.contribution SELECT (jsonb_populate_record(c, '{"legacy_key": "nobody"}')).* FROM crosswalk.contribution c WHERE aggregate = 'customers' AND live
       AND legacy_key = (SELECT max(legacy_key) FROM crosswalk.contribution WHERE aggregate = 'customers' AND live)`,
    [],
  );
  expect(await rig.differences()).not.toEqual([]);
  const touched = touchedRows(before, await rig.rows());

  const previewed = await rig.rebuild({ dryRun: true });
  expect(previewed.state).toBe('previewed');
  expect(named(previewed)).toEqual(expected.sort());
  expect(touchedRows(before, await rig.rows())).toEqual(touched);
  const contributions = previewed
    .report!.projections.flatMap(({ tables }) => tables)
    .filter(({ table }) => table === 'contribution');
  expect(contributions.map(({ added, changed, removed }) => [added, changed, removed])).toContainEqual([0, 1, 1]);

  const beforeMerge = await rig.rows();
  const asked: unknown[] = [];
  const merged = await rig.rebuild(
    {},
    {
      confirm: async (result) => {
        asked.push(...named(result));
        return true;
      },
    },
  );
  expect(merged.state).toBe('merged');
  expect(asked).toEqual(expected);
  const written = [...new Set(expected.map((each) => each.split(' ').slice(0, 2).join(' ')))].sort();
  expect(touchedRows(beforeMerge, await rig.rows())).toEqual(written);
  expect(await dumpTarget(owner, 'app')).toEqual(appRows);
  expect(await rig.differences()).toEqual([]);
  expect(await rig.rebuild()).toMatchObject({ state: 'equal' });
});

test('of one projection leaves alone what others write into the same tables', async () => {
  const ours = await idOf('leads', 0, 'customer_id IS NOT NULL');
  const theirs = await idOf('leads', 0, 'contact_id IS NOT NULL');
  const reject = await idOf('rejects', 0, `legacy_table = 'contacts'`);
  await change(`UPDATE crm.leads SET name = 'tampered' WHERE id::text = $1`, [ours]);
  await change(`UPDATE crm.leads SET notes = 'tampered' WHERE id::text = $1`, [theirs]);
  await change(`UPDATE crm.rejects SET reason = 'tampered' WHERE id::text = $1`, [reject]);
  const before = await rig.rows();
  const first = await rig.rebuild({ projections: [quotes] });
  expect(first.state).toBe('merged');
  expect(named(first)).toEqual([`leads ${ours} change name`]);
  expect(touchedRows(before, await rig.rows())).toEqual([`leads ${ours}`]);
  const second = await rig.rebuild({ projections: [contacts] });
  expect(named(second)).toEqual([`leads ${theirs} change notes`, `rejects ${reject} change reason`]);
  expect(await rig.differences()).toEqual([]);
});

test('a row of the application that has the id of a projected one stays as it is', async () => {
  const id = await idOf('lead_custom_fields', 0);
  const { rows: projected } = await rig.owner.query<{ tenant_id: string; lead_id: string }>(
    'DELETE FROM crm.lead_custom_fields WHERE id = $1 RETURNING tenant_id, lead_id',
    [id],
  );
  await change(
    `INSERT INTO crm.lead_custom_fields (id, tenant_id, lead_id, field_name, field_value) VALUES ($1, $2, $3, 'mine', 'mine')`,
    [id, projected[0]!.tenant_id, projected[0]!.lead_id],
  );
  const before = await rig.rows();
  const result = await rig.rebuild({ projections: [contacts] });
  const of = result.report!.projections[0]!.tables.find(({ table }) => table === 'lead_custom_fields');
  expect(of).toMatchObject({ added: 0, changed: 0, removed: 0, ofApplication: 1 });
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  await change(`DELETE FROM crm.lead_custom_fields WHERE id::text = $1`, [id]);
  expect(await rig.rebuild({ projections: [contacts] })).toMatchObject({
    state: 'merged',
    merged: { lead_custom_fields: { added: 1, changed: 0, removed: 0 } },
  });
});

test('what the fold of a customer with many quotes needs is found anew after its contributions were merged', async () => {
  const { owner } = rig;
  const { legacy } = rig.source;
  const { rows: made } = await legacy.query<{ id: string }>(
    // Quotes of their own, and no copies of the sample's: where each of them keeps something that no other row does, all of them are needed.
    `INSERT INTO quotes (id, company_id, customer_name, phone, lead_status, created_at, updated_at)
     SELECT gen_random_uuid(), 'c0000000-0000-4000-8000-000000000001', 'Ann', '+1-415-555-2732', 'new', timestamptz '2029-01-01', timestamptz '2030-01-01' + n * interval '1 day'
     FROM generate_series(1, 80) n RETURNING id::text`,
  );
  await rig.untilApplied();
  const [oldest, best] = [made[0]!.id, made.at(-1)!.id];
  const { rows } = await owner.query<{ merge_key: string; front_version: string | null }>(
    `SELECT m.merge_key, m.front_version FROM crosswalk.merge_key m JOIN crosswalk.contribution c USING (aggregate, merge_key) WHERE c.legacy_key = $1 AND c.live`,
    [best],
  );
  expect(rows).toMatchObject([{ front_version: '1' }]);
  // As a program would leave it in which this quote is another one.
  await change(
    `UPDATE crosswalk.contribution SET data = data || '{"name": "X", "updated_at": null}', front = NULL, front_rank = NULL, part_rank = 2 WHERE legacy_key = $1 AND live`,
    [best],
  );
  expect(await rig.rebuild({ projections: [quotes] })).toMatchObject({ state: 'merged' });
  await legacy.query(`UPDATE quotes SET customer_name = 'Bea' WHERE id::text = $1`, [oldest]);
  await rig.untilApplied();
  expect(await rig.differences()).toEqual([]);
  const { rows: customers } = await owner.query(
    `SELECT name, updated_at::date::text AS day FROM crm.customers WHERE id = $1`,
    [rows[0]!.merge_key],
  );
  expect(customers).toEqual([{ name: 'Ann', day: '2030-03-22' }]);
});

test('nobody agrees: nothing changes, and the shadow is there to be read, gone on with, or dropped', async () => {
  const id = await idOf('tenants', 0);
  await change(`UPDATE crm.tenants SET name = 'tampered' WHERE id::text = $1`, [id]);
  const before = await rig.rows();
  const kept = await rig.rebuild({}, { confirm: async () => false });
  expect(kept).toMatchObject({ state: 'kept', merged: null });
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  expect(await rig.shadows()).toEqual(['crosswalk_shadow_test']);
  await inTransaction(rig.owner, async () => {
    await rig.owner.query('SET LOCAL ROLE crosswalk_reader');
    const { rows } = await rig.owner.query('SELECT name FROM crosswalk_shadow_test.tenants WHERE id = $1', [id]);
    expect(rows).toHaveLength(1);
    expect(rows[0]).not.toEqual({ name: 'tampered' });
  });
  await expect(rig.rebuild()).rejects.toMatchObject({
    code: 'config_invalid',
    remedy: expect.stringContaining('--resume'),
  });
  await expect(rig.rebuild({ resume: true, mapping: 'another' })).rejects.toMatchObject({
    message: expect.stringContaining('was begun'),
  });
  await expect(rig.rebuild({ resume: true, projections: [contacts] })).rejects.toMatchObject({
    code: 'config_invalid',
  });
  await expect(rig.rebuild({ resume: true, name: 'unknown' })).rejects.toMatchObject({ code: 'config_invalid' });
  await expect(rig.rebuild({ name: 'Robert"; DROP' })).rejects.toMatchObject({ code: 'config_invalid' });
  // Left behind, it is named; while somebody works on it nobody else may, not even to drop it.
  const found = async () => (await readTargetChecks(rig.owner)).filter(({ name }) => name === 'rebuilds');
  expect(await found()).toMatchObject([{ state: 'warning', what: expect.stringContaining(': test') }]);
  const others: unknown[] = [];
  const merged = await rig.rebuild(
    { resume: true },
    {
      confirm: async () => {
        others.push(await rig.rebuild({ resume: true }).catch((error: Error) => error.message));
        others.push(await discardShadow(rig.config.targetUrl(), 'test').catch((error: Error) => error.message));
        expect(await found()).toMatchObject([{ state: 'ok' }]);
        return true;
      },
    },
  );
  expect(others).toEqual(Array(2).fill(expect.stringContaining('Another process works on')));
  expect(merged).toMatchObject({ state: 'merged', merged: { tenants: { changed: 1 } } });
  expect(await rig.shadows()).toEqual([]);
  await expect(discardShadow(rig.config.targetUrl(), 'test')).rejects.toMatchObject({ code: 'config_invalid' });
});

test('what changes between the comparison and the merge is merged as it is by then', async () => {
  const { owner } = rig;
  const { legacy } = rig.source;
  const { rows } = await legacy.query<{ id: string }>(`SELECT id::text FROM contacts ORDER BY id LIMIT 6`);
  const [first, second, ...others] = rows.map(({ id }) => id);
  await legacy.query(`UPDATE contacts SET lead_status = 'won', lead_score = 3 WHERE id::text = ANY ($1)`, [others]);
  await rig.untilApplied();
  const history = async (table: string, at: number) =>
    (await owner.query<{ id: string }>(`SELECT id::text FROM crm.${table} ORDER BY id OFFSET ${at} LIMIT 1`)).rows[0]!
      .id;
  const audit = await history('lead_audit_log', 0);
  const status = await history('lead_status_history', 1);
  await change(`UPDATE crm.lead_audit_log SET new_value = 'tampered' WHERE id::text = $1`, [audit]);
  await change(`DELETE FROM crm.lead_status_history WHERE id::text = $1`, [status]);
  await change(
    `UPDATE crosswalk.history_state SET state = '{"status": "tampered"}' WHERE projection = 'contact_history' AND legacy_key = $1`,
    [first],
  );
  const deleted = await idOf('quotes_new', 0, `legacy_key NOT IN (SELECT legacy_key FROM crm.rejects)`);
  const written = await idOf('quotes_new', 1, `legacy_key NOT IN (SELECT legacy_key FROM crm.rejects)`);
  const odd = await idOf('quotes_new', 2, `legacy_key NOT IN (SELECT legacy_key FROM crm.rejects)`);
  for (const id of [deleted, written])
    await change(`UPDATE crm.quotes_new SET notes = 'tampered' WHERE id::text = $1`, [id]);
  // Maps as the live one does what is there when it compares, and something else what comes then.
  const newer: Projection = {
    ...quotes,
    map: (row, tenants) => {
      const implied = (quotes as Projection).map(row, tenants);
      const renamed = (implied.rows.quotes_new ?? []).map((each) =>
        each.job_name === 'odd' ? { ...each, job_name: 'even' } : each,
      );
      return { ...implied, rows: { ...implied.rows, quotes_new: renamed } };
    },
  };
  let before: Awaited<ReturnType<RebuildRig['rows']>> | null = null;
  const result = await rig.rebuild(
    { projections: allProjections.map((each) => (each === quotes ? newer : each)) },
    {
      confirm: async (found) => {
        expect(named(found)).toEqual(
          [
            `quotes_new ${deleted} change notes`,
            `quotes_new ${written} change notes`,
            `lead_audit_log ${audit} change new_value`,
            `lead_status_history ${status} add`,
          ].sort(),
        );
        await legacy.query('DELETE FROM quotes WHERE id::text = $1', [deleted]);
        await legacy.query(`UPDATE quotes SET description = 'once more' WHERE id::text = $1`, [written]);
        await legacy.query(`UPDATE quotes SET job_name = 'odd' WHERE id::text = $1`, [odd]);
        await legacy.query(`UPDATE contacts SET lead_status = 'lost' WHERE id::text = $1`, [second]);
        await rig.untilApplied();
        before = await rig.rows();
        return true;
      },
    },
  );
  expect(result).toMatchObject({ state: 'merged', merged: { history_state: { changed: 1 } } });
  expect(touchedRows(before!, await rig.rows())).toEqual(
    [`quotes_new ${odd}`, `lead_audit_log ${audit}`, `lead_status_history ${status}`].sort(),
  );
  const { rows: names } = await owner.query(`SELECT job_name FROM crm.quotes_new WHERE id::text = $1`, [odd]);
  expect(names).toEqual([{ job_name: 'even' }]);
  expect(await rig.rebuild({ projections: [quotes] })).toMatchObject({ state: 'merged' });
  expect(await rig.differences()).toEqual([]);
});

test('where much changes after the comparison, that is compared again before the merge, and every time that the projectors stand still is told', async () => {
  const { owner } = rig;
  const { legacy } = rig.source;
  const [kept, healed] = [await idOf('tenants', 0), await idOf('tenants', 1)];
  for (const id of [kept, healed]) await change(`UPDATE crm.tenants SET name = 'tampered' WHERE id = $1`, [id]);
  const { rows: contact } = await legacy.query<{ id: string }>('SELECT max(id::text) AS id FROM contacts');
  let before: Awaited<ReturnType<RebuildRig['rows']>> | null = null;
  const result = await rig.rebuild(
    {},
    {
      confirm: async () => {
        await owner.query(
          `INSERT INTO crosswalk_shadow_test.replayed_key SELECT p, gen_random_uuid()::text, r.round FROM crosswalk_shadow_test.rebuild r, generate_series(1, 600),
             unnest(ARRAY['contacts', 'contact_history', 'quotes']) p`,
        );
        await legacy.query(`UPDATE workspaces SET plan = 'written anew' WHERE id::text = $1`, [healed]);
        await legacy.query(`UPDATE contacts SET lead_score = 21, lead_status = 'again' WHERE id::text = $1`, [
          contact[0]!.id,
        ]);
        await rig.untilApplied();
        before = await rig.rows();
        return true;
      },
    },
  );
  expect(result).toMatchObject({ state: 'merged', merged: { tenants: { changed: 1 } } });
  expect(result.paused.times).toBeGreaterThanOrEqual(3);
  expect(touchedRows(before!, await rig.rows())).toEqual([`tenants ${kept}`]);
  expect(await rig.differences()).toEqual([]);
});

test('the live offsets that somebody holds are waited for, not for ever, and meanwhile the other partitions go on', async () => {
  await rig.owner.query('BEGIN');
  try {
    await rig.owner.query(
      `SELECT FROM crosswalk.consumer_offset WHERE projection = 'quotes' AND partition = 1 FOR UPDATE`,
    );
    await expect(rig.rebuild({ lockTimeoutMs: 4000 })).rejects.toMatchObject({
      code: 'not_reached',
      message: expect.stringContaining('could not be locked within 4 s'),
    });
  } finally {
    await rig.owner.query('ROLLBACK');
  }
  expect(await rig.rebuild({ resume: true })).toMatchObject({ state: 'equal' });
});

test('a row that the application holds for long is waited for, not for ever, and nothing is merged', async () => {
  const [held, other] = [await idOf('tenants', 0), await idOf('tenants', 1)];
  await rig.owner.query(`UPDATE crm.tenants SET name = 'tampered' WHERE id = ANY ($1)`, [[held, other]]);
  const before = await rig.rows();
  await rig.owner.query('BEGIN');
  try {
    await rig.owner.query('SELECT FROM crm.tenants WHERE id = $1 FOR UPDATE', [held]);
    await expect(rig.rebuild()).rejects.toMatchObject({ code: 'locked', remedy: expect.stringContaining('--resume') });
  } finally {
    await rig.owner.query('ROLLBACK');
  }
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  expect(await rig.rebuild({ resume: true })).toMatchObject({ state: 'merged', merged: { tenants: { changed: 2 } } });
});

test('of projectors that are down ends exactly where they are', async () => {
  await projectors.stop();
  const before = await rig.rows();
  await rig.source.legacy.query(
    `UPDATE quotes SET notes = 'later' WHERE id IN (SELECT id FROM quotes ORDER BY id LIMIT 40)`,
  );
  await rig.source.legacy.query('DELETE FROM quotes WHERE id IN (SELECT id FROM quotes ORDER BY id DESC LIMIT 20)');
  await rig.source.untilCaughtUp();
  expect(await rig.rebuild()).toMatchObject({ state: 'equal' });
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  projectors = rig.project();
  await rig.untilApplied();
  expect(await rig.differences()).toEqual([]);
  expect(await rig.rebuild()).toMatchObject({ state: 'equal' });
});

test('after a merge the figures of the dashboard are those of the merged rows', async () => {
  const { owner } = rig;
  const pending = async () => {
    const { rows } = await owner.query<{ shown: string; counted: string }>(
      `SELECT (SELECT sum(pending_leads) FROM crm.dashboard_stats_data)::text AS shown,
         (SELECT count(*) FROM crm.leads WHERE deleted_at IS NULL AND coalesce(status, 'new') = 'new' AND NOT is_converted)::text AS counted`,
    );
    return rows[0]!;
  };
  await change(`UPDATE crm.leads SET status = 'lost' WHERE id::text = $1`, [await idOf('leads', 0, `status = 'new'`)]);
  await owner.query('SELECT crm.refresh_dashboard_stats()');
  const before = await pending();
  expect(before.shown).toBe(before.counted);
  expect(await rig.rebuild({}, { confirm: () => Promise.resolve(true) })).toMatchObject({ state: 'merged' });
  expect(await pending()).toEqual({
    shown: String(Number(before.shown) + 1),
    counted: String(Number(before.counted) + 1),
  });
});
