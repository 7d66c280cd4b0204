/** Legacy rows a second that a pipeline of crosswalk takes: docs/performance.md, "Backfills of growing size". */
export const DOCUMENTED_ROWS_PER_SECOND = 2000;

/** How long an initial load takes, and what that rests on. */
export interface LoadEstimate {
  readonly rows: number;
  /** Whether the rows of every table are known. */
  readonly isWhole: boolean;
  readonly rowsPerSecond: number;
  readonly seconds: number;
  readonly restsOn: string;
}

/** `rows` by table, null where not known; `measured`: a rate that somebody measured for these rows. */
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
