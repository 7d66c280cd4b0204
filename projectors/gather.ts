import type { Slice } from './write/apply-changes.ts';

/**
 * Gathers slices of different partitions into common transactions: what one fetch brings is applied together as far as it fits, so that many small
 * batches cost one transaction and large ones run side by side.
 */
export interface Gatherer {
  /** Resolves once the slice is applied; rejects with what its own application threw. */
  apply(slice: Slice): Promise<void>;
}

interface Waiting {
  readonly slice: Slice;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** `lanes`: transactions at a time. `rows`: changes in a transaction, beyond its first slice. `apply` must change nothing when it throws. */
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
      // What fails together is tried alone, so that each partition answers for itself.
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
        // Later in this turn, so that the other partitions of the same fetch come along.
        if (!isScheduled) setImmediate(start);
        isScheduled = true;
      }),
  };
}
