import type { Cell } from '../projectors/projection.ts';
import { show, showRow } from './fault.ts';
import type { StoredRow } from './new-tables.ts';

/** Any cell except null. */
const NOT_NULL = Symbol('not null');

/** The cells of a row that matter; the row may have others. */
export type ExpectedRow = Readonly<Record<string, Cell | typeof NOT_NULL>>;

/** A soft-deleted row, with any deletion time. */
export function gone(row: Readonly<Record<string, Cell>>): ExpectedRow {
  return { deleted_at: NOT_NULL, ...row };
}

/**
 * Differences between the rows of a table and the expected ones, one line each; empty if there are none. Live rows must be exactly the expected ones, in
 * any order. Soft-deleted rows may be more than the expected ones.
 */
export function compareRows(table: string, actual: readonly StoredRow[], expected: readonly ExpectedRow[]): string[] {
  const wasRetracted = (row: ExpectedRow) => (row.deleted_at ?? null) !== null;
  const [isGone, isLive] = [actual.filter(wasRetracted), actual.filter((row) => !wasRetracted(row))];
  const live = pair(
    isLive,
    expected.filter((row) => !wasRetracted(row)),
  );
  const retracted = pair(isGone, expected.filter(wasRetracted));
  const lines = [...live.pairs, ...retracted.pairs].flatMap(([row, wanted]) => differences(row, wanted));
  const missing = live.missing.map((row) => `  missing: ${showExpected(row)}`);
  // Not found among soft-deleted rows; it may be live.
  const notGone = retracted.missing.map((row) => `  missing among the soft-deleted rows: ${showExpected(row)}`);
  const others = live.others.map((row) => `  not expected: ${showRow(withoutLineage(row))}`);
  const all = [...lines, ...missing, ...notGone, ...others];
  return all.length === 0 ? [] : [table, ...all];
}

interface Pairing {
  readonly pairs: (readonly [StoredRow, ExpectedRow])[];
  readonly missing: ExpectedRow[];
  readonly others: StoredRow[];
}

/** Pairs rows with expected rows: exact matches first, then equal ids, then the fewest differences. */
function pair(actual: readonly StoredRow[], expected: readonly ExpectedRow[]): Pairing {
  const matched = matchAll(actual, expected);
  const others = new Set(actual.filter((row) => ![...matched.values()].includes(row)));
  const pairs: (readonly [StoredRow, ExpectedRow])[] = [];
  const missing: ExpectedRow[] = [];
  for (const wanted of expected) {
    if (matched.has(wanted)) continue;
    const alike = [...others].filter((row) => wanted.id === undefined || row.id === wanted.id);
    const [row] = alike.sort((a, b) => differing(a, wanted).length - differing(b, wanted).length);
    // Rows without a common cell are not versions of the same row.
    if (row === undefined || differing(row, wanted).length === Object.keys(wanted).length) missing.push(wanted);
    else {
      pairs.push([row, wanted]);
      others.delete(row);
    }
  }
  return { pairs, missing, others: [...others] };
}

/** The largest matching of expected rows with exactly matching rows: a row that fits one of them may be needed by another. */
function matchAll(actual: readonly StoredRow[], expected: readonly ExpectedRow[]): Map<ExpectedRow, StoredRow> {
  const taken = new Map<StoredRow, ExpectedRow>();
  const place = (wanted: ExpectedRow, seen: Set<StoredRow>): boolean => {
    for (const row of actual) {
      if (seen.has(row) || differing(row, wanted).length > 0) continue;
      seen.add(row);
      const holder = taken.get(row);
      if (holder !== undefined && !place(holder, seen)) continue;
      taken.set(row, wanted);
      return true;
    }
    return false;
  };
  for (const wanted of expected) place(wanted, new Set());
  return new Map([...taken].map(([row, wanted]) => [wanted, row]));
}

function differing(row: StoredRow, wanted: ExpectedRow): string[] {
  return Object.keys(wanted).filter((column) => {
    const cell = row[column] ?? null;
    return wanted[column] === NOT_NULL ? cell === null : cell !== wanted[column];
  });
}

function differences(row: StoredRow, wanted: ExpectedRow): string[] {
  const columns = differing(row, wanted);
  if (columns.length === 0) return [];
  return [
    `  id ${row.id} (of ${row.legacy_table} ${row.legacy_key})`,
    ...columns.map((column) => `    ${column}: expected ${showWanted(wanted[column])}, is ${show(row[column])}`),
  ];
}

function showWanted(cell: ExpectedRow[string] | undefined): string {
  return typeof cell === 'symbol' ? 'a value' : show(cell);
}

function showExpected(row: ExpectedRow): string {
  const cells = Object.entries(row).filter(([, cell]) => typeof cell !== 'symbol');
  return showRow(Object.fromEntries(cells) as StoredRow);
}

function withoutLineage({
  legacy_table,
  legacy_key,
  source_lsn,
  source_xid,
  source_committed_at,
  mapping_version,
  ...row
}: StoredRow): StoredRow {
  return row;
}
