import { setTimeout as sleep } from 'node:timers/promises';
import { reach } from '../../faults.ts';
import type { GroupConsumer, GroupOptions, TopicPartition } from '../types.ts';
import type { Cluster } from './cluster.ts';
import { type Assignment, createGroupMember } from './group-member.ts';
import { createPartitionReader } from './partition-reader.ts';
import type { Chunk } from './record-batch.ts';

/** Consecutive fetch failures after which the consumer gives up. */
const FAILURES = 6;

/** A member of a group that applies the records of its partitions, as GroupOptions describes. */
export async function createDirectGroupConsumer(
  cluster: Cluster,
  options: GroupOptions,
  told: (error: Error) => void,
): Promise<GroupConsumer> {
  const { groupId, topics, sessionTimeoutMs } = options;
  const beatEveryMs = Math.floor(sessionTimeoutMs / 6);
  const member = createGroupMember(cluster, { groupId, topics, sessionTimeoutMs });
  /** Work for a past assignment is stale. */
  let generation = 0;
  let isClosed = false;
  const inWork = new Set<Promise<unknown>>();
  let lastBeatMs = 0;
  /** Last sign of progress of the batch handlers: one that hangs must not keep the partitions from other members. */
  let lastSignMs = 0;
  let beating: Promise<boolean> | null = null;
  let isJoining = true;

  function crash(error: unknown): void {
    if (isClosed) return;
    isClosed = true;
    generation += 1;
    reader.close();
    clearInterval(timer);
    options.onCrash(error as Error);
  }

  const reader = createPartitionReader(cluster, {
    ...{
      maxWaitMs: options.maxWaitMs ?? 500,
      maxBytes: 2_097_152,
      maxBytesPerPartition: 262_144,
      depth: 2,
      lanes: 3,
    },
    concurrency: options.concurrency,
    onChunk: handle,
    onFailure: (error, times) => {
      told(error);
      if (times >= FAILURES) crash(error);
    },
  });

  async function handle(place: TopicPartition, { records }: Chunk): Promise<bigint | null> {
    if (records.length === 0) return null;
    const mine = generation;
    const isStale = () => isClosed || generation !== mine;
    if (isStale()) return null;
    lastSignMs = performance.now();
    const work = options.onBatch({
      ...{ topic: place.topic, partition: place.partition, records, isStale },
      beat: async () => {
        lastSignMs = performance.now();
        if (lastSignMs - lastBeatMs >= beatEveryMs && !isStale()) await beat();
      },
      pause: () => reader.pause(place),
    });
    inWork.add(work);
    try {
      return await work;
    } finally {
      lastSignMs = performance.now();
      inWork.delete(work);
    }
  }

  /** One heartbeat at a time. During a rebalance, the member rejoins. */
  async function beat(): Promise<void> {
    if (isJoining) return;
    lastBeatMs = performance.now();
    const of = generation;
    beating ??= member.beat().finally(() => {
      beating = null;
    });
    const isMember = await beating;
    if (!isMember && of === generation && !isClosed) void rejoin().catch(crash);
  }

  async function rejoin(): Promise<void> {
    isJoining = true;
    generation += 1;
    reader.assign([]);
    reach?.('rebalance.before').catch(crash);
    // The current batches stop soon; the other members wait for this one meanwhile, but not forever.
    await Promise.race([Promise.allSettled(inWork), sleep(sessionTimeoutMs / 2, undefined, { ref: false })]);
    await join();
  }

  async function join(): Promise<void> {
    const assignment = await member.join();
    if (isClosed) return;
    generation += 1;
    const mine = generation;
    lastBeatMs = performance.now();
    options.onAssigned(assignment);
    reach?.('rebalance.after').catch(crash);
    isJoining = false;
    const starts = await Promise.all(
      listPlaces(assignment).map(async (place) => ({
        ...place,
        offset: await options.startOffset(place.topic, place.partition),
      })),
    );
    if (!isClosed && generation === mine) reader.assign(starts);
  }

  let isBeating = false;
  const timer = setInterval(
    () => {
      const nowMs = performance.now();
      const hangs = inWork.size > 0 && nowMs - lastSignMs > sessionTimeoutMs;
      if (isBeating || isJoining || hangs || nowMs - lastBeatMs < beatEveryMs) return;
      isBeating = true;
      beat()
        .catch(crash)
        .finally(() => {
          isBeating = false;
        });
    },
    Math.max(50, beatEveryMs / 4),
  );
  try {
    await join();
  } catch (error) {
    isClosed = true;
    clearInterval(timer);
    reader.close();
    cluster.close();
    throw error;
  }
  return {
    async close() {
      isClosed = true;
      generation += 1;
      clearInterval(timer);
      reader.close();
      await member.leave();
      cluster.close();
    },
    commitForMonitors: (topic, partition, next) => member.commit(topic, partition, next),
  };
}

function listPlaces(assignment: Assignment): TopicPartition[] {
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}
