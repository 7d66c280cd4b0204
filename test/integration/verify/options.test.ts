// What a verification counts, and its options, on a legacy database with a partitioned table.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import { createFence } from '../../../projectors/verify/fence.ts';
import { verifiedTables } from '../../../projectors/verify/plan.ts';
import { verifyAll } from '../../../projectors/verify/verify.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { projections, readTenants, sources } from '../../support/crm.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';
import { waitUntil } from '../../support/wait-until.ts';

const schema = readFileSync(
  new URL('../../../pipelines/crm/sample/legacy-schema.sql', import.meta.url),
  'utf8',
).replace(
  /(CREATE TABLE quotes \([^;]*)\);/,
  `$1) PARTITION BY HASH (id);
   CREATE TABLE quotes_a PARTITION OF quotes FOR VALUES WITH (MODULUS 2, REMAINDER 0);
   CREATE TABLE quotes_b PARTITION OF quotes FOR VALUES WITH (MODULUS 2, REMAINDER 1);`,
);

let pipeline: VerifyRig;
const commands: CliProcess[] = [];

beforeAll(async () => {
  // What the session of a test names with a schema, the sample's file does not.
  const path = 'SET search_path = public;';
  pipeline = await createVerifyRig('verify_options', {
    seed: 'options',
    contacts: 250,
    quotes: 250,
    schema: `${path}${schema}`,
  });
});
afterEach(async () => {
  for (const { child, isRunning } of commands) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(commands.map(({ ended }) => ended));
});
afterAll(() => pipeline?.drop());

function start(...args: string[]): CliProcess {
  const started = startCli(args, { NODE_NO_WARNINGS: '1', ...pipeline.rig.env });
  commands.push(started);
  return started;
}

async function one(text: string, values: unknown[] = []): Promise<Record<string, string>> {
  const { rows } = await pipeline.target.query<Record<string, string>>(text, values);
  return rows[0]!;
}

test('the total of the progress counts the rows of both sides, partitions included', async () => {
  await pipeline.legacy.query('ANALYZE');
  await pipeline.target.query('ANALYZE');
  const shown: { done: number; total: number }[] = [];
  const result = await pipeline.verify({ chunkRows: 70, onRows: (done, total) => shown.push({ done, total }) });
  expect(result.ok).toBe(true);
  const compared = result.legacyRows + result.targetRows;
  expect(shown.at(-1)!.done).toBe(compared);
  // Right after ANALYZE, the estimates of small tables are exact; retracted rows are counted and not compared.
  for (const { total } of shown) expect(total).toBeGreaterThanOrEqual(compared);
  expect(shown[0]!.total).toBeLessThan(2 * compared);
});

