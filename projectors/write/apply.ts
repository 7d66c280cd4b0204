import type pg from 'pg';
import { parseLsn } from '../../changes/lsn.ts';
import type { Aggregate, Cell, FoldedRow, Implied, NewRow, OwnedTarget, Projection } from '../projection.ts';
import type { Lineage, SourceChange } from '../source-change.ts';
import { compareBytes } from '../values/text.ts';
import { sendHistory } from './apply-history.ts';
import type { TargetShapes } from './catalog.ts';
import {
  type DesiredContributions,
  diffContributions,
  lockMergeKeys,
  readLiveContributions,
  type StoredContribution,
} from './contributions.ts';
import { createFlight, type Flight } from './flight.ts';
import { type FoldedKey, foldKeys, foldParts, rowsThatGo } from './fold-keys.ts';
import { toJsonbRows } from './jsonb-rows.ts';
import type { HistoryStep } from './map-history.ts';
import { type FoldCause, retractNamed, toRefolds, toRepairs } from './repair.ts';
import { ownedColumns, type TargetWrites, writeTargets } from './write-targets.ts';

/** What one legacy row implies after a batch and, if a fold needs history, what it implied in between. */
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
  /** Set for a history projection: the changes of state, oldest first. */
  readonly steps: readonly HistoryStep[];
}

/** Writes what legacy rows imply and waits until it is written: see `sendMapped`. */
export async function applyMapped(
  client: pg.ClientBase,
  projection: Projection,
  shapes: TargetShapes,
  rows: readonly MappedRow[],
): Promise<void> {
  const flight = createFlight();
  await sendMapped(client, flight, projection, shapes, rows);
  await flight.landed();
}

/**
 * Writes what legacy rows imply: owned rows, parents first, then contributions and folds. Rows that are no longer implied are retracted. Runs inside the caller's
 * transaction. The last statements are still in flight on return, so a constraint may still fail them.
 */
export async function sendMapped(
  client: pg.ClientBase,
  flight: Flight,
  projection: Projection,
  shapes: TargetShapes,
  rows: readonly MappedRow[],
): Promise<void> {
  if (projection.history !== undefined) {
    const steps = new Map(rows.map(({ legacyKey, steps }) => [legacyKey, steps]));
    await sendHistory(client, flight, projection, shapes, steps);
    return;
  }
  const repairs = toRepairs(rows);
  const isRepair = repairs.size > 0;
  if (isRepair) await retractNamed(client, projection, shapes, rows, repairs);
  const writes = new Map<string, TargetWrites>();
  for (const target of projection.owned) {
    const columns = ownedColumns(target, isRepair);
    const deletedAt = 'deleted_at' in shapes.get(target.table)!.types ? [null] : [];
    writes.set(target.table, toOwnedWrites(projection, target, { columns, deletedAt }, rows));
  }
  flight.add(writeTargets(client, { projection, isRepair }, shapes, writes));
  // Every writer uses the same order: projections that share two aggregates wait for each other's merge keys.
  const aggregates = projection.aggregates.toSorted((a, b) => compareBytes(a.name, b.name));
  const legacyKeys = rows.map((row) => row.legacyKey);
  const live = aggregates.map((aggregate) =>
    flight.ask(readLiveContributions(client, aggregate, projection, legacyKeys)),
  );
  if (aggregates.length === 0) return;
  await flight.landed();
  // Last: from here to the commit, every other session that merges into the same rows waits.
  const merges: Merge[] = [];
  for (const [index, aggregate] of aggregates.entries()) {
    const merge = sendLocks(client, flight, projection, aggregate, { rows, stored: await live[index]!, repairs });
    if (merge !== null) merges.push(merge);
  }
  await flight.landed();
  for (const merge of merges) await sendMerge(client, flight, shapes, { projection, isRepair }, merge);
}

/** Rows of one table that legacy rows imply, and those to retract. */
function toOwnedWrites(
  { source, version }: Projection,
  { table, scope }: OwnedTarget,
  { columns, deletedAt }: { readonly columns: readonly string[]; readonly deletedAt: readonly Cell[] },
  mapped: readonly MappedRow[],
): TargetWrites {
  const scopes = mapped.map(({ legacyKey, implied, lineage }) => {
    const ids = (implied.rows[table] ?? []).map((row) => row.id!);
    return { value: scope.of(legacyKey), legacyKey, lineage, ids };
  });
  function* rows() {
    for (const { legacyKey, implied, lineage } of mapped) {
      const { lsn, xid, committedAt } = lineage;
      for (const row of implied.rows[table] ?? [])
        yield toWritten(row, columns, deletedAt, [source, legacyKey, lsn, xid, committedAt, version]);
    }
  }
  return { scopes, rows: toJsonbRows(rows()) };
}

