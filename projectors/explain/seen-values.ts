import type { LegacyRow } from '../projection.ts';

const MOST_VALUES = 16;
const LONGEST_VALUE = 2000;

/** A few values that each column has held, in the order seen. */
export interface SeenValues {
  readonly byColumn: ReadonlyMap<string, ReadonlySet<string>>;
  add(row: LegacyRow | null): void;
}

export function createSeenValues(): SeenValues {
  const byColumn = new Map<string, Set<string>>();
  return {
    byColumn,
    add(row) {
      for (const [column, cell] of Object.entries(row ?? {})) {
        if (cell === null || cell.length > LONGEST_VALUE) continue;
        const values = byColumn.get(column) ?? new Set();
        if (values.size < MOST_VALUES) byColumn.set(column, values.add(cell));
      }
    },
  };
}
