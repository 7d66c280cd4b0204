// One history, logged in 1, 3 and 12 partitions and replayed in batches of different sizes, leads to the same rows, ids included.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import { discardShadow } from '../../../projectors/rebuild/shadow.ts';
import { allProjections, parseConfig } from '../../support/crm.ts';
import { createRebuildRig, type RebuildRig } from '../../support/rebuild-rig.ts';
import { HISTORY_TABLES, PROJECTED_TABLES } from '../../support/target-database.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
console.log(`CROSSWALK_SEED=${seed}`);
const PARTITIONS = [1, 3, 12] as const;
/** Of the rows of these tables every one is folded; of `leads` some are. */
const isFoldedAlone = (table: string) =>
  allProjections.some(({ aggregates }) => aggregates.some(({ targets }) => targets.some((of) => of.table === table))) &&
  table !== 'leads';
const rigs: RebuildRig[] = [];
let reference: Record<string, string[]> | null = null;

beforeAll(async () => {
  for (const partitions of PARTITIONS) {
    rigs.push(
      await createRebuildRig(`replay_${partitions}`, {
        ...{ seed, rows: rigs.length === 0 ? 120 : 0, env: { CROSSWALK_PARTITIONS: String(partitions) } },
        ...(rigs.length === 0 ? {} : { legacyUrl: rigs[0]!.source.env.LEGACY_DATABASE_URL! }),
      }),
    );
  }
  // A do-not-call entry is history: each log must hold all of it.
  for (const rig of rigs) await rig.source.untilCaughtUp();
  await startTraffic({
    url: rigs[0]!.source.env.LEGACY_DATABASE_URL!,
    seed,
    changesPerSecond: 200,
    largestTransaction: 60,
    stopAfter: { changes: 1500 },
  }).done;
  for (const rig of rigs) {
    const projectors = rig.project();
    await rig.untilApplied();
    await projectors.stop();
  }
}, 300_000);
afterAll(async () => {
  for (const rig of rigs.toReversed()) await rig.drop();
});

/** Live rows without their positions in the log, and histories with them, as a rebuild makes them with batches of this size. */
async function replayed(rig: RebuildRig, batchRows: number): Promise<Record<string, string[]>> {
  const config = parseConfig({ ...rig.env, CROSSWALK_BATCH_ROWS: String(batchRows) });
  const { rows } = await rig.owner.query<{ id: string }>('SELECT id FROM crm.tenants ORDER BY id LIMIT 1');
  // Something differs, so that the shadow is kept.
  await rig.owner.query(`UPDATE crm.tenants SET plan = 'tampered' WHERE id = $1`, [rows[0]!.id]);
  const result = await rig.rebuild({}, { confirm: async () => false }, config);
  expect(result.report!.differences).toMatchObject([{ table: 'tenants', id: rows[0]!.id, column: 'plan' }]);
  expect(result).toMatchObject({ state: 'kept', report: { failures: [], waiting: { after: 0 } } });
  const dump: Record<string, string[]> = {};
  for (const table of PROJECTED_TABLES) {
    const found = await rig.owner.query<{ row: string }>(
      `SELECT (to_jsonb(t) - '{source_lsn,source_xid,source_committed_at}'::text[] - CASE WHEN $1 OR $2 AND legacy_table IN ('leads', 'clients') THEN '{legacy_table,legacy_key}'::text[] ELSE '{}' END)::text AS row
       FROM crosswalk_shadow_test.${table} t WHERE to_jsonb(t) ->> 'deleted_at' IS NULL ORDER BY id::text`,
      // Of a merged row the newest contributor when it last changed: that depends on batches.
      [isFoldedAlone(table), table === 'leads'],
    );
    dump[table] = found.rows.map(({ row }) => row);
  }
  // Each row of a history comes from one change: its position in the log is that change's, whatever the batches.
  for (const table of HISTORY_TABLES) {
    const found = await rig.owner.query<{ row: string }>(
      `SELECT to_jsonb(t)::text AS row FROM crosswalk_shadow_test.${table} t ORDER BY id::text`,
    );
    dump[table] = found.rows.map(({ row }) => row);
  }
  await discardShadow(rig.config.targetUrl(), 'test');
  return dump;
}

test.each([
  [0, 1000],
  [1, 1],
  [1, 13],
  [2, 200],
])(
  'in partitions and batches: case %i, %i',
  async (at, batchRows) => {
    const found = await replayed(rigs[at]!, batchRows);
    reference ??= found;
    for (const table of ['quotes_new', 'lead_audit_log', 'lead_status_history'])
      expect(found[table]!.length, table).toBeGreaterThan(50);
    expect(found).toEqual(reference);
  },
  120_000,
);
