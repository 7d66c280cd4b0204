/** How long the rate of reading looks back. */
const RATE_WINDOW_MS = 10_000;
/** Less tells nothing: chunks come in bursts. */
const LEAST_MS = 1000;

/**
 * Spreads rows over time. `rowsPerSecond` 0: as fast as it goes. Rows are paid for before they are read, so that several connections together keep the rate, and what a chunk did not
 * hold is given back. Times are monotonic milliseconds.
 */
export function createPace(rowsPerSecond: number) {
  const msPerRow = rowsPerSecond > 0 ? 1000 / rowsPerSecond : 0;
  /** When the rows that were asked for so far are paid for. */
  let paidAtMs = -Infinity;
  return {
    /** Rows of a chunk: at most those of a second, or a slow rate would come in bursts. */
    limit: (rows: number): number => (msPerRow === 0 ? rows : Math.max(1, Math.min(rows, Math.floor(rowsPerSecond)))),

    /** How long to wait before so many rows are read. */
    ask(rows: number, nowMs: number): number {
      if (msPerRow === 0) return 0;
      const fromMs = Math.max(paidAtMs, nowMs);
      paidAtMs = fromMs + rows * msPerRow;
      return fromMs - nowMs;
    },

    /** So many rows were asked for, and not read. */
    giveBack(rows: number): void {
      paidAtMs -= rows * msPerRow;
    },
  };
}

/** Rows per second over the last ten seconds; 0: not known yet. */
export function createRateMeter() {
  let samples: { readonly atMs: number; readonly rows: number }[] = [];
  return {
    /** So many rows are read in all; returns the rate. */
    add(rows: number, nowMs: number): number {
      samples = [...samples.filter(({ atMs }) => nowMs - atMs <= RATE_WINDOW_MS), { atMs: nowMs, rows }];
      const { atMs, rows: before } = samples[0]!;
      return nowMs - atMs < LEAST_MS ? 0 : Math.max(0, Math.round(((rows - before) * 1000) / (nowMs - atMs)));
    },
  };
}
