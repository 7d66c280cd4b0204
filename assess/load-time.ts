/** Legacy rows per second that a crosswalk pipeline processes: docs/performance.md, "Backfills of growing size". */
export const DOCUMENTED_ROWS_PER_SECOND = 2000;

/** Estimated duration of an initial load, with its basis. */
export interface LoadEstimate {
  readonly rows: number;
  /** Whether the row counts of all tables are known. */
  readonly isWhole: boolean;
  readonly rowsPerSecond: number;
  readonly seconds: number;
  readonly restsOn: string;
}

/** `rows`: row count per table, null if unknown. `measured`: a rate measured with these rows; null: none. */
export function toLoadEstimate(rows: readonly (number | null)[], measured: number | null): LoadEstimate {
  const total = rows.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  const rowsPerSecond = measured ?? DOCUMENTED_ROWS_PER_SECOND;
  return {
    rows: total,
    isWhole: rows.every((count) => count !== null),
    rowsPerSecond,
    seconds: total / rowsPerSecond,
    restsOn:
      measured === null
        ? 'measured with rows of 600 bytes that become eight each, two cores for everything together: docs/performance.md. `--rate` takes a rate of your own'
        : 'the rate that was given with --rate',
  };
}
