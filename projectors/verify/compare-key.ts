import type { Cell } from '../projection.ts';
import { CONTRIBUTION, type Expected, type Plan, tenantOf, toContributionName } from './plan.ts';

/** A projected row in the target. Values are PostgreSQL text. */
export interface FoundRow {
  readonly id: string;
  /** In the order of the compared columns. */
  readonly cells: readonly Cell[];
  readonly origin: string;
  readonly deletedAt: Cell;
  readonly legacyTable: Cell;
  readonly legacyKey: Cell;
  readonly lineage: FoundLineage;
  /** Location and writers of this row version. Every change that writes or locks the row produces another value. */
  readonly physical: string;
}

export interface FoundLineage {
  readonly lsn: Cell;
  readonly xid: Cell;
  readonly committedAt: Cell;
  readonly mappingVersion: Cell;
}

export interface FoundContribution {
  readonly aggregate: string;
  readonly mergeKey: string;
  readonly live: boolean;
  readonly data: Readonly<Record<string, Cell>>;
  readonly lineage: FoundLineage;
  readonly physical: string;
}

/** What the target holds for one legacy key. */
export interface Found {
  /** By owned table: live rows under the scope of the key, rows with the expected ids in any state, and rows requested by id. */
  readonly rows: readonly ReadonlyMap<string, FoundRow>[];
  /** Live contributions of the key, and contributions to the expected merge keys in any state. */
  readonly contributions: readonly FoundContribution[];
  readonly isParked: boolean;
  readonly isDead: boolean;
}

/** A cell that differs. `type`: compare by value in this type; null: compare the texts. */
export interface CellDifference {
  readonly column: string;
  readonly expected: Cell;
  readonly actual: Cell;
  readonly type: string | null;
}

/** One expected or found row. */
export interface RowResult {
  readonly table: string;
  readonly id: string;
  readonly tenant: string;
  readonly kind: 'equal' | 'missing' | 'extra' | 'differs';
  readonly cells: readonly CellDifference[];
  /** Numeric cells of both sides, by column. */
  readonly numbers: readonly { readonly column: string; readonly expected: Cell; readonly actual: Cell }[];
  readonly lineage: FoundLineage | null;
  readonly physical: string | null;
  /** Set for a contribution. */
  readonly merged: { readonly aggregate: string; readonly mergeKey: string } | null;
}

/** Compares what one legacy row implies with the target. `strays`: by table, ids of rows that name this key but are outside its scope. */
export function compareKey(
  plan: Plan,
  expected: Expected,
  found: Found,
  strays: ReadonlyMap<string, ReadonlySet<string>>,
): RowResult[] {
  const rows = plan.owned.flatMap((_, at) => compareOwned(plan, at, expected, found.rows[at]!, strays));
  return [...rows, ...compareContributions(plan.projection.source, expected, found.contributions)];
}

