// What the test kit makes of changes in memory is what the engine writes: every row, retracted ones and lineage too.
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Aggregate } from '../../../projectors/projection.ts';
import { createProjectorPool } from '../../../projectors/session.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import { applyChanges } from '../../../projectors/write/apply-changes.ts';
import { readTargetShapes, type TargetShapes } from '../../../projectors/write/catalog.ts';
import { ensureOffsets } from '../../../projectors/write/offsets.ts';
import { anyHistory } from '../../../testkit/arbitrary-rows.ts';
import { toColumnsByTable } from '../../../testkit/declared.ts';
import { createDice, slice } from '../../../testkit/dice.ts';
import type { Committed } from '../../../testkit/legacy-tables.ts';
import { NewTables } from '../../../testkit/new-tables.ts';
import { createDatabases } from '../../support/stack.ts';
import { openTarget } from '../../support/target-database.ts';
import { createShop, examples, keys, people } from '../../unit/testkit/shop.ts';

const seed = Number(process.env.CROSSWALK_SEED ?? Date.now() % 2 ** 31);

/** People with each name that they have: rows that a fold leaves out when nobody gives the name any more. */
const named: Aggregate = {
  name: 'people',
  needsHistory: true,
  targets: [...people.targets, { table: 'names', columns: ['id', 'person_id', 'name'], key: 'person_id' }],
  fold: (mergeKey, contributions) => {
    const byName = Map.groupBy(
      contributions.filter(({ live, data }) => live && data.name !== null),
      ({ data }) => data.name!,
    );
    const names = [...byName].map(([name, from]) => {
      return { row: { id: uuid5(`name:${mergeKey}|${name}`), person_id: mergeKey, name }, deletedAt: null, from };
    });
    return { ...people.fold(mergeKey, contributions), names };
  },
};
const { projections } = createShop(named);
const columns = toColumnsByTable(projections);
const tenants = () => ({});

const LINEAGE =
  'legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text, origin text';
const SCHEMA = `CREATE SCHEMA shop;
  CREATE TABLE shop.orders_new (id uuid PRIMARY KEY, number text, total text, person_id uuid, note text DEFAULT 'none', deleted_at timestamptz, ${LINEAGE});
  CREATE TABLE shop.rejects (id uuid PRIMARY KEY, path text, raw_value text, reason text, ${LINEAGE});
  CREATE TABLE shop.people (id uuid PRIMARY KEY, name text, moved_to uuid, deleted_at timestamptz, ${LINEAGE});
  CREATE TABLE shop.names (id uuid PRIMARY KEY, person_id uuid, name text, deleted_at timestamptz, ${LINEAGE});
  CREATE TABLE shop.order_statuses (id uuid PRIMARY KEY, order_id uuid, was text, "is" text, changed_at timestamptz, ${LINEAGE})`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
let pool: pg.Pool;
let shapes: TargetShapes;

beforeAll(async () => {
  databases = await createDatabases('testkit');
  client = await openTarget(databases.targetUrl);
  await client.query(`${SCHEMA}; SET TimeZone = 'UTC'`);
  pool = createProjectorPool(databases.targetUrl, 'projector', 1, ['shop', 'crosswalk']);
  shapes = await readTargetShapes(pool, projections);
});
afterAll(async () => {
  await pool?.end();
  await client?.end();
  await databases?.drop();
});

/** Applies batches as the projectors do, and returns every row by table. */
async function applyByEngine(batches: readonly (readonly Committed[])[]) {
  await client.query(`TRUNCATE ${[...columns.keys()].map((table) => `shop.${table}`).join(', ')},
    crosswalk.consumer_offset, crosswalk.contribution, crosswalk.merge_key, crosswalk.history_state, crosswalk.parked_change, crosswalk.dead_letter`);
  for (const { name, source } of projections) await ensureOffsets(pool, name, source, 1);
  const reached = new Map<string, bigint>();
  for (const batch of batches) {
    for (const projection of projections) {
      const changes = batch.filter(({ table }) => table === projection.source);
      const last = changes.at(-1);
      if (last === undefined) continue;
      const next = last.record.offset + 1n;
      const of = { projection: projection.name, topic: projection.source, partition: 0 };
      const slice = { changes, expected: reached.get(projection.name) ?? 0n, next };
      const { defects, parked } = await applyChanges(pool, { projection, tenants, shapes }, of, slice);
      expect([defects, parked]).toEqual([[], 0]);
      reached.set(projection.name, next);
    }
  }
  const rows: Record<string, unknown[]> = {};
  for (const [table, names] of columns) {
    const list = [...names].map((name) => `"${name}"::text`).join(', ');
    rows[table] = (await client.query(`SELECT ${list} FROM shop.${table} ORDER BY id`)).rows;
  }
  return rows;
}

test(`rows are the engine's after any history, in any batches (seed ${seed})`, async () => {
  const histories = fc.sample(anyHistory(fc, { projections, keys, examples }), { numRuns: 40, seed });
  let compared = 0;
  for (const [salt, history] of histories.entries()) {
    const batches = slice(history, createDice(seed + salt));
    const tables = new NewTables(projections, tenants);
    for (const batch of batches) tables.apply(batch);
    const expected = await applyByEngine(batches);
    const actual = Object.fromEntries([...columns.keys()].map((table) => [table, tables.rowsOf(table)]));
    expect(actual, `history ${salt} of seed ${seed}`).toEqual(expected);
    compared += Object.values(expected).flat().length;
  }
  expect(compared).toBeGreaterThan(200);
});
