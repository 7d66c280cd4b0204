/** Window of the read rate. */
const RATE_WINDOW_MS = 10_000;
/** Shorter spans give no meaningful rate: chunks come in bursts. */
const LEAST_MS = 1000;

/**
 * Limits the read rate. `rowsPerSecond` 0: unlimited. Rows are reserved before they are read, so that several
 * connections together keep the rate; rows that a chunk did not hold are given back. Times are monotonic milliseconds.
 */
export function createPace(rowsPerSecond: number) {
  const msPerRow = rowsPerSecond > 0 ? 1000 / rowsPerSecond : 0;
  /** End of the time reserved for the rows requested so far. */
  let paidAtMs = -Infinity;
  return {
    /** Rows of a chunk: at most those of one second, or a slow rate would come in bursts. */
    limit: (rows: number): number => (msPerRow === 0 ? rows : Math.max(1, Math.min(rows, Math.floor(rowsPerSecond)))),

    /** Reserves rows; returns how long to wait before they are read. */
    ask(rows: number, nowMs: number): number {
      if (msPerRow === 0) return 0;
      const fromMs = Math.max(paidAtMs, nowMs);
      paidAtMs = fromMs + rows * msPerRow;
      return fromMs - nowMs;
    },

    /** Gives back rows that were reserved but not read. */
    giveBack(rows: number): void {
      paidAtMs -= rows * msPerRow;
    },
  };
}

/** Rows per second over the last ten seconds; 0: not known yet. */
export function createRateMeter() {
  let samples: { readonly atMs: number; readonly rows: number }[] = [];
  return {
    /** Adds a sample of the total number of rows read; returns the rate. */
    add(rows: number, nowMs: number): number {
      samples = [...samples.filter(({ atMs }) => nowMs - atMs <= RATE_WINDOW_MS), { atMs: nowMs, rows }];
      const { atMs, rows: before } = samples[0]!;
      return nowMs - atMs < LEAST_MS ? 0 : Math.max(0, Math.round(((rows - before) * 1000) / (nowMs - atMs)));
    },
  };
}
