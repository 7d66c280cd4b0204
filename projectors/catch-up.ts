import type { InRecord, Kafka } from '../runtime/kafka.ts';
import type { FeedMember } from './feed-member.ts';

/** Lag, in records, below which the front waits for a member that catches up, for at most `HOLD_MS`. */
const CLOSE = 2000n;
const HOLD_MS = 2000;

/**
 * Members that lag behind the front of their feed in a partition. Each reads the missing records by itself, while the others continue, and joins them between two
 * batches. So a projection that is new to a log, or was stopped for a while, does not delay the others.
 */
export interface CatchUp {
  /** Returns the offset at which the feed continues in a partition: the position of its foremost member. Members behind it begin to catch up. */
  begin(partition: number): Promise<bigint>;
  /** Runs `work` on one batch of a partition with the members that have joined, all of them at `front`, then moves the front to `reached`. First waits for a member that is about to join. */
  advance<T extends { readonly reached: bigint }>(
    partition: number,
    work: (members: readonly FeedMember[], front: bigint) => Promise<T>,
  ): Promise<T>;
  /** Separates a member from the others of its partition. It catches up once its pending slice is applied. */
  leave(member: FeedMember, partition: number, pending: Promise<boolean>): void;
  /** Stops all catching up, as at a rebalance. */
  reset(): void;
  /** As `reset`, and waits until the pending work is done. */
  stop(): Promise<void>;
}

export function createCatchUp(options: {
  kafka: Pick<Kafka, 'readRanges'>;
  topic: string;
  members: readonly FeedMember[];
  /** Lets a member apply records from its position on. Returns false if another projector has moved it. */
  apply: (member: FeedMember, partition: number, records: readonly InRecord[], from: bigint) => Promise<boolean>;
  onFailure: (error: unknown) => void;
}): CatchUp {
  const { kafka, topic, members, apply, onFailure } = options;
  const fronts = new Map<number, bigint>();
  const behind = new Map<number, Set<FeedMember>>();
  const inWork = new Map<number, Promise<unknown>>();
  /** Members about to join: no batch of the partition begins before they have joined. */
  const joining = new Map<number, Set<Promise<void>>>();
  const followed = new Map<number, AbortController>();
  const tasks = new Set<Promise<void>>();

  /** Reads from the member's position up to `to`, exclusive. Returns false if another process has taken over the partition. */
  async function read(member: FeedMember, partition: number, to: bigint, signal: AbortSignal): Promise<boolean> {
    let isOurs = true;
    const from = await member.position(partition);
    await kafka.readRanges(topic, new Map([[partition, { from, to }]]), {
      signal,
      onBatch: async ({ records }) => {
        // Records read before a rebalance may precede the member's current position. Applying them again would move its offset back.
        const position = await member.position(partition);
        const missing = records.filter(({ offset }) => offset >= position);
        if (missing.length > 0) isOurs = await apply(member, partition, missing, position);
        return isOurs;
      },
    });
    const reached = await member.position(partition);
    // Aborted transactions yield no records; their offsets are skipped.
    if (isOurs && reached < to)
      isOurs = await member.apply({ partition, changes: [], records: 0, from: reached, next: to });
    if (!isOurs) await member.locate(partition);
    return isOurs;
  }

  /** Joins a member: while no batch of the partition runs, it reads the few records it still lacks. */
  async function join(member: FeedMember, partition: number, late: Set<FeedMember>, signal: AbortSignal) {
    const done = Promise.withResolvers<void>();
    const held = joining.get(partition) ?? new Set();
    joining.set(partition, held.add(done.promise));
    const release = () => {
      held.delete(done.promise);
      done.resolve();
    };
    const timer = setTimeout(release, HOLD_MS);
    try {
      await inWork.get(partition)?.catch(() => undefined);
      const front = fronts.get(partition)!;
      if ((await member.position(partition)) < front) await read(member, partition, front, signal);
      // The front may have moved meanwhile. Then the member is not level with it and reads on.
      const isLevel = (await member.position(partition)) === fronts.get(partition) && !inWork.has(partition);
      if (isLevel && !signal.aborted) late.delete(member);
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  async function follow(member: FeedMember, partition: number, late: Set<FeedMember>, signal: AbortSignal) {
    while (late.has(member) && !signal.aborted) {
      const front = fronts.get(partition)!;
      if (front - (await member.position(partition)) <= CLOSE) await join(member, partition, late, signal);
      else await read(member, partition, front, signal);
    }
  }

  function run(signal: AbortSignal, work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => {
        if (!signal.aborted) onFailure(error);
      })
      .finally(() => tasks.delete(task));
    tasks.add(task);
  }

  const reset = () => {
    for (const ending of followed.values()) ending.abort(new Error('stopped'));
  };

  return {
    async begin(partition) {
      followed.get(partition)?.abort(new Error('stopped'));
      const positions = await Promise.all(members.map((member) => member.locate(partition)));
      const front = positions.reduce((a, b) => (b > a ? b : a));
      fronts.set(partition, front);
      const late = new Set(members.filter((_, at) => positions[at]! < front));
      behind.set(partition, late);
      const ending = new AbortController();
      followed.set(partition, ending);
      for (const member of late) run(ending.signal, () => follow(member, partition, late, ending.signal));
      return front;
    },
    leave(member, partition, pending) {
      const late = behind.get(partition)!;
      const { signal } = followed.get(partition)!;
      // The member may already be behind, if this batch was fetched before a rebalance. Two followers of one member would undo each other's work.
      const isFollowed = late.has(member);
      late.add(member);
      run(signal, async () => {
        if (!(await pending)) await member.locate(partition);
        if (!isFollowed) await follow(member, partition, late, signal);
      });
    },
    async advance(partition, work) {
      for (let held = joining.get(partition); held !== undefined && held.size > 0; ) await Promise.all(held);
      const late = behind.get(partition)!;
      const working = work(
        members.filter((member) => !late.has(member)),
        fronts.get(partition)!,
      );
      inWork.set(partition, working);
      try {
        const done = await working;
        fronts.set(partition, done.reached);
        return done;
      } finally {
        inWork.delete(partition);
      }
    },
    reset,
    async stop() {
      reset();
      await Promise.allSettled([...tasks]);
    },
  };
}
