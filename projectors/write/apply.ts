import type pg from 'pg';
import { parseLsn } from '../../connectors/lsn.ts';
import type { Aggregate, Cell, FoldedRow, Implied, NewRow, Projection } from '../projection.ts';
import { type Lineage, type SourceChange, toCells } from '../source-change.ts';
import { compareBytes } from '../values/text.ts';
import { applyHistory } from './apply-history.ts';
import type { TargetShapes } from './catalog.ts';
import {
  type DesiredContributions,
  diffContributions,
  lockMergeKeys,
  readLiveContributions,
  type StoredContribution,
} from './contributions.ts';
import { foldKeys, rowsThatGo } from './fold-keys.ts';
import type { HistoryStep } from './map-history.ts';
import { type FoldCause, retractNamed, toRefolds, toRepairs } from './repair.ts';
import { ownedColumns, type TargetWrites, writeTargets } from './write-targets.ts';

/** What one legacy row implies after a batch, and what it implied on the way there where that matters. */
export interface MappedRow {
  readonly legacyKey: string;
  readonly implied: Implied;
  readonly lineage: Lineage;
  /** Contributions of earlier changes of the batch, oldest first, to aggregates that need history. */
  readonly passed: readonly {
    readonly aggregate: string;
    readonly mergeKey: string;
    readonly data: Readonly<Record<string, string | null>>;
    readonly lineage: Lineage;
  }[];
  readonly changes: readonly SourceChange[];
  /** Of a history projection: the changes of state, oldest first. */
  readonly steps: readonly HistoryStep[];
}

/**
 * Writes what legacy rows imply: owned rows, parents first, then contributions and folds; rows that are no longer implied are retracted.
 * Runs inside the caller's transaction. Throws what PostgreSQL throws on a constraint.
 */
export async function applyMapped(
  client: pg.ClientBase,
  projection: Projection,
  shapes: TargetShapes,
  rows: readonly MappedRow[],
): Promise<void> {
  if (projection.history !== undefined) {
    await applyHistory(client, projection, shapes, new Map(rows.map(({ legacyKey, steps }) => [legacyKey, steps])));
    return;
  }
  const repairs = toRepairs(rows);
  const isRepair = repairs.size > 0;
  if (isRepair) await retractNamed(client, projection, shapes, rows, repairs);
  const writes = new Map<string, TargetWrites>();
  for (const target of projection.owned) {
    const columns = ownedColumns(target, isRepair);
    const deletedAt = 'deleted_at' in shapes.get(target.table)!.types ? [null] : [];
    const scopes: TargetWrites['scopes'][number][] = [];
    const cells: Cell[][] = [];
    for (const { legacyKey, implied, lineage } of rows) {
      const newRows = implied.rows[target.table] ?? [];
      scopes.push({ value: target.scope.of(legacyKey), legacyKey, lineage, ids: newRows.map((row) => row.id!) });
      const { lsn, xid, committedAt } = lineage;
      for (const row of newRows) {
        cells.push(
          toWritten(row, columns, deletedAt, [projection.source, legacyKey, lsn, xid, committedAt, projection.version]),
        );
      }
    }
    writes.set(target.table, { scopes, rows: cells });
  }
  await writeTargets(client, { projection, isRepair }, shapes, writes);
  // Last, because everybody else who merges into the same rows waits from here to the commit.
  // In one order, whoever writes: projections that share two aggregates wait for each other's merge keys.
  for (const aggregate of projection.aggregates.toSorted((a, b) => compareBytes(a.name, b.name)))
    await applyAggregate(client, projection, shapes, aggregate, rows, repairs);
}

async function applyAggregate(
  client: pg.ClientBase,
  projection: Projection,
  shapes: TargetShapes,
  aggregate: Aggregate,
  rows: readonly MappedRow[],
  repairs: ReturnType<typeof toRepairs>,
): Promise<void> {
  const stored = await readLiveContributions(
    client,
    aggregate,
    projection,
    rows.map((row) => row.legacyKey),
  );
  const desired: DesiredContributions[] = rows.map((row) => ({
    legacyKey: row.legacyKey,
    lineage: row.lineage,
    live: row.implied.contributions.filter((contribution) => contribution.aggregate === aggregate.name),
    passed: row.passed.filter((contribution) => contribution.aggregate === aggregate.name),
  }));
  const changed = diffContributions(projection.source, projection.version, desired, stored);
  const causes = toRefolds(aggregate, desired, stored, repairs);
  for (const { mergeKey, legacyKey, lineage } of changed) causes.set(mergeKey, { legacyKey, lineage });
  const mergeKeys = [...causes.keys()];
  if (mergeKeys.length === 0) return;
  const fronted = await lockMergeKeys(client, aggregate, mergeKeys);
  const isRepair = repairs.size > 0;
  const folded = await foldKeys(client, aggregate, { mergeKeys, fronted, changed, isRepair });
  const writes = new Map<string, TargetWrites>();
  for (const target of aggregate.targets) {
    const { table, columns } = target;
    const scopes: TargetWrites['scopes'][number][] = [];
    const cells: Cell[][] = [];
    for (const key of folded) {
      const results = key.rows[table] ?? [];
      const cause = causes.get(key.mergeKey)!;
      cells.push(...results.map((result) => toFoldedCells(result, columns)));
      if (key.before === null || target.key === 'id')
        scopes.push({ value: key.mergeKey, ...cause, ids: results.map(({ row }) => row.id!) });
      // Of many rows under one merge key, none is looked for that is not known to go.
      else cells.push(...rowsThatGo(key, table).map((row) => toGoneCells(row, columns, cause, projection)));
    }
    writes.set(table, { scopes, rows: cells });
  }
  await writeTargets(client, { projection, aggregate, isRepair }, shapes, writes);
}

/** A folded row with the lineage of its newest contributor. */
export function toFoldedCells(result: FoldedRow, columns: readonly string[]): (string | null)[] {
  const newest = (result.from as readonly StoredContribution[]).reduce((a, b) =>
    parseLsn(b.lineage.lsn) > parseLsn(a.lineage.lsn) ? b : a,
  );
  const { lsn, xid, committedAt } = newest.lineage;
  return toWritten(
    result.row,
    columns,
    [result.deletedAt],
    [newest.legacyTable, newest.legacyKey, lsn, xid, committedAt, newest.mappingVersion],
  );
}

/** A row as a retraction leaves it. */
function toGoneCells(
  row: NewRow,
  columns: readonly string[],
  { legacyKey, lineage: { lsn, xid, committedAt } }: FoldCause,
  { source, version }: Projection,
): Cell[] {
  return toWritten(row, columns, [committedAt], [source, legacyKey, lsn, xid, committedAt, version]);
}

function toWritten(
  row: NewRow,
  columns: readonly string[],
  deletedAt: readonly Cell[],
  lineage: readonly string[],
): Cell[] {
  return [...toCells(row, columns), ...deletedAt, ...lineage];
}
