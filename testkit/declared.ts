import type { Aggregate, FoldedRow, History, Implied, NewRow, Projection } from '../projectors/projection.ts';
import { LINEAGE_COLUMNS } from '../projectors/write/statements.ts';
import { fault, show } from './fault.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface Target {
  readonly table: string;
  readonly columns: readonly string[];
}

/** Tables that projections write, each with all columns of a row in the kit: declared columns, `deleted_at` if rows are soft-deleted, lineage. */
export function toColumnsByTable(projections: readonly Projection[]): Map<string, Set<string>> {
  const known = new Map<string, Set<string>>();
  const note = ({ table, columns }: Target, more: readonly string[]) => {
    const all = known.get(table) ?? new Set(LINEAGE_COLUMNS);
    for (const column of [...columns, ...more]) all.add(column);
    known.set(table, all);
  };
  for (const { owned, aggregates, history } of projections) {
    for (const target of owned)
      note(target, [...(target.blank ?? []), ...(target.retract === 'soft-delete' ? ['deleted_at'] : [])]);
    for (const target of aggregates.flatMap(({ targets }) => targets)) note(target, ['deleted_at']);
    for (const target of history?.targets ?? []) note(target, []);
  }
  return known;
}

/** Checks that everything a legacy row implies is declared: PostgreSQL would refuse the rest, or nothing would write it. Throws an AssertionError that names it. */
export function assertImplied(projection: Projection, legacyKey: string | null, implied: Implied): void {
  const { name, owned, aggregates } = projection;
  assertRows(name, 'map', owned, implied.rows, legacyKey !== null);
  for (const { table, scope } of legacyKey === null ? [] : owned) {
    for (const row of implied.rows[table] ?? []) assertScope(name, table, scope, legacyKey!, row);
  }
  const known = new Set<string>();
  for (const { aggregate, mergeKey, data } of implied.contributions) {
    if (!aggregates.some((declared) => declared.name === aggregate))
      throw fault(`${name}: map contributes to ${aggregate}, an aggregate that it does not declare`);
    if (!UUID.test(mergeKey))
      throw fault(`${name}: the merge key ${show(mergeKey)} of ${aggregate} is no UUID in lower case: derive one`);
    if (known.has(`${aggregate}\0${mergeKey}`))
      throw fault(`${name}: one row contributes twice to ${aggregate} under one merge key`);
    known.add(`${aggregate}\0${mergeKey}`);
    assertCells(name, `a contribution to ${aggregate}`, data);
  }
}

/** The same check for the result of a fold. */
export function assertFolded(
  { name, targets }: Aggregate,
  mergeKey: string,
  folded: Readonly<Record<string, readonly FoldedRow[]>>,
): void {
  const rows = Object.fromEntries(Object.entries(folded).map(([table, list]) => [table, list.map(({ row }) => row)]));
  assertRows(name, 'fold', targets, rows, true);
  for (const { table, key } of targets) {
    for (const { row, from } of folded[table] ?? []) {
      if (row[key] !== mergeKey)
        throw fault(`${name}: a row of ${table} has ${key} ${show(row[key])} and not the merge key: it would never go`);
      if (from.length === 0) throw fault(`${name}: a row of ${table} rests on no contribution: name them in \`from\``);
    }
  }
}

/** The same check for the rows that a change adds to a history. */
export function assertAdded(
  name: string,
  history: History,
  legacyKey: string,
  rows: Readonly<Record<string, readonly NewRow[]>>,
): void {
  assertRows(name, 'rowsOf', history.targets, rows, true);
  for (const { table } of history.targets)
    for (const row of rows[table] ?? []) assertScope(name, table, history.scope, legacyKey, row);
}

function assertRows(
  name: string,
  by: string,
  targets: readonly Target[],
  rows: Readonly<Record<string, readonly NewRow[]>>,
  isKeyed: boolean,
): void {
  for (const [table, list] of Object.entries(rows)) {
    const target = targets.find((declared) => declared.table === table);
    if (target === undefined) throw fault(`${name}: ${by} returns rows of ${table}, a table that it does not declare`);
    const ids = new Set<unknown>();
    for (const row of list) {
      const stray = Object.keys(row).find((column) => !target.columns.includes(column));
      if (stray !== undefined) throw fault(`${name}: ${by} returns ${table}.${stray}, a column that is not declared`);
      assertCells(name, table, row);
      if (!isKeyed) continue;
      if (typeof row.id !== 'string') throw fault(`${name}: ${by} returns a row of ${table} without an id`);
      if (ids.has(row.id)) throw fault(`${name}: ${by} returns two rows of ${table} with the id ${show(row.id)}`);
      ids.add(row.id);
    }
  }
}

function assertCells(name: string, of: string, cells: Readonly<Record<string, unknown>>): void {
  const wrong = Object.entries(cells).find(([, cell]) => cell !== null && typeof cell !== 'string');
  if (wrong === undefined) return;
  throw fault(`${name}: ${wrong[0]} of ${of} is a ${typeof wrong[1]}: cells are PostgreSQL's texts, or null`);
}

function assertScope(name: string, table: string, scope: History['scope'], legacyKey: string, row: NewRow): void {
  const cell = scope.column === 'legacy_key' ? legacyKey : (row[scope.column] ?? null);
  const wanted = scope.of(legacyKey);
  if (cell === wanted) return;
  throw fault(
    `${name}: a row of ${table} is out of its scope: ${scope.column} is ${show(cell)} and not ${show(wanted)}, by which it would be found when it has to go`,
  );
}
