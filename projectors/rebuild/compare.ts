import type pg from 'pg';
import { readRules } from '../write/probe.ts';
import {
  amountsOf,
  columnCountsSql,
  compareAgainSql,
  compareAllSql,
  conflictsSql,
  examplesSql,
  isProjected,
  type Side,
  sumsSql,
  touchedMergeKeysSql,
} from './compare-sql.ts';
import { newFailures } from './fence.ts';
import { isNewlyOpen, isNewlyWaiting, isNoLongerOpen, isNoLongerWaiting } from './held.ts';
import type { Difference, Failure, ProjectionReport, Report, TableReport } from './report.ts';
import { readStale } from './stale.ts';
import type { Unit } from './units.ts';

/** Compares shadow and live tables in full, in the caller's transaction. Records the differences under `round` and returns a report. */
export async function compareAll(
  client: pg.ClientBase,
  side: Side,
  units: readonly Unit[],
  options: { round: number; limit: number; signal: AbortSignal; onProgress: (done: number, total: number) => void },
): Promise<Report> {
  const { round, limit, signal } = options;
  const tables: TableReport[] = [];
  const differences: Difference[] = [];
  for (const [at, unit] of units.entries()) {
    signal.throwIfAborted();
    options.onProgress(at, units.length);
    await client.query(compareAllSql(unit, side), [round]);
    tables.push(await describe(client, side, unit, round));
    if (isProjected(unit)) differences.push(...(await readExamples(client, side, unit, round, limit)));
  }
  const names = [...new Set(units.map(({ projection }) => projection))];
  const failures = [
    ...(await readFailures(client, side)),
    ...(await readStale(client, side, units)),
    ...(await readConflicts(client, side, units, round)),
  ];
  options.onProgress(units.length, units.length);
  return {
    projections: names.map((projection): ProjectionReport => {
      const own = (_: TableReport, at: number) => units[at]!.projection === projection;
      return { projection, tables: tables.filter(own) };
    }),
    failures,
    differences,
    ...(await countExceptions(client, side, names)),
  };
}

/**
 * Compares again, in the caller's transaction, what may differ by now: differences of the previous round, and changes since that round began. Records
 * the differences under the next round. Returns the units that differ. Rows are looked up by key; no table is read in full.
 */
export async function compareAgain(
  client: pg.ClientBase,
  side: Side,
  units: readonly Unit[],
  round: number,
): Promise<Unit[]> {
  await client.query(
    'SET LOCAL enable_nestloop = on; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off',
  );
  const { rows } = await client.query<{ unit: string }>(
    `SELECT DISTINCT unit::text FROM ${side.shadow}.difference WHERE round = $1`,
    [round],
  );
  const differed = new Set(rows.map(({ unit }) => Number(unit)));
  const keys = await readChangedKeys(client, side, units, round);
  const differing: Unit[] = [];
  for (const unit of units) {
    const values = await toSinceValues(client, side, unit, keys);
    if (values.length === 0 && !differed.has(unit.number)) continue;
    const { rowCount } = await client.query(compareAgainSql(unit, side), [round + 1, values]);
    if (rowCount !== 0) differing.push(unit);
  }
  return differing;
}

/** Number of legacy keys changed since a round began: those replayed in it or later. */
export async function countChangedKeys(
  client: pg.ClientBase,
  { shadow }: Side,
  projections: readonly string[],
  round: number,
): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `SELECT count(*)::text FROM ${shadow}.replayed_key WHERE projection = ANY ($1) AND round >= $2`,
    [projections, round],
  );
  return Number(rows[0]!.count);
}

/** Legacy keys by projection whose rows may have changed on either side since a round began: replayed keys, and keys with parked changes or dead letters. */
async function readChangedKeys(
  client: pg.ClientBase,
  { shadow }: Side,
  units: readonly Unit[],
  round: number,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = [...new Set(units.flatMap(({ sources }) => [...sources.values()]))];
  const { rows } = await client.query<{ projection: string; legacy_key: string }>(
    `SELECT projection, legacy_key FROM ${shadow}.replayed_key WHERE projection = ANY ($1) AND round >= $2`,
    [names, round],
  );
  const keys = Map.groupBy(rows, ({ projection }) => projection);
  return new Map([...keys].map(([projection, found]) => [projection, found.map(({ legacy_key }) => legacy_key)]));
}

/** Marks legacy rows with parked changes or dead letters on either side as changed in this round: they may be applied at any time. A partial rebuild marks only replayed rows. */
export async function markHeldKeys(
  client: pg.ClientBase,
  { shadow, partial }: Side,
  projections: readonly string[],
  round: number,
): Promise<void> {
  const held = ['crosswalk', shadow].flatMap((schema) => [
    `SELECT projection, legacy_key FROM ${schema}.parked_change`,
    `SELECT projection, legacy_key FROM ${schema}.dead_letter WHERE resolved_at IS NULL`,
  ]);
  const known = partial
    ? ` AND EXISTS (SELECT FROM ${shadow}.replayed_key k WHERE (k.projection, k.legacy_key) = (h.projection, h.legacy_key))`
    : '';
  await client.query(
    `INSERT INTO ${shadow}.replayed_key AS k (projection, legacy_key, round) SELECT projection, legacy_key, $2 FROM (${held.join(' UNION ')}) h WHERE projection = ANY ($1)${known}
     ON CONFLICT (projection, legacy_key) DO UPDATE SET round = excluded.round WHERE k.round < excluded.round`,
    [projections, round],
  );
}

