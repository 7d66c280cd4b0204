import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import type { HopTrace } from '../runtime/hop-trace.ts';
import type { Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { createGatherer } from './gather.ts';
import type { SourceChange } from './source-change.ts';
import type { ProjectionStatus } from './status.ts';
import { type Applier, applySlices, type SliceOutcome } from './write/apply-changes.ts';
import { ensureOffsets, readNextOffset } from './write/offsets.ts';

/** Concurrent transactions of one projection. */
export const CONCURRENCY = 3;

/** One projection of a feed. */
export interface Member {
  readonly applier: Applier;
  readonly status: ProjectionStatus;
}

/** Changes of a partition, decoded from `records` records, tombstones included, at offsets `from` (inclusive) to `next` (exclusive). */
export interface FeedSlice {
  readonly partition: number;
  readonly changes: readonly SourceChange[];
  readonly records: number;
  readonly from: bigint;
  readonly next: bigint;
  /** Arrival of its batch, in monotonic milliseconds. */
  readonly fetchedMs?: number;
}

/** A member in one session of its feed. Applies each slice exactly once and keeps its position in each partition. */
export interface FeedMember {
  readonly name: string;
  /** The offset at which the member continues. Reads it from the database if it is not cached. */
  position(partition: number): Promise<bigint>;
  /** Reads the position from the database again: another process may have moved it. */
  locate(partition: number): Promise<bigint>;
  forget(): void;
  /** Applies a slice that begins at the member's position. Returns false, with nothing changed, if another projector has moved the partition. */
  apply(slice: FeedSlice): Promise<boolean>;
}

export function createFeedMember(
  { applier, status }: Member,
  options: {
    topic: string;
    pool: pg.Pool;
    batchRows: number;
    log: Log;
    /** Called when changes were parked. */
    onParked: () => void;
    trace: HopTrace | null;
  },
): FeedMember {
  const { topic, pool, log, onParked, trace } = options;
  const { name } = applier.projection;
  const positions = new Map<number, bigint>();
  const gatherer = createGatherer({
    lanes: CONCURRENCY,
    rows: options.batchRows,
    apply: async (slices) => {
      const startMs = performance.now();
      observe(status, log, await applySlices(pool, applier, slices), onParked);
      trace?.add(`${name}: transaction`, performance.now() - startMs);
    },
  });

  async function locate(partition: number): Promise<bigint> {
    const next = await readNextOffset(pool, { projection: name, topic, partition });
    positions.set(partition, next);
    return next;
  }

  return {
    name,
    position: async (partition) => positions.get(partition) ?? (await locate(partition)),
    locate,
    forget: () => positions.clear(),
    async apply({ partition, changes, records, from, next, fetchedMs }) {
      try {
        await gatherer.apply({ projection: name, topic, partition, changes, expected: from, next });
      } catch (error) {
        if (!(error instanceof CrosswalkError) || error.code !== 'stale_consumer') throw error;
        log.info({ partition }, 'another projector has moved this partition: going on from there');
        return false;
      }
      if (fetchedMs !== undefined) trace?.add(`${name}: fetched to committed`, performance.now() - fetchedMs);
      positions.set(partition, next);
      status.lastCommittedAt = changes.at(-1)?.lineage.committedAt ?? status.lastCommittedAt;
      status.records += records;
      status.batches += 1;
      status.lastProgressMs = performance.now();
      return true;
    },
  };
}

/** Throws `log_gap` if the log no longer holds records that a projection has not applied yet. */
export async function assertWhole(kafka: Kafka, pool: pg.Pool, projection: string, topic: string): Promise<void> {
  const partitions = (await kafka.fetchOffsets([topic])).get(topic)?.length ?? 0;
  await ensureOffsets(pool, projection, topic, partitions);
  const nexts: bigint[] = [];
  for (let partition = 0; partition < partitions; partition++)
    nexts.push(await readNextOffset(pool, { projection, topic, partition }));
  const ends = (await kafka.fetchSettledOffsets(new Map([[topic, nexts]]))).get(topic) ?? [];
  for (const [partition, end] of ends.entries()) {
    const next = nexts[partition] ?? 0n;
    if (end.low > next || next > end.high) {
      throw new CrosswalkError(
        end.low > next ? 'log_gap.cut' : 'log_gap.topic_anew',
        `${topic}/${partition} holds offsets ${end.low} to ${end.high}, projection ${projection} goes on at ${next}`,
      );
    }
  }
}

function observe(status: ProjectionStatus, log: Log, outcome: SliceOutcome, onParked: () => void): void {
  status.applied += outcome.applied.length;
  status.parked += outcome.parked;
  status.deadLetters += outcome.defects.length;
  if (outcome.parked > 0) onParked();
  if (outcome.defects.length > 0) {
    const { reason } = outcome.defects[0]!;
    log.error({ defects: outcome.defects.length, reason }, 'dead letters written: see `crosswalk dlq list`');
  }
}
