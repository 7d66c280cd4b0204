import { pause } from '../../runtime/retry.ts';

/** Keeps work at a rate. `rowsPerSecond` null: as fast as it goes. */
export interface Pace {
  /** Waits until so many rows more may have been read. */
  take(rows: number): Promise<void>;
}

export function createPace(rowsPerSecond: number | null, signal: AbortSignal): Pace {
  let freeAtMs = performance.now();
  return {
    async take(rows) {
      if (rowsPerSecond === null) return;
      // Time that was lost elsewhere is not caught up with.
      freeAtMs = Math.max(freeAtMs, performance.now() - 1000) + (rows * 1000) / rowsPerSecond;
      const waitMs = freeAtMs - performance.now();
      if (waitMs > 0) await pause(waitMs, signal);
      signal.throwIfAborted();
    },
  };
}
