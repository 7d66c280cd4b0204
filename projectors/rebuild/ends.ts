import type { Ends } from '../consume.ts';

/** Moving ends of partitions: the positions of the live projector of a topic. An unknown partition ends at 0. */
export interface MovingEnds extends Ends {
  /** Offsets by partition. Ends never go back: an older reading may arrive later. */
  move(offsets: ReadonlyMap<number, bigint>): void;
}

export function createEnds(): MovingEnds {
  const ends = new Map<number, bigint>();
  let waiting: { readonly partition: number; readonly offset: bigint; readonly resolve: () => void }[] = [];
  const of = (partition: number) => ends.get(partition) ?? 0n;
  return {
    of,
    behind: (partition, offset) =>
      of(partition) > offset
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push({ partition, offset, resolve });
          }),
    move(offsets) {
      for (const [partition, offset] of offsets) if (offset > of(partition)) ends.set(partition, offset);
      const passed = waiting.filter(({ partition, offset }) => of(partition) > offset);
      waiting = waiting.filter(({ partition, offset }) => of(partition) <= offset);
      for (const { resolve } of passed) resolve();
    },
  };
}
