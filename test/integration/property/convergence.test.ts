// Random histories of a real legacy database, delivered under random schedules, must lead to the rows that an oracle computes from the legacy tables alone.
// CROSSWALK_SEED=<seed printed> replays a history and its schedule, CROSSWALK_RUNS=<n> runs more of them.

import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { toE164 } from '../../../pipelines/crm/values/phone.ts';
import { applyChanges } from '../../../projectors/write/apply-changes.ts';
import { readTargetShapes } from '../../../projectors/write/catalog.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ChangeLog, createChangeLog, topicOf, withSnapshotReads } from '../../support/change-log.ts';
import { consumeAll, type Tally, type Target } from '../../support/consumers.ts';
import { createProjectorPool, fetchPhones, projections, runOracle } from '../../support/crm.ts';
import { HISTORY_TABLES, installRecorder, readHistory } from '../../support/legacy-history.ts';
import { expectedDncEntries, possibleSuccessors } from '../../support/lifecycle-model.ts';
import { WORKSPACES, writeHistory } from '../../support/random-history.ts';
import { createDatabases } from '../../support/stack.ts';
import { clearTarget, dumpTarget, insertAppRows, openTarget } from '../../support/target-database.ts';

const BASE_SEED = process.env.CROSSWALK_SEED ?? String(Date.now() % 1_000_000);
const RUNS = Number(process.env.CROSSWALK_RUNS ?? (process.env.CROSSWALK_SEED ? 1 : 5));
const CHANGES = 350;

const BRITISH = { country: 'GB', userId: '2', chatbotId: '2' };
const tenants = createTenants({ tenants: { [WORKSPACES[1]]: BRITISH } });
const total = {
  runs: 0,
  changes: 0,
  snapshotReads: 0,
  batches: 0,
  parked: 0,
  stale: 0,
  crashes: 0,
  deadlocks: 0,
  isolated: 0,
};

/** Topics that histories wrote to, with what they did there. */
const written = new Set<string>();

let databases: Awaited<ReturnType<typeof createDatabases>>;
let legacy: pg.Client;
let inspector: pg.Client;
let target: Target;

beforeAll(async () => {
  databases = await createDatabases('property');
  legacy = await connect(databases.legacyUrl, 'test');
  await legacy.query(readFileSync(new URL('../../../pipelines/crm/sample/legacy-schema.sql', import.meta.url), 'utf8'));
  await installRecorder(legacy);
  inspector = await openTarget(databases.targetUrl);
  const pool = createProjectorPool(databases.targetUrl, 'consumer', 8);
  target = {
    pool,
    terminate: async () => {
      await inspector.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crosswalk-consumer' AND state <> 'idle' LIMIT 1`,
      );
    },
    shapes: await readTargetShapes(pool, projections),
    projections,
    tenants,
  };
});
afterAll(async () => {
  console.info(`property: ${JSON.stringify(total)}`);
  await target?.pool.end();
  await inspector?.end();
  await legacy?.end();
  await databases?.drop();
});

const runs = Array.from({ length: RUNS }, (_, run) =>
  process.env.CROSSWALK_SEED && run === 0 ? BASE_SEED : `${BASE_SEED}-${run}`,
);

test.each(runs)('the live rows depend on the legacy rows alone: CROSSWALK_SEED=%s', async (seed) => {
  await legacy.query(`TRUNCATE ${HISTORY_TABLES.join(', ')}, history.change CASCADE`);
  await clearTarget(inspector);
  await insertAppRows(inspector);
  const appRows = await dumpTarget(inspector, 'app');

  const random = createRandom(seed);
  await writeHistory(legacy, random, seed, CHANGES);
  const history = await readHistory(legacy);
  const entries = withSnapshotReads(history, Math.floor(history.length * random.pick([0, 0.2, 0.5])), random);
  const partitions = random.pick([1, 3, 12, 12]);
  const schedule = () => ({ consumers: random.int(3, 6), largestBatch: random.pick([3, 20, 400]) });

  const log = createChangeLog(entries, HISTORY_TABLES, partitions);
  count(log, await consumeAll(target, log, random, schedule()));
  await expectSettled();
  await expectLifecycle(log);
  expect(await dumpTarget(inspector, 'app')).toEqual(appRows);
  await expectStaleRefused(log);

  // Once more from the beginning, under another schedule.
  const live = await dumpTarget(inspector, 'live');
  await inspector.query('UPDATE crosswalk.consumer_offset SET next_offset = 0');
  const again = createChangeLog(entries, HISTORY_TABLES, partitions);
  count(again, await consumeAll(target, again, random, schedule()));
  expect(await dumpTarget(inspector, 'live')).toEqual(live);
  await expectSettled();
});