async function toSinceValues(
  client: pg.ClientBase,
  side: Side,
  unit: Unit,
  keys: ReadonlyMap<string, readonly string[]>,
): Promise<readonly string[]> {
  if (unit.scope !== null) return (keys.get(unit.projection) ?? []).map(unit.scope.of);
  if (unit.kind !== 'merged') return [...unit.sources.values()].flatMap((projection) => keys.get(projection) ?? []);
  const merged = new Set<string>();
  for (const [source, projection] of unit.sources) {
    const { rows } = await client.query<{ merge_key: string }>(touchedMergeKeysSql(unit.aggregate!.name, side), [
      keys.get(projection) ?? [],
      source,
    ]);
    for (const { merge_key } of rows) merged.add(merge_key);
  }
  return [...merged];
}

async function describe(client: pg.ClientBase, side: Side, unit: Unit, round: number): Promise<TableReport> {
  const { rows: counts } = await client.query<{ kind: string; count: string }>(
    `SELECT kind, count(*)::text FROM ${side.shadow}.difference WHERE round = $1 AND unit = $2 GROUP BY kind`,
    [round, unit.number],
  );
  const count = (kind: string) => Number(counts.find((row) => row.kind === kind)?.count ?? 0);
  const { rows: totals } = await client.query<{ count: string; sums: string }>(sumsSql(unit, side), [round]);
  const sums = JSON.parse(totals[0]!.sums) as string[];
  const before = Number(totals[0]!.count);
  const columns: Record<string, number> = {};
  if (count('change') > 0) {
    const { rows } = await client.query<{ counts: string }>(columnCountsSql(unit, side), [round]);
    const byColumn = JSON.parse(rows[0]!.counts) as number[];
    for (const [at, { name }] of unit.compared.entries()) if (byColumn[at]! > 0) columns[name] = byColumn[at]!;
  }
  return {
    table: unit.table,
    before,
    after: before + count('add') - count('remove'),
    added: count('add'),
    changed: count('change'),
    removed: count('remove'),
    ofApplication: count('app'),
    columns,
    sums: Object.fromEntries(
      amountsOf(unit).map((name, at) => [name, { before: sums[at * 2]!, after: sums[at * 2 + 1]! }]),
    ),
  };
}

async function readExamples(
  client: pg.ClientBase,
  side: Side,
  unit: Unit,
  round: number,
  limit: number,
): Promise<Difference[]> {
  const { rows } = await client.query<{
    row_key: string;
    kind: Difference['kind'];
    legacy_key: string | null;
    column: string | null;
    before: string | null;
    after: string | null;
  }>(examplesSql(unit, side), [round, limit]);
  return rows.map(({ row_key, kind, legacy_key, column, before, after }) => ({
    projection: unit.projection,
    table: unit.table,
    id: String((JSON.parse(row_key) as unknown[])[0]),
    legacyKey: legacy_key,
    kind,
    column,
    before,
    after,
  }));
}

/** Changes that the live tables could apply and the shadow could not. */
export async function readFailures(client: pg.ClientBase, { shadow }: Side): Promise<Failure[]> {
  const { rows } = await client.query<{
    projection: string;
    kind: Failure['kind'];
    reason: string;
    count: string;
    keys: string;
  }>(
    `SELECT projection, kind, reason, count(*)::text, to_json((array_agg(DISTINCT legacy_key))[1:5])::text AS keys FROM ${newFailures(shadow)} f GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
  );
  return rows.map(({ keys, count, ...row }) => ({
    ...row,
    count: Number(count),
    legacyKeys: JSON.parse(keys) as string[],
  }));
}

/** Unique values that rows to write would share with unchanged live rows. Possible if only some of the rows were replayed. */
async function readConflicts(
  client: pg.ClientBase,
  side: Side,
  units: readonly Unit[],
  round: number,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  const owned = units.filter(isProjected);
  const rules = await readRules(client, [...new Set(owned.map(({ table }) => table))]);
  for (const unit of owned) {
    const ofTable = units.filter(({ table }) => table === unit.table).map(({ number }) => number);
    for (const unique of rules.get(unit.table)?.uniques ?? []) {
      const { rows } = await client.query<{ count: string; keys: string }>(conflictsSql(unit, side, unique, ofTable), [
        round,
      ]);
      const count = Number(rows[0]!.count);
      const reason = `${unit.table} ${unique.name}`;
      const legacyKeys = JSON.parse(rows[0]!.keys) as string[] | null;
      if (count > 0)
        failures.push({ projection: unit.projection, kind: 'conflict', reason, count, legacyKeys: legacyKeys ?? [] });
    }
  }
  return failures;
}

async function countExceptions(
  client: pg.ClientBase,
  side: Side,
  projections: readonly string[],
): Promise<Pick<Report, 'deadLetters' | 'waiting'>> {
  const count = (schema: string, table: string, condition: string) =>
    `(SELECT count(*) FROM ${schema}.${table} x WHERE x.projection = ANY ($1) AND ${condition})`;
  const letters = [
    count('crosswalk', 'dead_letter', 'x.resolved_at IS NULL'),
    count('crosswalk', 'dead_letter', isNoLongerOpen('x', side)),
    count(side.shadow, 'dead_letter', isNewlyOpen('x')),
  ];
  const parked = [
    count('crosswalk', 'parked_change', 'true'),
    count('crosswalk', 'parked_change', isNoLongerWaiting('x', side)),
    count(side.shadow, 'parked_change', isNewlyWaiting('x')),
  ];
  const { rows } = await client.query<{ counts: string }>(
    `SELECT json_build_array(${[...letters, ...parked].join(', ')})::text AS counts`,
    [projections],
  );
  const [open = 0, settled = 0, failed = 0, ...held] = JSON.parse(rows[0]!.counts) as number[];
  const [waiting = 0, gone = 0, come = 0] = held;
  return {
    deadLetters: { before: open, after: open - settled + failed },
    waiting: { before: waiting, after: waiting - gone + come },
  };
}
