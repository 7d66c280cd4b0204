import type { Cell, LegacyRow } from '../projection.ts';
import type { SourceChange } from '../source-change.ts';

/** A cell before and after a change. */
export interface CellChange {
  readonly column: string;
  readonly before: Cell;
  readonly after: Cell;
}

/**
 * Returns what a change did to its legacy row. `previous`: the row after the change before it, null if it did not exist, undefined if unknown. `unseen`: columns whose
 * old value differs from `previous`, so they changed without an event.
 */
export function toCellChanges(
  { op, before, after }: Pick<SourceChange, 'op' | 'before' | 'after'>,
  previous: LegacyRow | null | undefined,
): { changed: CellChange[]; unseen: string[] } {
  // If the old row was not sent, or only its key, it is taken from the previous event.
  const old = op === 'c' ? null : (before ?? previous ?? null);
  const changed = columnsOf(old, after).flatMap((column) => {
    const [from, to] = [old?.[column] ?? null, after?.[column] ?? null];
    return from === to ? [] : [{ column, before: from, after: to }];
  });
  const isComparable = before !== null && previous !== null && previous !== undefined;
  const unseen = isComparable
    ? Object.keys(before).filter(
        (column) => column in previous && (before[column] ?? null) !== (previous[column] ?? null),
      )
    : [];
  return { changed, unseen };
}

/** Columns of either row, in the order of the later one. */
export function columnsOf(a: LegacyRow | null, b: LegacyRow | null): string[] {
  return [...new Set([...Object.keys(b ?? {}), ...Object.keys(a ?? {})])];
}

/** Columns in which two rows differ; if one row is missing, all non-null columns of the other. */
export function differingColumns(a: LegacyRow | null, b: LegacyRow | null): string[] {
  return columnsOf(a, b).filter((column) => (a?.[column] ?? null) !== (b?.[column] ?? null));
}
