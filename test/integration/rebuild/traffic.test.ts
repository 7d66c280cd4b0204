// A rebuild of everything while the legacy application works: readers see what was there before or all of what is merged, and never anything between.
// CROSSWALK_REBUILD_ROWS=<n>: so many legacy contacts and quotes together. CROSSWALK_REBUILD_RATE=<n>: so many changes a second.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createRebuildRig, type RebuildRig, type RunningProjectors } from '../../support/rebuild-rig.ts';
import { waitUntil } from '../../support/wait-until.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
const ROWS = Number(process.env.CROSSWALK_REBUILD_ROWS ?? 1200);
const RATE = Number(process.env.CROSSWALK_REBUILD_RATE ?? 250);
console.log(`CROSSWALK_SEED=${seed}`);
let rig: RebuildRig;
let projectors: RunningProjectors;

beforeAll(async () => {
  rig = await createRebuildRig('rebuild_traffic', {
    seed,
    rows: Math.floor(ROWS / 2),
    env: { CROSSWALK_PARTITIONS: '6', CROSSWALK_SESSION_TIMEOUT_MS: '12000', CROSSWALK_CHUNK_ROWS: '1000' },
  });
  projectors = rig.project();
  await rig.untilApplied(1_800_000);
}, 1_900_000);
afterAll(() => rig?.drop());

/** Rows of tenants whose legacy rows rest, by table, and rows of all tenants that lack what they belong to. All in one snapshot. */
const LOOK = `WITH resting AS MATERIALIZED (SELECT unnest($1::text[]) AS id), live_customers AS (SELECT id FROM crm.customers WHERE deleted_at IS NULL)
  SELECT ${[
    'tenants',
    'status_options',
    'contacts',
    'customers',
    'customer_addresses',
    'leads',
    'quotes_new',
    'jobs_new',
    'invoices_new',
    'payments',
  ]
    .map(
      (table) =>
        `(SELECT count(*) FROM crm.${table} WHERE tenant_id IN (SELECT id FROM resting) AND deleted_at IS NULL)`,
    )
    .join(
      ` || ' ' || `,
    )} || ' ' || (SELECT count(*) FROM crm.quote_items_new WHERE tenant_id IN (SELECT id FROM resting))
    || ' ' || (SELECT count(*) FROM crm.lead_custom_fields WHERE tenant_id IN (SELECT id FROM resting)) AS resting,
  (SELECT sum(total)::text FROM crm.quotes_new WHERE tenant_id IN (SELECT id FROM resting) AND deleted_at IS NULL AND total NOT IN ('NaN', 'Infinity', '-Infinity')) AS total,
  (SELECT count(*) FROM crm.quotes_new q WHERE deleted_at IS NULL AND customer_id NOT IN (SELECT id FROM live_customers))
    + (SELECT count(*) FROM crm.leads q WHERE deleted_at IS NULL AND customer_id IS NOT NULL AND customer_id NOT IN (SELECT id FROM live_customers))
    + (SELECT count(*) FROM crm.quote_items_new i WHERE NOT EXISTS (SELECT FROM crm.quotes_new q WHERE q.id = i.quote_id AND q.deleted_at IS NULL))
    + (SELECT count(*) FROM crm.jobs_new j WHERE deleted_at IS NULL AND NOT EXISTS (SELECT FROM crm.quotes_new q WHERE q.id = j.quote_id AND q.deleted_at IS NULL))
    + (SELECT count(*) FROM crm.invoices_new v WHERE deleted_at IS NULL AND NOT EXISTS (SELECT FROM crm.jobs_new j WHERE j.id = v.job_id AND j.deleted_at IS NULL))
    + (SELECT count(*) FROM crm.leads l WHERE deleted_at IS NULL AND contact_id IS NOT NULL AND NOT EXISTS (SELECT FROM crm.contacts c WHERE c.id = l.contact_id AND c.deleted_at IS NULL)) AS orphans`;

