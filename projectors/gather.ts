import type { Slice } from './write/apply-changes.ts';

/**
 * Groups slices of different partitions into common transactions: the slices of one fetch are applied together as far as they fit. Many small batches then cost one
 * transaction, and large ones run in parallel.
 */
export interface Gatherer {
  /** Resolves once the slice is applied; rejects with the error of its own application. */
  apply(slice: Slice): Promise<void>;
}

interface Waiting {
  readonly slice: Slice;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** `lanes`: concurrent transactions. `rows`: most changes in a transaction, unless its first slice alone has more. `apply` must change nothing if it throws. */
export function createGatherer(options: {
  lanes: number;
  rows: number;
  apply: (slices: readonly Slice[]) => Promise<void>;
}): Gatherer {
  const queue: Waiting[] = [];
  let busy = 0;
  let isScheduled = false;

  function take(): Waiting[] {
    const taken: Waiting[] = [];
    let rows = 0;
    while (queue.length > 0 && (taken.length === 0 || rows + queue[0]!.slice.changes.length <= options.rows)) {
      const next = queue.shift()!;
      rows += next.slice.changes.length;
      taken.push(next);
    }
    return taken;
  }

  async function run(taken: readonly Waiting[]): Promise<void> {
    try {
      await options.apply(taken.map(({ slice }) => slice));
      for (const { resolve } of taken) resolve();
    } catch (error) {
      if (taken.length === 1) taken[0]!.reject(error);
      // Slices that fail together are retried one by one, so that each partition gets its own error.
      else for (const waiting of taken) await run([waiting]);
    }
  }

  function start(): void {
    isScheduled = false;
    while (busy < options.lanes && queue.length > 0) {
      busy += 1;
      void run(take()).finally(() => {
        busy -= 1;
        start();
      });
    }
  }

  return {
    apply: (slice) =>
      new Promise((resolve, reject) => {
        queue.push({ slice, resolve, reject });
        // Deferred to the end of this event loop turn, so that the other partitions of the same fetch are included.
        if (!isScheduled) setImmediate(start);
        isScheduled = true;
      }),
  };
}
