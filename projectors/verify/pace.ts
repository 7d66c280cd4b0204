import { pause } from '../../runtime/retry.ts';

/** Limits the rate of work. `rowsPerSecond` null: no limit. */
export interface Pace {
  /** Waits until this many more rows may be read. */
  take(rows: number): Promise<void>;
}

/** `onWait` is called every second during a wait. */
export function createPace(
  rowsPerSecond: number | null,
  signal: AbortSignal,
  onWait: () => void = () => undefined,
): Pace {
  let freeAtMs = performance.now();
  return {
    async take(rows) {
      if (rowsPerSecond === null) return;
      // Time lost elsewhere is not made up.
      freeAtMs = Math.max(freeAtMs, performance.now() - 1000) + (rows * 1000) / rowsPerSecond;
      const untilMs = freeAtMs;
      for (let leftMs = untilMs - performance.now(); leftMs > 0; leftMs = untilMs - performance.now()) {
        onWait();
        await pause(Math.min(leftMs, 1000), signal);
        if (signal.aborted) break;
      }
      signal.throwIfAborted();
    },
  };
}
