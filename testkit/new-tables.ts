import type { Aggregate, Cell, FoldedRow, NewRow, OwnedTarget, Projection, Tenants } from '../projectors/projection.ts';
import { type Lineage, toCells } from '../projectors/source-change.ts';
import { compareBytes } from '../projectors/values/text.ts';
import { type MappedRow, toFoldedCells } from '../projectors/write/apply.ts';
import { diffContributions, type StoredContribution } from '../projectors/write/contributions.ts';
import { nameOf } from '../projectors/write/front.ts';
import { type Defect, mapChanges } from '../projectors/write/map-changes.ts';
import { isSameState } from '../projectors/write/map-history.ts';
import { LINEAGE_COLUMNS } from '../projectors/write/statements.ts';
import { assertAdded, assertFolded, assertImplied } from './declared.ts';
import { fault, show } from './fault.ts';
import type { Committed } from './legacy-tables.ts';

/** A row of a new table with its lineage, and with `deleted_at` if the table soft-deletes rows. */
export type StoredRow = Readonly<Record<string, Cell>>;

type RowsById = Map<string, StoredRow>;

/** The change that caused a retraction. */
interface Cause {
  readonly legacyKey: string;
  readonly lineage: Lineage;
}

/**
 * The new tables and the engine's state in memory: the effect of changes as in the engine, without constraints. Every fold reads all contributions, so
 * that `needs` and fronts have no effect. Throws if a projection returns something undeclared.
 */
export class NewTables {
  readonly #projections: readonly Projection[];
  readonly #tenants: Tenants;
  readonly #tables = new Map<string, RowsById>();
  readonly #contributions = new Map<string, Map<string, StoredContribution>>();

  constructor(projections: readonly Projection[], tenants: Tenants) {
    this.#projections = projections;
    this.#tenants = tenants;
  }

  /** Applies changes as one batch to every projection that reads their tables. */
  apply(changes: readonly Committed[]): void {
    for (const projection of this.#projections) {
      const own = changes.filter(({ table }) => table === projection.source);
      const rows = mapAll(projection, this.#tenants, own);
      if (projection.history !== undefined) this.#append(projection, rows);
      for (const target of projection.owned) this.#writeOwned(projection, target, rows);
      for (const aggregate of projection.aggregates.toSorted((a, b) => compareBytes(a.name, b.name)))
        this.#merge(projection, aggregate, rows);
    }
  }

  /** Rows of a table, including retracted ones, ordered by id. */
  rowsOf(table: string): StoredRow[] {
    return [...this.#table(table).values()].sort((a, b) => compareBytes(a.id ?? '', b.id ?? ''));
  }

  /** Contributions to an aggregate, live or retired, by merge key. */
  contributionsTo(aggregate: string): Map<string, StoredContribution[]> {
    return Map.groupBy((this.#contributions.get(aggregate) ?? new Map()).values(), ({ mergeKey }) => mergeKey);
  }

  #table(name: string): RowsById {
    return getOrMake(this.#tables, name);
  }

  #writeOwned(projection: Projection, target: OwnedTarget, rows: readonly MappedRow[]): void {
    const { table, scope } = target;
    const isSoft = target.retract === 'soft-delete';
    for (const { legacyKey, implied, lineage } of rows) {
      assertImplied(projection, legacyKey, implied);
      const kept = implied.rows[table] ?? [];
      const isOfSource = (row: StoredRow) => row.legacy_table === projection.source;
      for (const row of this.#thoseThatGo(table, scope.column, scope.of(legacyKey), kept).filter(isOfSource)) {
        if (!isSoft) this.#table(table).delete(row.id!);
        else this.#softDelete(table, row, { legacyKey, lineage }, projection.version);
      }
    }
    const blank = Object.fromEntries((target.blank ?? []).map((column) => [column, null]));
    for (const { legacyKey, implied, lineage } of rows) {
      for (const row of implied.rows[table] ?? []) {
        const cells = zip(target.columns, toCells(row, target.columns));
        const deletedAt = isSoft ? { deleted_at: null } : {};
        const of = { legacy_table: projection.source, legacy_key: legacyKey, ...toLineage(lineage, projection) };
        assertOwner(projection, table, of, this.#table(table).get(row.id!));
        this.#upsert(table, { ...cells, ...deletedAt }, of, blank);
      }
    }
  }

  /** Live rows under a scope that are not kept. With `id` as the scope there is only one row, which is not removed while it is still implied. */
  #thoseThatGo(table: string, column: string, value: string, kept: readonly NewRow[]): StoredRow[] {
    if (column === 'id' && kept.length > 0) return [];
    const ids = new Set(kept.map(({ id }) => id));
    const isGone = (row: StoredRow) => (row.deleted_at ?? null) !== null;
    return [...this.#table(table).values()].filter((row) => row[column] === value && !ids.has(row.id!) && !isGone(row));
  }

  #softDelete(table: string, row: StoredRow, { lineage }: Cause, version: string): void {
    const gone = { ...row, deleted_at: lineage.committedAt, ...toLineage(lineage, { version }) };
    this.#table(table).set(row.id!, gone);
  }

  /** Writes a row if a cell differs. An unchanged row keeps the lineage of the change that wrote it. `blank`: defaults of a new row. */
  #upsert(table: string, cells: StoredRow, lineage: StoredRow, blank: StoredRow = {}): void {
    const rows = this.#table(table);
    const before = rows.get(cells.id!);
    if (before !== undefined && Object.entries(cells).every(([column, cell]) => before[column] === cell)) return;
    rows.set(cells.id!, { ...(before ?? blank), ...cells, ...lineage });
  }

  #merge(projection: Projection, aggregate: Aggregate, rows: readonly MappedRow[]): void {
    const stored = getOrMake(this.#contributions, aggregate.name);
    const ofAggregate = (contribution: { aggregate: string }) => contribution.aggregate === aggregate.name;
    const desired = rows.map(({ legacyKey, lineage, implied, passed }) => ({
      ...{ legacyKey, lineage },
      live: implied.contributions.filter(ofAggregate),
      passed: passed.filter(ofAggregate),
    }));
    const live = [...stored.values()].filter((each) => each.live && each.legacyTable === projection.source);
    const causes = new Map<string, Cause>();
    for (const each of diffContributions(projection.source, projection.version, desired, live)) {
      stored.set(`${each.mergeKey}\0${nameOf(each)}`, each);
      causes.set(each.mergeKey, each);
    }
    const byMergeKey = this.contributionsTo(aggregate.name);
    for (const [mergeKey, cause] of causes)
      this.#writeFolded(
        projection,
        aggregate,
        foldAll(aggregate, mergeKey, byMergeKey.get(mergeKey)!),
        mergeKey,
        cause,
      );
  }

  #writeFolded(
    projection: Projection,
    aggregate: Aggregate,
    folded: Readonly<Record<string, readonly FoldedRow[]>>,
    mergeKey: string,
    cause: Cause,
  ): void {
    for (const { table, columns, key, ownedFrom = [] } of aggregate.targets) {
      const results = folded[table] ?? [];
      const kept = results.map(({ row }) => row);
      for (const row of this.#thoseThatGo(table, key, mergeKey, kept)) {
        if (ownedFrom.includes(row.legacy_table!)) continue;
        const named = { ...row, legacy_table: projection.source, legacy_key: cause.legacyKey };
        this.#softDelete(table, named, cause, projection.version);
      }
      const own = columns.length + 1;
      for (const result of results) {
        const cells = toFoldedCells(result, columns);
        const lineage = zip(LINEAGE_COLUMNS, cells.slice(own));
        this.#upsert(table, zip([...columns, 'deleted_at'], cells.slice(0, own)), lineage);
      }
    }
  }

