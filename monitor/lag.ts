import type { Position } from '../connectors/position.ts';

/** How far the log is behind the legacy database. */
export interface SourceLag {
  readonly lagBytes: bigint;
  readonly lagSeconds: number;
}

/** Stored progress in one partition that a projection consumes. */
export interface StoredOffset {
  readonly projection: string;
  readonly topic: string;
  readonly partition: number;
  readonly nextOffset: bigint;
  /** Commit time in the legacy database of the last change applied, microseconds since 1970; null before the first. */
  readonly committedMicros: bigint | null;
}

/** How far a projection is behind the log in one partition. `lagSeconds` null: behind, and nothing was ever applied. */
export interface PartitionLag {
  readonly projection: string;
  readonly topic: string;
  readonly partition: number;
  readonly endOffset: bigint;
  readonly nextOffset: bigint;
  readonly lagOffsets: bigint;
  readonly lagSeconds: number | null;
}

/**
 * Lag of the connector. Bytes from the position to the end of the flushed write-ahead log; seconds from the source time of the position to the server's
 * own clock, 0 without lag in bytes. Other databases write to the same log: a few bytes and up to one heartbeat are normal.
 */
export function toSourceLag(
  position: Pick<Position, 'lsn' | 'sourceMicros'>,
  server: { readonly flushLsn: bigint; readonly nowMicros: bigint },
): SourceLag {
  const lagBytes = server.flushLsn > position.lsn ? server.flushLsn - position.lsn : 0n;
  return { lagBytes, lagSeconds: lagBytes === 0n ? 0 : toSeconds(server.nowMicros - position.sourceMicros) };
}

/**
 * Lag of a projection in each partition of its topic, in order. Offsets are exact: position and stored offset both name the one after the last
 * record. Kafka's transaction markers take offsets too, so there may be fewer records than offsets. Seconds are an upper bound: from the commit of the last change applied to the source time of the position, so that a partition which was
 * quiet for long counts from its last change until it has caught up.
 */
export function toPartitionLags(
  projection: string,
  topic: string,
  position: Pick<Position, 'sourceMicros' | 'offsets'>,
  stored: readonly StoredOffset[],
): PartitionLag[] {
  return (position.offsets[topic] ?? []).map((end, partition) => {
    const found = stored.find(
      (row) => row.projection === projection && row.topic === topic && row.partition === partition,
    );
    const endOffset = BigInt(end);
    const nextOffset = found?.nextOffset ?? 0n;
    const lagOffsets = endOffset > nextOffset ? endOffset - nextOffset : 0n;
    const committed = found?.committedMicros ?? null;
    const lagSeconds = lagOffsets === 0n ? 0 : committed === null ? null : toSeconds(position.sourceMicros - committed);
    return { projection, topic, partition, endOffset, nextOffset, lagOffsets, lagSeconds };
  });
}

/**
 * Refines the seconds of a later check with an earlier one. Records that were in the log then and are applied now cannot be waiting, so a partition that has passed
 * its earlier end is behind by no more than the source time between the checks.
 */
export function sharpenLags(
  earlier: readonly PartitionLag[],
  later: readonly PartitionLag[],
  betweenMicros: bigint,
): PartitionLag[] {
  const bound = toSeconds(betweenMicros);
  return later.map((lag) => {
    const before = earlier.find(
      (row) => row.projection === lag.projection && row.topic === lag.topic && row.partition === lag.partition,
    );
    if (before === undefined || lag.nextOffset < before.endOffset) return lag;
    return { ...lag, lagSeconds: Math.min(lag.lagSeconds ?? bound, bound) };
  });
}

/** Lag over all partitions: offsets null where nothing is known, seconds null also where a partition that is behind has never applied anything. */
export interface TotalLag {
  readonly lagOffsets: bigint | null;
  readonly lagSeconds: number | null;
}

/** Sum of offsets and the worst seconds. No partition at all means that position or offsets could not be read. */
export function toTotalLag(lags: readonly PartitionLag[]): TotalLag {
  if (lags.length === 0) return { lagOffsets: null, lagSeconds: null };
  return {
    lagOffsets: lags.reduce((sum, lag) => sum + lag.lagOffsets, 0n),
    lagSeconds: lags.reduce<number | null>(
      (worst, { lagSeconds }) => (worst === null || lagSeconds === null ? null : Math.max(worst, lagSeconds)),
      0,
    ),
  };
}

function toSeconds(micros: bigint): number {
  return micros > 0n ? Number(micros) / 1e6 : 0;
}