test('the schedules contained what they are for', () => {
  if (RUNS < 5) return;
  for (const what of ['snapshotReads', 'parked', 'stale', 'crashes', 'isolated'] as const) {
    expect(total[what], what).toBeGreaterThan(0);
  }
  // Rows of every table that a projection reads came, changed and went.
  const wanted = HISTORY_TABLES.flatMap((table) => ['c', 'u', 'd'].map((op) => `${topicOf(table)} ${op}`));
  expect(wanted.filter((each) => !written.has(each))).toEqual([]);
});

function count(log: ChangeLog, tally: Tally): void {
  total.runs++;
  total.changes += log.changes.length;
  for (const { record, op } of log.changes) written.add(`${record.topic} ${op}`);
  total.snapshotReads += log.changes.filter(({ op }) => op === 'r').length;
  for (const name of Object.keys(tally) as (keyof Tally)[]) total[name] += tally[name];
}

async function expectSettled(): Promise<void> {
  const left = await inspector.query(
    `SELECT 'parked' AS what, reason FROM crosswalk.parked_change UNION ALL SELECT 'dead', reason FROM crosswalk.dead_letter`,
  );
  expect(left.rows).toEqual([]);
  const raw = await fetchPhones(databases.legacyUrl);
  const phones = raw.flatMap((phone) =>
    ['US', 'GB'].map((country) => ({ raw: phone, country, e164: toE164(phone, country) })),
  );
  const differences = await runOracle({ ...databases, phones, tenants: [{ tenantId: WORKSPACES[1], ...BRITISH }] });
  expect(differences).toEqual([]);
}

async function expectLifecycle(log: ChangeLog): Promise<void> {
  const dnc = await inspector.query<{ entry: string }>(
    `SELECT tenant_id || '|' || identity AS entry FROM crm.dnc_list WHERE origin = 'cdc' AND deleted_at IS NULL`,
  );
  expect(new Set(dnc.rows.map((row) => row.entry))).toEqual(expectedDncEntries(log.changes, tenants));

  const successors = possibleSuccessors(log.changes, tenants);
  const gone = await inspector.query<{ id: string; superseded_by: string | null; deleted_at: string }>(
    `SELECT id, superseded_by, deleted_at FROM crm.customers WHERE origin = 'cdc' AND deleted_at IS NOT NULL AND legacy_table <> 'clients'`,
  );
  for (const { id, superseded_by } of gone.rows) expect([...successors.get(id)!], id).toContain(superseded_by);

  const wrong = await inspector.query(`
    SELECT 'lineage of a row is not its own row' AS what, id::text FROM crm.quotes_new WHERE origin = 'cdc' AND (legacy_table, legacy_key) IS DISTINCT FROM ('quotes', id::text)
    UNION ALL SELECT 'deleted before it was written', id::text FROM crm.contacts WHERE origin = 'cdc' AND deleted_at IS DISTINCT FROM source_committed_at AND deleted_at IS NOT NULL
    UNION ALL SELECT 'a live quote names a deleted customer', q.id::text FROM crm.quotes_new q JOIN crm.customers c ON c.id = q.customer_id WHERE q.origin = 'cdc' AND q.deleted_at IS NULL AND c.deleted_at IS NOT NULL
    UNION ALL SELECT 'two live contributions of one row', legacy_key FROM crosswalk.contribution WHERE live GROUP BY aggregate, legacy_table, legacy_key HAVING count(*) > 1`);
  expect(wrong.rows).toEqual([]);
}

/** Redelivery by consumers that hold an old offset: every one is refused, and nothing changes. */
async function expectStaleRefused(log: ChangeLog): Promise<void> {
  const before = await dumpTarget(inspector, 'all');
  for (const { topic, partition, read } of log.partitions) {
    const changes = read(0n, 5);
    const last = changes.at(-1);
    if (last === undefined) continue;
    const projection = projections.find(({ source }) => topic.endsWith(`.${source}`))!;
    const slice = { changes, expected: changes[0]!.record.offset, next: last.record.offset + 1n };
    await expect(
      applyChanges(target.pool, { ...target, projection }, { projection: projection.name, topic, partition }, slice),
    ).rejects.toMatchObject({ code: 'stale_consumer' });
  }
  expect(await dumpTarget(inspector, 'all')).toEqual(before);
}
