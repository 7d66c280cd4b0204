import { pause } from '../../runtime/retry.ts';

/** Keeps work at a rate. `rowsPerSecond` null: as fast as it goes. */
export interface Pace {
  /** Waits until so many rows more may have been read. */
  take(rows: number): Promise<void>;
}

/** `onWait` is called every second, as long as it is waited. */
export function createPace(
  rowsPerSecond: number | null,
  signal: AbortSignal,
  onWait: () => void = () => undefined,
): Pace {
  let freeAtMs = performance.now();
  return {
    async take(rows) {
      if (rowsPerSecond === null) return;
      // Time that was lost elsewhere is not caught up with.
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