/** Merge keys of one aggregate that are being locked, and the changes to make under them. */
interface Merge {
  readonly aggregate: Aggregate;
  readonly causes: ReadonlyMap<string, FoldCause>;
  readonly changed: readonly StoredContribution[];
  readonly fronted: ReturnType<typeof lockMergeKeys>;
}

/** Locks the merge keys that rows contribute to. Null if nothing changes. */
function sendLocks(
  client: pg.ClientBase,
  flight: Flight,
  projection: Projection,
  aggregate: Aggregate,
  batch: {
    readonly rows: readonly MappedRow[];
    readonly stored: readonly StoredContribution[];
    readonly repairs: ReturnType<typeof toRepairs>;
  },
): Merge | null {
  const { stored } = batch;
  const desired: DesiredContributions[] = batch.rows.map((row) => ({
    legacyKey: row.legacyKey,
    lineage: row.lineage,
    live: row.implied.contributions.filter((contribution) => contribution.aggregate === aggregate.name),
    passed: row.passed.filter((contribution) => contribution.aggregate === aggregate.name),
  }));
  const changed = diffContributions(projection.source, projection.version, desired, stored);
  const causes = toRefolds(aggregate, desired, stored, batch.repairs);
  for (const { mergeKey, legacyKey, lineage } of changed) causes.set(mergeKey, { legacyKey, lineage });
  if (causes.size === 0) return null;
  return { aggregate, causes, changed, fronted: flight.ask(lockMergeKeys(client, aggregate, [...causes.keys()])) };
}

/** Writes contributions under locked merge keys, folds the keys, and writes the folded rows. */
async function sendMerge(
  client: pg.ClientBase,
  flight: Flight,
  shapes: TargetShapes,
  owner: { readonly projection: Projection; readonly isRepair: boolean },
  { aggregate, causes, changed, ...merge }: Merge,
): Promise<void> {
  const batch = { mergeKeys: [...causes.keys()], fronted: await merge.fronted, changed, isRepair: owner.isRepair };
  const { folded, spreading } = await foldKeys(client, flight, aggregate, batch);
  const toWrites = (keys: readonly FoldedKey[]) =>
    new Map(aggregate.targets.map((target) => [target.table, toFoldWrites(owner.projection, target, keys, causes)]));
  flight.add(writeTargets(client, { ...owner, aggregate }, shapes, toWrites(folded)));
  if (spreading.length === 0) return;
  await flight.landed();
  for (const front of spreading) {
    for await (const some of foldParts(client, aggregate, front))
      await writeTargets(client, { ...owner, aggregate }, shapes, toWrites([some]));
  }
}

/** Rows of one table that merge keys fold to, and those to retract. */
function toFoldWrites(
  projection: Projection,
  { table, columns, key: keyColumn }: Aggregate['targets'][number],
  folded: readonly FoldedKey[],
  causes: ReadonlyMap<string, FoldCause>,
): TargetWrites {
  // With a front, only rows that are known to disappear are retracted; the many others are not searched.
  const isSearched = ({ before }: FoldedKey) => before === null || keyColumn === 'id';
  const scopes = folded.filter(isSearched).map(({ mergeKey, rows }) => ({
    ...causes.get(mergeKey)!,
    value: mergeKey,
    ids: (rows[table] ?? []).map(({ row }) => row.id!),
  }));
  // A row may move from one merge key to another. One statement must not write it twice.
  const comes = new Set(
    folded.length > 1 ? folded.flatMap(({ rows }) => (rows[table] ?? []).map(({ row }) => row.id)) : [],
  );
  function* rows() {
    for (const key of folded) {
      for (const result of key.rows[table] ?? []) yield toFoldedCells(result, columns);
      if (isSearched(key)) continue;
      const gone = rowsThatGo(key, table).filter(({ id }) => !comes.has(id));
      for (const row of gone) yield toGoneCells(row, columns, causes.get(key.mergeKey)!, projection);
    }
  }
  return { scopes, rows: toJsonbRows(rows()) };
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

/** The cells of a row after its retraction. */
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
  const cells = new Array<Cell>(columns.length + deletedAt.length + lineage.length);
  let at = 0;
  for (const column of columns) cells[at++] = row[column] ?? null;
  for (const cell of deletedAt) cells[at++] = cell;
  for (const cell of lineage) cells[at++] = cell;
  return cells;
}