test('readers see all or nothing of it, the projectors go on, and every row is equal in the end', async () => {
  const { rows: workspaces } = await rig.source.legacy.query<{ id: string }>(
    'SELECT id::text FROM workspaces ORDER BY id',
  );
  const half = Math.ceil(workspaces.length / 2);
  const busy = workspaces.slice(0, half).map(({ id }) => id);
  const resting = workspaces.slice(half).map(({ id }) => id);
  // Behind the back of the projectors, and only where the legacy rows rest: what the merge puts right.
  const some = (table: string, condition = 'true') =>
    `id IN (SELECT id FROM crm.${table} WHERE tenant_id = ANY ($1) AND origin = 'cdc' AND ${condition} ORDER BY md5(id::text) LIMIT 40)`;
  for (const sql of [
    `UPDATE crm.quotes_new SET total = total + 1 WHERE ${some('quotes_new', 'total IS NOT NULL')}`,
    `DELETE FROM crm.quote_items_new WHERE ${some('quote_items_new')}`,
    `DELETE FROM crm.lead_custom_fields WHERE ${some('lead_custom_fields')}`,
    `UPDATE crm.customers SET name = 'tampered' WHERE ${some('customers')}`,
    `DELETE FROM crm.payments WHERE ${some('payments')}`,
    `INSERT INTO crm.customers SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'phone_e164', null))).* FROM crm.customers c WHERE ${some('customers')}`,
  ])
    await rig.owner.query(sql, [resting]);

  const traffic = startTraffic({
    url: rig.source.env.LEGACY_DATABASE_URL!,
    seed,
    changesPerSecond: RATE,
    largestTransaction: 100,
    tenants: busy,
  });
  const reader = await connect(rig.source.env.TARGET_DATABASE_URL!, 'reader');
  const stopping = new AbortController();
  const seen = new Map<string, number>();
  const wrong: string[] = [];
  let looks = 0;
  const read = async () => {
    const { rows } = await reader.query<{ resting: string; total: string; orphans: string }>(LOOK, [resting]);
    const { resting: counts, total, orphans } = rows[0]!;
    const look = `${counts} ${total}`;
    if (!seen.has(look)) seen.set(look, looks);
    looks += 1;
    if (orphans !== '0') wrong.push(`${orphans} rows without what they belong to`);
    for (const { name, state, partitions } of projectors.statuses.values())
      if (state !== 'running' || partitions.length === 0)
        wrong.push(`${name} is ${state} with ${partitions.length} partitions`);
  };
  try {
    await waitUntil('changes are applied', () => [...projectors.statuses.values()].every(({ batches }) => batches > 0));
    const reading = (async () => {
      while (!stopping.signal.aborted) {
        await read();
        await sleep(50);
      }
    })();
    await waitUntil('the reader has looked', () => looks > 2);
    const applied = () => [...projectors.statuses.values()].reduce((sum, { applied: rows }) => sum + rows, 0);
    const appliedBefore = applied();
    const startedAtMs = performance.now();
    const result = await rig.rebuild();
    const seconds = (performance.now() - startedAtMs) / 1000;
    expect(result).toMatchObject({ state: 'merged', report: { failures: [] } });
    await waitUntil('changes go on being applied', () => applied() > appliedBefore);
    const { rowChanges } = traffic.progress();
    await waitUntil('the application goes on', () => traffic.progress().rowChanges > rowChanges + RATE);
    stopping.abort();
    await reading;
    console.log(
      `${result.replay.records} records in ${result.replay.seconds.toFixed(1)} s (${Math.round(result.replay.records / result.replay.seconds)}/s), compared in ${result.compareSeconds.toFixed(1)} s, ` +
        `projectors stood still ${Math.round(result.paused.compareMs)} ms and ${Math.round(result.paused.mergeMs)} ms, ${seconds.toFixed(1)} s in all, ${looks} looks`,
    );
    console.log(JSON.stringify(result.merged));
    expect(wrong.slice(0, 5)).toEqual([]);
    expect([...seen.keys()]).toHaveLength(2);
    // What rests was put right, and nothing that moves was taken for a difference: not even at first, since both sides were at one place of the log.
    const reported = new Map<string, { added: number; changed: number; removed: number }>();
    for (const { table, added, changed, removed } of result.report!.projections.flatMap(({ tables }) => tables)) {
      const sum = reported.get(table) ?? { added: 0, changed: 0, removed: 0 };
      reported.set(table, {
        ...{ added: sum.added + added, changed: sum.changed + changed, removed: sum.removed + removed },
      });
    }
    expect(Object.fromEntries([...reported].filter(([, of]) => of.added + of.changed + of.removed > 0))).toEqual(
      result.merged,
    );
    expect(result.merged).toMatchObject({
      quote_items_new: { added: 40, changed: 0, removed: 0 },
      lead_custom_fields: { added: 40, changed: 0, removed: 0 },
      customers: { added: 0, changed: 40, removed: 40 },
    });
  } finally {
    stopping.abort();
    await traffic.stop();
    await reader.end();
  }
  await rig.untilApplied(600_000);
  expect(await rig.differences()).toEqual([]);
  expect(await rig.rebuild({ dryRun: true })).toMatchObject({ report: { differences: [], failures: [] } });
}, 1_800_000);