function compareOwned(
  plan: Plan,
  at: number,
  { legacyKey, rows }: Expected,
  found: ReadonlyMap<string, FoundRow>,
  strays: ReadonlyMap<string, ReadonlySet<string>>,
): RowResult[] {
  const { target, columns, shape, tenantAt, numericAt } = plan.owned[at]!;
  const { source } = plan.projection;
  const results: RowResult[] = [];
  const implied = new Set<string>();
  for (const cells of rows[at]!) {
    const id = cells[0]!;
    implied.add(id);
    const actual = found.get(id);
    const base = { table: target.table, id, tenant: tenantOf(cells, tenantAt), merged: null };
    const numbers = numericAt.map((place) => ({
      column: columns[place]!,
      expected: cells[place]!,
      actual: actual?.cells[place] ?? null,
    }));
    if (actual === undefined) {
      results.push({ ...base, kind: 'missing', cells: [], numbers, lineage: null, physical: null });
      continue;
    }
    const differences: CellDifference[] = [];
    const text = (column: string, expectedText: Cell, actualText: Cell) => {
      if (expectedText !== actualText)
        differences.push({ column, expected: expectedText, actual: actualText, type: null });
    };
    for (const [place, column] of columns.entries()) {
      if (cells[place] === actual.cells[place]) continue;
      differences.push({
        column,
        expected: cells[place]!,
        actual: actual.cells[place]!,
        type: shape.types[column] ?? null,
      });
    }
    text('deleted_at', null, actual.deletedAt);
    text('origin', 'cdc', actual.origin);
    text('legacy_table', source, actual.legacyTable);
    text('legacy_key', legacyKey, actual.legacyKey);
    const kind = differences.length === 0 ? 'equal' : 'differs';
    const { lineage, physical } = actual;
    results.push({ ...base, kind, cells: differences, numbers, lineage, physical });
  }
  for (const row of found.values()) {
    if (implied.has(row.id) || row.origin !== 'cdc' || row.deletedAt !== null || row.legacyTable !== source) continue;
    // A stray row that no longer names this key belongs to another key.
    if (strays.get(target.table)?.has(row.id) && row.legacyKey !== legacyKey) continue;
    results.push({
      table: target.table,
      id: row.id,
      tenant: tenantOf(row.cells, tenantAt),
      kind: 'extra',
      cells: [],
      numbers: numericAt.map((place) => ({
        column: columns[place]!,
        expected: null,
        actual: row.cells[place]!,
      })),
      lineage: row.lineage,
      physical: row.physical,
      merged: null,
    });
  }
  return results;
}

function compareContributions(
  legacyTable: string,
  { legacyKey, contributions }: Expected,
  found: readonly FoundContribution[],
): RowResult[] {
  const results: RowResult[] = [];
  const nameOf = (of: { aggregate: string; mergeKey: string }) => toContributionName(of, { legacyTable, legacyKey });
  const byName = new Map(found.map((contribution) => [nameOf(contribution), contribution]));
  const toResult = (
    of: { aggregate: string; mergeKey: string; data: Readonly<Record<string, Cell>> },
    kind: RowResult['kind'],
    cells: readonly CellDifference[],
    actual: FoundContribution | undefined,
  ): RowResult => ({
    table: CONTRIBUTION,
    id: nameOf(of),
    tenant: of.data.tenant_id ?? '',
    kind,
    cells,
    numbers: [],
    lineage: actual?.lineage ?? null,
    physical: actual?.physical ?? null,
    merged: { aggregate: of.aggregate, mergeKey: of.mergeKey },
  });
  for (const contribution of contributions) {
    const actual = byName.get(nameOf(contribution));
    byName.delete(nameOf(contribution));
    if (actual === undefined) {
      results.push(toResult(contribution, 'missing', [], undefined));
      continue;
    }
    const cells: CellDifference[] = actual.live ? [] : [{ column: 'live', expected: 't', actual: 'f', type: null }];
    const names = new Set([...Object.keys(contribution.data), ...Object.keys(actual.data)]);
    for (const name of names) {
      const [left, right] = [contribution.data[name] ?? null, actual.data[name] ?? null];
      if (left !== right) cells.push({ column: `data.${name}`, expected: left, actual: right, type: null });
    }
    results.push(toResult(contribution, cells.length === 0 ? 'equal' : 'differs', cells, actual));
  }
  for (const contribution of byName.values()) {
    if (contribution.live) results.push(toResult(contribution, 'extra', [], contribution));
  }
  return results;
}

/** The differences as one text: equal for equal differences, empty if there are none. `withVersions`: includes the physical row versions. */
export function toDifferenceText(results: readonly RowResult[], withVersions: boolean): string {
  return results
    .filter(({ kind }) => kind !== 'equal')
    .map(({ table, id, kind, cells, physical }) =>
      JSON.stringify([
        table,
        id,
        kind,
        cells.map(({ column, expected, actual }) => [column, expected, actual]),
        withVersions ? physical : null,
      ]),
    )
    .sort()
    .join('\n');
}