test('counts and sums are those of the tables, partitions included', async () => {
  const result = await pipeline.verify({ chunkRows: 70 });
  expect(namesOf(result)).toEqual([]);
  expect(result.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(result.ok).toBe(true);
  // That rows are equal is seen at first sight: nothing waits for a fence but the beginning.
  expect(result.fences).toBe(1);
  const { rows: legacy } = await pipeline.legacy.query<{ rows: string }>(
    `SELECT ${projections.map(({ source }) => `(SELECT count(*) FROM public.${source})`).join(' + ')} AS rows`,
  );
  expect(result.legacyRows).toBe(Number(legacy[0]!.rows));
  for (const { table, expected, actual } of result.tables) {
    const source = table === 'contribution' ? 'crosswalk.contribution WHERE live' : `crm.${table} WHERE origin = 'cdc'`;
    const { count } = await one(
      `SELECT count(*) FROM ${source} AND coalesce(to_jsonb(${table}) ->> 'deleted_at', '') = ''`,
    );
    expect([table, expected, actual]).toEqual([table, Number(count), Number(count)]);
  }
  expect(result.sums.map(({ table, column }) => `${table}.${column}`)).toContain('quote_items_new.unit_price');
  for (const { table, column, expected, actual } of result.sums) {
    const { sum } = await one(
      `SELECT trim_scale(coalesce(sum(${column}), 0))::text AS sum FROM crm.${table} t WHERE origin = 'cdc' AND coalesce(to_jsonb(t) ->> 'deleted_at', '') = ''`,
    );
    expect([table, column, expected, actual]).toEqual([table, column, sum, sum]);
  }
  const { total } = await one(
    `SELECT trim_scale(sum(total))::text AS total FROM crm.quotes_new WHERE deleted_at IS NULL`,
  );
  expect(result.checks.find(({ name }) => name === 'sum of totals')).toMatchObject({ expected: total, ok: true });
});

test('money that no new row shows is counted, with the sum of its totals', async () => {
  const { notes } = await pipeline.verify();
  const { rows } = await pipeline.legacy.query<Record<string, string>>(
    `SELECT count(*) FILTER (WHERE paid_at IS NOT NULL AND NOT invoiced) AS paid, sum(total) FILTER (WHERE paid_at IS NOT NULL AND NOT invoiced AND total <> 'NaN')::text AS sum,
       count(*) FILTER (WHERE invoiced AND (total IS NULL OR total = 'NaN')) AS unknown
     FROM (SELECT *, coalesce(btrim(invoice_number, E' \\u00a0'), '') <> '' AS invoiced FROM public.quotes) q`,
  );
  const { paid, sum, unknown } = rows[0]!;
  expect([Number(paid), Number(unknown)].every((count) => count > 0)).toBe(true);
  expect(notes).toMatchObject([
    { reason: 'paid without an invoice number', count: Number(paid), sum },
    { reason: 'invoice without an amount', count: Number(unknown), sum: null },
    { reason: 'name a lead that was converted to another client', counted: 'clients', sum: null },
  ]);
  const shown = start('verify');
  await shown.ended;
  expect(shown.stdout()).toContain(`note   paid without an invoice number: ${paid} quotes, sum of totals ${sum}`);
  const conflicts = await pipeline.legacy.query<{ count: string }>(
    'SELECT count(*) FROM public.clients c JOIN public.leads l ON l.id = c.converted_from_lead_id WHERE l.client_id <> c.id',
  );
  expect(notes.at(-1)!.count).toBe(Number(conflicts.rows[0]!.count));
  expect(shown.stdout()).toContain('clients (see the view lead_conversion_conflicts)');
});

test('how far the tables are verified is kept by tenant', async () => {
  const { rows: workspaces } = await pipeline.legacy.query<{ id: string }>(
    'SELECT id FROM public.workspaces ORDER BY id',
  );
  const [first, second] = workspaces.map(({ id }) => id) as [string, string];
  await pipeline.verify();
  const before = await one(
    `SELECT verified_through::text AS through, rows, differences, unsettled FROM crosswalk.verified WHERE table_name = 'contacts' AND tenant_id = $1`,
    [first],
  );
  const { count } = await one(`SELECT count(*) FROM crm.contacts WHERE tenant_id = $1 AND deleted_at IS NULL`, [first]);
  expect(before).toMatchObject({ rows: count, differences: '0', unsettled: '0' });
  const all = await one(
    `SELECT count(DISTINCT table_name) AS tables, count(*) FILTER (WHERE tenant_id = '*') AS whole FROM crosswalk.verified`,
  );
  const tables = verifiedTables(projections).length;
  expect(all).toEqual({ tables: String(tables), whole: String(tables) });

  // One tenant alone: what differs elsewhere is not looked at, and nothing is said of it.
  await pipeline.target.query(
    `UPDATE crm.contacts SET name = 'tampered' WHERE id = (SELECT id FROM crm.contacts WHERE tenant_id = $1 ORDER BY id LIMIT 1)`,
    [second],
  );
  try {
    const ofFirst = await pipeline.verify({ tenant: first, chunkRows: 40 });
    expect(ofFirst.ok).toBe(true);
    const { rows: own } = await pipeline.legacy.query<{ rows: string }>(
      `SELECT ${projections
        .map(
          ({ source, tenant }) =>
            `(SELECT count(*) FROM public.${source}${tenant ? ` WHERE ${tenant.column}::text = $1` : ''})`,
        )
        .join(' + ')} AS rows`,
      [first],
    );
    expect(ofFirst.legacyRows).toBe(Number(own[0]!.rows));
    const after = await one(
      `SELECT (verified_through > $2)::text AS later, differences FROM crosswalk.verified WHERE table_name = 'contacts' AND tenant_id = $1`,
      [first, before.through],
    );
    expect(after).toEqual({ later: 'true', differences: '0' });
    const ofSecond = await pipeline.verify({ tenant: second });
    expect(ofSecond.tables.find(({ table }) => table === 'contacts')).toMatchObject({ differing: 1 });
    expect(
      await one(`SELECT differences FROM crosswalk.verified WHERE table_name = 'contacts' AND tenant_id = $1`, [
        second,
      ]),
    ).toEqual({ differences: '1' });
    expect((await pipeline.verify({ tenant: 'unassigned' })).ok).toBe(true);
    const repair = await pipeline.repair(ofSecond.run);
    expect(repair).toMatchObject({ repaired: 1, left: [] });
    expect(
      await one(`SELECT differences FROM crosswalk.verified WHERE table_name = 'contacts' AND tenant_id = $1`, [
        second,
      ]),
    ).toEqual({ differences: '0' });
  } finally {
    await pipeline.target.query(`UPDATE crosswalk.verified SET differences = 0`);
  }
});

test('a row that another tenant is shown is a difference of both, whichever is verified', async () => {
  const { rows } = await pipeline.target.query<{ id: string; tenant: string }>(
    `SELECT DISTINCT ON (tenant_id) id, tenant_id AS tenant FROM crm.contacts WHERE deleted_at IS NULL ORDER BY tenant_id, id`,
  );
  const [{ id, tenant: theirs }, { tenant: others }] = rows as [(typeof rows)[0], (typeof rows)[0]];
  const differences = async (tenant: string) =>
    (await one(`SELECT differences FROM crosswalk.verified WHERE table_name = 'contacts' AND tenant_id = $1`, [tenant]))
      .differences;
  await pipeline.target.query('UPDATE crm.contacts SET tenant_id = $2 WHERE id = $1', [id, others]);
  const alone = await pipeline.verify({ tenant: others });
  expect(alone.ok).toBe(false);
  expect(namesOf(alone)).toEqual([`contacts ${id} tenant_id`]);
  expect(await differences(others)).toBe('1');
  const whole = await pipeline.verify();
  expect(namesOf(whole)).toEqual([`contacts ${id} tenant_id`]);
  expect([await differences(theirs), await differences(others), await differences('*')]).toEqual(['1', '1', '1']);
  expect(await pipeline.repair(whole.run)).toMatchObject({ repaired: 1, leftRows: 0, beyond: 0 });
  expect([await differences(theirs), await differences(others), await differences('*')]).toEqual(['0', '0', '0']);
});

test('a row that cannot be compared is not verified', async () => {
  const { rows } = await pipeline.legacy.query<{ id: string; tenant: string }>(
    'SELECT id, workspace_id AS tenant FROM public.contacts ORDER BY id LIMIT 1',
  );
  const { id, tenant } = rows[0]!;
  const broken = projections.map((projection) => ({
    ...projection,
    map: (...[row, tenants]: Parameters<typeof projection.map>) => {
      if (row.id === id && projection.name === 'contacts') throw new Error('broken');
      return projection.map(row, tenants);
    },
  }));
  const options = { kafka: createKafka(pipeline.rig.config.kafka(), createLog('silent')), limit: 10 };
  const result = await verifyAll(pipeline.rig.config, broken, readTenants(), {
    ...options,
    signal: AbortSignal.timeout(60_000),
  });
  expect(result).toMatchObject({ ok: false, unmappable: [{ projection: 'contacts', legacyKey: id }] });
  const { unsettled } = await one(`SELECT sum(unsettled) AS unsettled FROM crosswalk.verified WHERE tenant_id = $1`, [
    tenant,
  ]);
  expect(unsettled).toBe('1');
  expect((await pipeline.verify()).ok).toBe(true);
});

test('more differences than are kept by name are not forgotten', async () => {
  await pipeline.target.query(
    `DELETE FROM crm.quote_items_new WHERE id IN (SELECT DISTINCT ON (quote_id) id FROM crm.quote_items_new ORDER BY quote_id, id LIMIT 15)`,
  );
  const first = await pipeline.verify({ keptLines: 10 });
  expect(first.tables.find(({ table }) => table === 'quote_items_new')).toMatchObject({ missing: 15 });
  expect(namesOf(first)).toHaveLength(10);
  expect(await pipeline.repair(first.run)).toMatchObject({ repaired: 10, leftRows: 0, beyond: 5 });
  const second = await pipeline.verify();
  expect(namesOf(second)).toHaveLength(5);
  expect(await pipeline.repair(second.run)).toMatchObject({ repaired: 5, leftRows: 0, beyond: 0 });
});

test('what could not be saved is not lost', async () => {
  await pipeline.target.query(
    `UPDATE crm.status_options SET color = 'tampered' WHERE id = (SELECT min(id) FROM crm.status_options)`,
  );
  await pipeline.target.query(`CREATE FUNCTION crosswalk.refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;
    CREATE TRIGGER refuse_once BEFORE INSERT ON crosswalk.verification_difference FOR EACH ROW EXECUTE FUNCTION crosswalk.refuse_once()`);
  await expect(pipeline.verify()).rejects.toThrow();
  await pipeline.target.query('DROP FUNCTION crosswalk.refuse_once() CASCADE');
  const resumed = await pipeline.verify({ resume: true });
  expect(namesOf(resumed)).toHaveLength(1);
  expect(await pipeline.repair(resumed.run)).toMatchObject({ repaired: 1, leftRows: 0 });
});

test('a run is worked on by one process alone', async () => {
  const stopping = new AbortController();
  const running = pipeline.verify({ chunkRows: 20, maxRate: 50, signal: stopping.signal });
  running.catch(() => undefined);
  await waitUntil(
    'it has begun',
    async () => (await one(`SELECT count(*) FROM crosswalk.verification_run WHERE finished_at IS NULL`)).count === '1',
  );
  await expect(pipeline.verify({ resume: true })).rejects.toMatchObject({ code: 'config_invalid' });
  stopping.abort(new Error('test'));
  await expect(running).rejects.toThrow();
  expect((await pipeline.verify({ resume: true })).ok).toBe(true);
});

test('a fence that is closed lets nobody wait for it', async () => {
  const { config } = pipeline.rig;
  const fence = createFence({
    ...{ config, kafka: createKafka(config.kafka(), createLog('silent')), target: pipeline.target, timeoutMs: 0 },
    signal: new AbortController().signal,
  });
  // The place is being marked meanwhile.
  const passing = fence.pass(pipeline.legacy, projections);
  await fence.close();
  await expect(passing).rejects.toThrow('closed');
});

test('it needs no more than the rights of a connector and a projector', async () => {
  const role = `verify_${randomBytes(4).toString('hex')}`;
  const addressAs = (url: string, suffix: string) => {
    const address = new URL(url);
    address.username = `${role}_${suffix}`;
    address.password = 'secret';
    return address.href;
  };
  const { LEGACY_DATABASE_URL: legacyUrl, TARGET_DATABASE_URL: targetUrl } = pipeline.rig.env;
  await pipeline.legacy.query(`CREATE ROLE ${role}_connector LOGIN REPLICATION PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO ${role}_connector;
    GRANT SELECT ON ${sources.map((source) => `public.${source}`).join(', ')} TO ${role}_connector`);
  await pipeline.target.query(`CREATE ROLE ${role}_projector LOGIN PASSWORD 'secret' IN ROLE crosswalk_projector`);
  try {
    const command = startCli(['verify', '--json'], {
      ...{ NODE_NO_WARNINGS: '1', ...pipeline.rig.env },
      LEGACY_DATABASE_URL: addressAs(legacyUrl!, 'connector'),
      TARGET_DATABASE_URL: addressAs(targetUrl!, 'projector'),
    });
    commands.push(command);
    expect(`${await command.ended} ${command.stderr()}`).toBe('0 ');
  } finally {
    await pipeline.legacy.query(`DROP OWNED BY ${role}_connector; DROP ROLE ${role}_connector`);
    await pipeline.target.query(`DROP ROLE ${role}_projector`);
  }
});

test('a rate is kept to', async () => {
  const free = await pipeline.verify({ chunkRows: 50 });
  const rows = free.legacyRows + free.targetRows;
  const startedAtMs = performance.now();
  const slow = await pipeline.verify({ chunkRows: 50, maxRate: Math.round(rows / 8) });
  expect(slow.legacyRows + slow.targetRows).toBe(rows);
  // The last chunk of each part is not waited for, a table is read by its blocks, and a second of them is let pass at once.
  expect(performance.now() - startedAtMs).toBeGreaterThan(1500);
});

test('a killed verification goes on where it was', async () => {
  const whole = await pipeline.verify();
  await pipeline.target.query(
    `UPDATE crm.status_options SET color = 'tampered' WHERE id = (SELECT min(id) FROM crm.status_options)`,
  );
  try {
    const killed = start('verify', '--max-rate', '500');
    const progress = async () =>
      (
        await one(
          `SELECT coalesce(max((progress ->> 'legacyRows')::int), 0) AS rows FROM crosswalk.verification_run WHERE finished_at IS NULL`,
        )
      ).rows!;
    await waitUntil('some of it is saved', async () => Number(await progress()) > 100, 60_000);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const saved = Number(await progress());
    expect(saved).toBeLessThan(whole.legacyRows);

    const resumed = start('verify', '--resume', '--json');
    expect(await resumed.ended).toBe(1);
    const result = JSON.parse(resumed.stdout()) as typeof whole;
    expect(result.legacyRows).toBe(whole.legacyRows);
    const counts = ({ tables }: typeof whole) =>
      tables.map(({ table, expected, actual }) => ({ table, expected, actual }));
    expect(counts(result)).toEqual(counts(whole));
    expect(result.sums).toEqual(whole.sums);
    // What had been found before the kill is there.
    expect(result.tables.find(({ table }) => table === 'status_options')).toMatchObject({
      differing: 1,
      differences: [{ column: 'color' }],
    });
    expect(resumed.stdout()).not.toContain('tampered');
    const again = start('verify', '--resume');
    expect(await again.ended).toBe(2);
    expect(again.stderr()).toContain('no unfinished verification');
  } finally {
    await pipeline.repair((await one(`SELECT run_id FROM crosswalk.verified WHERE tenant_id = '*' LIMIT 1`)).run_id!);
  }
}, 180_000);

test('one that is always on keeps the time moving, tells metrics, and ends on SIGTERM', async () => {
  const port = await findFreePort();
  const through = async () =>
    (await one(`SELECT min(verified_through)::text AS through FROM crosswalk.verified WHERE tenant_id = '*'`)).through!;
  const before = await through();
  const watching = startCli(['verify', '--watch', '--rest', '1'], {
    NODE_NO_WARNINGS: '1',
    ...pipeline.rig.env,
    CROSSWALK_HTTP_PORT: String(port),
  });
  commands.push(watching);
  const metric = async (name: string) => {
    const text = await fetch(`http://127.0.0.1:${port}/metrics`).then(
      (response) => response.text(),
      () => '',
    );
    return Number(new RegExp(`^crosswalk_verify_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  };
  await waitUntil('two passes are over', async () => (await metric('passes_total')) >= 2, 60_000);
  expect(
    (await one('SELECT ($1::timestamptz > $2::timestamptz)::text AS later', [await through(), before])).later,
  ).toBe('true');
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  expect(await metric('table_difference_rows\\{table="quotes_new"\\}')).toBe(0);
  expect(await metric('table_age_seconds\\{table="quotes_new"\\}')).toBeLessThan(60);
  expect(await metric('rows_total')).toBeGreaterThan(1000);
  const { tenant } = await one('SELECT min(id) AS tenant FROM crm.tenants');
  expect(await metric(`tenant_difference_rows\\{tenant="${tenant}"\\}`)).toBe(0);
  expect(await metric(`tenant_age_seconds\\{tenant="${tenant}"\\}`)).toBeLessThan(60);
  await pipeline.target.query(
    `UPDATE crm.quotes_new SET notes = 'tampered' WHERE id = (SELECT id FROM crm.quotes_new WHERE deleted_at IS NULL ORDER BY id LIMIT 1)`,
  );
  await waitUntil(
    'the difference is told',
    async () => (await metric('table_difference_rows\\{table="quotes_new"\\}')) === 1,
    60_000,
  );
  const health = (await (await fetch(`http://127.0.0.1:${port}/healthz`)).json()) as { reason: string };
  expect(health.reason).toContain('quotes_new');
  expect(watching.stderr()).not.toContain('tampered');
  watching.child.kill('SIGTERM');
  expect(await watching.ended).toBe(0);
}, 180_000);

test('what cannot be sent again is named with the reason, and left; what is repaired is so from the command line too', async () => {
  const { target } = pipeline;
  const { id } = await one(`SELECT id FROM crm.rejects ORDER BY id LIMIT 1`);
  await target.query(
    `INSERT INTO crm.rejects SELECT (jsonb_populate_record(r, '{"id": "99999999-9999-4999-8999-999999999999", "legacy_key": "no key"}')).* FROM crm.rejects r WHERE id = $1`,
    [id],
  );
  try {
    const repairing = start('verify', '--repair', '--yes', '--json');
    expect(`${await repairing.ended} ${repairing.stderr()}`).toBe('1 ');
    const { tables, repair } = JSON.parse(repairing.stdout()) as {
      tables: { table: string; extra: number; differing: number }[];
      repair: { repaired: number; left: { id: string; reason: string }[] };
    };
    // The note that was tampered with above, too.
    expect(tables.find(({ table }) => table === 'rejects')).toMatchObject({ extra: 1 });
    expect(tables.find(({ table }) => table === 'quotes_new')).toMatchObject({ differing: 1 });
    expect(repair.repaired).toBe(1);
    expect(repair.left).toMatchObject([
      { id: '99999999-9999-4999-8999-999999999999', reason: expect.stringContaining('no key') },
    ]);
  } finally {
    await target.query(`DELETE FROM crm.rejects WHERE legacy_key = 'no key'`);
  }
  expect((await pipeline.verify()).ok).toBe(true);
}, 120_000);

test('a parked change and a dead letter explain a difference, and do not hide it', async () => {
  const { target } = pipeline;
  const { rows } = await target.query<{ id: string }>(
    `SELECT id FROM crm.contacts WHERE deleted_at IS NULL ORDER BY id LIMIT 2`,
  );
  const [first, second] = rows.map(({ id }) => id) as [string, string];
  await pipeline.stopProjectors();
  try {
    await target.query(`UPDATE crm.contacts SET name = 'tampered' WHERE id = ANY ($1)`, [[first, second]]);
    await target.query(
      `INSERT INTO crosswalk.parked_change SELECT 'contacts', 'topic', 0, 1, $1, '0/1', '', '', 'waits', now()`,
      [first],
    );
    await target.query(
      `INSERT INTO crosswalk.dead_letter (projection, topic, partition, record_offset, legacy_table, legacy_key, source_lsn, reason, mapping_version, record_key)
       VALUES ('contacts', 'topic', 0, 2, 'contacts', $1, '0/1', 'failed', '1', '')`,
      [second],
    );
    const result = await pipeline.verify({ limits: { mostLooks: 4 } });
    const found = result.tables.flatMap(({ differences }) => differences);
    expect(new Map(found.map(({ id, explained }) => [id, explained]))).toEqual(
      new Map([
        [first, 'parked'],
        [second, 'dead letter'],
      ]),
    );
    expect(result.exceptions).toMatchObject({ parked: 1, deadLetters: 1 });
    // They explain, and prove nothing: without a difference an open dead letter still is one.
    await target.query('DELETE FROM crosswalk.parked_change');
    await target.query(`UPDATE crm.contacts SET name = name`);
    pipeline.startProjectors();
    expect((await pipeline.repair(result.run)).left).toEqual([]);
    expect((await pipeline.verify()).ok).toBe(true);
  } finally {
    await target.query('DELETE FROM crosswalk.parked_change; DELETE FROM crosswalk.dead_letter');
  }
}, 120_000);