  #append(projection: Projection, rows: readonly MappedRow[]): void {
    const { name, source } = projection;
    const history = projection.history!;
    for (const { legacyKey, steps } of rows) {
      for (const { change, before, after } of steps) {
        // Only a read has no earlier state: there the history begins.
        if (before === undefined || isSameState(before, after)) continue;
        const { identity: id, lineage, context = null } = change;
        const ordinal = id.slice(id.lastIndexOf('/') + 1);
        const added = history.rowsOf({ id, ordinal, before, after, committedAt: lineage.committedAt, context });
        assertAdded(name, history, legacyKey, added);
        for (const { table, columns } of history.targets) {
          for (const row of added[table] ?? []) {
            const of = { legacy_table: source, legacy_key: legacyKey, ...toLineage(lineage, projection) };
            // A row is added only once.
            if (!this.#table(table).has(row.id!))
              this.#table(table).set(row.id!, { ...zip(columns, toCells(row, columns)), ...of });
          }
        }
      }
    }
  }
}

/** Folds contributions as the engine does. Throws an AssertionError if the fold throws, or returns something that the aggregate does not declare. */
export function foldAll(
  aggregate: Aggregate,
  mergeKey: string,
  contributions: readonly StoredContribution[],
): ReturnType<Aggregate['fold']> {
  let folded: ReturnType<Aggregate['fold']>;
  try {
    folded = aggregate.fold(mergeKey, contributions);
  } catch (error) {
    throw fault(`${aggregate.name}: fold threw ${error} on ${contributions.length} contributions`, error);
  }
  assertFolded(aggregate, mergeKey, folded);
  return folded;
}

/** Maps a batch. Throws where the engine would create dead letters. */
function mapAll(projection: Projection, tenants: Tenants, changes: readonly Committed[]): MappedRow[] {
  const { rows, defects } = mapChanges(projection, tenants, changes);
  for (const { change, reason } of defects) throw toFault(projection, tenants, change, reason);
  return rows;
}

/** Error for a change that a projection cannot map, with the error that the projection throws. */
function toFault(projection: Projection, tenants: Tenants, change: Defect['change'], reason: string): Error {
  const of = `${projection.name}: ${reason}`;
  try {
    for (const row of [change.before, change.after].filter((each) => each !== null)) {
      if (projection.history === undefined) projection.map(row, tenants);
      else projection.history.stateOf(row, tenants);
    }
  } catch (error) {
    return fault(`${of} (${error}) on ${projection.source} ${show(change.legacyKey)}`, error);
  }
  return fault(`${of}, once, on ${projection.source} ${show(change.legacyKey)}`);
}

/** A row has one permanent owner. Two owners would overwrite each other, and the last change would win. */
function assertOwner({ name }: Projection, table: string, owner: StoredRow, before: StoredRow | undefined): void {
  if (before === undefined) return;
  const ofBoth = [before, owner].map((row) => `${row.legacy_table} ${row.legacy_key}`);
  if (ofBoth[0] !== ofBoth[1])
    throw fault(`${name}: ${ofBoth.join(' and ')} both imply the row ${show(before.id)} of ${table}`);
}

function toLineage({ lsn, xid, committedAt }: Lineage, { version }: Pick<Projection, 'version'>): StoredRow {
  return { source_lsn: lsn, source_xid: xid, source_committed_at: committedAt, mapping_version: version };
}

function zip(columns: readonly string[], cells: readonly Cell[]): StoredRow {
  return Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? null]));
}

function getOrMake<K, V>(maps: Map<string, Map<K, V>>, name: string): Map<K, V> {
  const known = maps.get(name) ?? new Map<K, V>();
  maps.set(name, known);
  return known;
}
