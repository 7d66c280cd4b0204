import { setTimeout as sleep } from 'node:timers/promises';
import { CrosswalkError } from '../../errors.ts';
import type { TopicPartition } from '../types.ts';
import { isRetriable, KafkaProtocolError, typeOf } from './broker-errors.ts';
import { type Cluster, groupByTopic } from './cluster.ts';
import { type Chunk, decodeBatches } from './record-batch.ts';
import { fetch } from './requests.ts';

export interface ReaderOptions {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  /** Chunks of a partition that are held at once, the one at hand among them. */
  readonly depth: number;
  /** Requests to a broker at once: one that waits for quiet partitions keeps none waiting that has been read since. */
  readonly lanes: number;
  /** Chunks, of different partitions, that are handed over at once. */
  readonly concurrency: number;
  /** One at a time of a partition, in order; also where it has no records. Returns the offset to go on from where that is not the chunk's `next`. */
  readonly onChunk: (place: TopicPartition, chunk: Chunk) => Promise<bigint | null>;
  /** What comes again is called again with a count of how often in a row; anything else ends the reader. */
  readonly onFailure: (error: Error, times: number) => void;
}

/** A broker that works answers within so long, beside the time that it may wait for records. */
const ANSWER_MS = 15_000;
const PAUSE_MS = { first: 50, longest: 1000 };

interface Reading extends TopicPartition {
  next: bigint;
  chunks: Chunk[];
  isFetching: boolean;
  isAtHand: boolean;
  pauses: number;
}

/** Reads committed records of given partitions, outside of any group. */
export interface PartitionReader {
  /** From now on exactly these are read, each from its offset. */
  assign(starts: readonly (TopicPartition & { readonly offset: bigint })[]): void;
  /** Nothing more of the partition is fetched or handed over until what it returns is called. */
  pause(place: TopicPartition): () => void;
  remove(place: TopicPartition): void;
  close(): void;
}

export function createPartitionReader(cluster: Cluster, options: ReaderOptions): PartitionReader {
  let readings = new Map<string, Reading>();
  /** Requests under way, by broker and lane. */
  const busy = new Set<string>();
  let atHand = 0;
  let failures = 0;
  let isLocating = false;
  let isClosed = false;
  const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`;
  const isCurrent = (reading: Reading) => readings.get(keyOf(reading)) === reading;

  function end(error: Error): void {
    if (isClosed) return;
    isClosed = true;
    options.onFailure(error, Number.POSITIVE_INFINITY);
  }

  /** Looks for the leaders anew, after a pause that grows. */
  async function recover(error: Error): Promise<void> {
    if (isClosed || isLocating) return;
    if (!isRetriable(error)) return end(error);
    isLocating = true;
    failures += 1;
    options.onFailure(error, failures);
    await sleep(Math.min(PAUSE_MS.first * 2 ** Math.min(failures - 1, 8), PAUSE_MS.longest), undefined, { ref: false });
    isLocating = false;
    await locate(true);
  }

  let leaders = new Map<string, number>();
  async function locate(isFresh: boolean): Promise<void> {
    const topics = [...new Set([...readings.values()].map(({ topic }) => topic))];
    if (isClosed || isLocating || topics.length === 0) return;
    isLocating = true;
    try {
      const found = await cluster.locate(topics, { isFresh });
      leaders = new Map(
        [...found].flatMap(([topic, partitions]) =>
          partitions.map(({ leader }, partition) => [keyOf({ topic, partition }), leader] as const),
        ),
      );
    } catch (error) {
      isLocating = false;
      void recover(error as Error);
      return;
    }
    isLocating = false;
    pump();
  }

  /** What becomes free in one go is fetched in one request: one of its own for each would leave the others no lane. */
  let isPumping = false;
  function pump(): void {
    if (isPumping) return;
    isPumping = true;
    setImmediate(() => {
      isPumping = false;
      fetchWanted();
    });
  }

  function fetchWanted(): void {
    if (isClosed || isLocating) return;
    const wanted = [...readings.values()].filter(
      ({ isFetching, isAtHand, pauses, chunks }) =>
        !isFetching && pauses === 0 && chunks.length + Number(isAtHand) < options.depth,
    );
    for (const [leader, of] of Map.groupBy(wanted, (reading) => leaders.get(keyOf(reading)) ?? -1)) {
      if (leader < 0) {
        void recover(new KafkaProtocolError(3, { topic: of[0]!.topic }));
        return;
      }
      const lane = Array.from({ length: options.lanes }, (_, nth) => `fetch${nth}`).find(
        (name) => !busy.has(`${leader} ${name}`),
      );
      if (lane !== undefined) void fetchOnce(leader, lane, of);
    }
  }

  async function fetchOnce(leader: number, lane: string, of: readonly Reading[]): Promise<void> {
    busy.add(`${leader} ${lane}`);
    for (const reading of of) reading.isFetching = true;
    let failure: Error | null = null;
    try {
      const { maxWaitMs, maxBytes, maxBytesPerPartition } = options;
      const topics = groupByTopic(
        of,
        ({ topic }) => topic,
        ({ partition, next }) => ({ partition, offset: next, maxBytes: maxBytesPerPartition }),
      );
      const asked = { maxWaitMs, maxBytes, topics };
      const answer = await cluster.ask(leader, fetch, asked, { lane, timeoutMs: ANSWER_MS + maxWaitMs });
      if (answer.code !== 0) throw new KafkaProtocolError(answer.code);
      const byKey = new Map(of.map((reading) => [keyOf(reading), reading]));
      for (const found of answer.partitions) {
        const reading = byKey.get(keyOf(found));
        if (reading === undefined || !isCurrent(reading)) continue;
        if (found.code !== 0) {
          failure ??= toFailure(new KafkaProtocolError(found.code, { topic: found.topic }), reading);
          continue;
        }
        if (found.batches === null || found.batches.length === 0) continue;
        const chunk = await decodeBatches(found.batches, reading.next, found.aborted);
        if (!isCurrent(reading) || chunk.next <= reading.next) continue;
        reading.next = chunk.next;
        reading.chunks.push(chunk);
        // Whoever was served stands behind the others: an answer may have no room for all.
        readings.delete(keyOf(reading));
        readings.set(keyOf(reading), reading);
      }
      if (failure === null) failures = 0;
    } catch (error) {
      failure = error as Error;
    }
    busy.delete(`${leader} ${lane}`);
    for (const reading of of) reading.isFetching = false;
    if (isClosed) return;
    // The next chunk of a partition is fetched while the one before is at hand.
    handOver();
    if (failure === null) pump();
    else void recover(failure);
  }

  function handOver(): void {
    for (const reading of [...readings.values()]) {
      if (isClosed || atHand >= options.concurrency) return;
      if (!reading.isAtHand && reading.pauses === 0 && reading.chunks.length > 0) void work(reading);
    }
  }

  async function work(reading: Reading): Promise<void> {
    const chunk = reading.chunks.shift()!;
    reading.isAtHand = true;
    atHand += 1;
    try {
      const goOnFrom = await options.onChunk(reading, chunk);
      if (goOnFrom !== null && goOnFrom !== chunk.next && isCurrent(reading)) {
        const { topic, partition, pauses } = reading;
        const again = { topic, partition, pauses, next: goOnFrom, chunks: [], isFetching: false, isAtHand: false };
        readings.set(keyOf(reading), again);
        // Whoever paused it holds the one of before.
        successors.set(reading, again);
      }
    } catch (error) {
      end(error as Error);
    } finally {
      reading.isAtHand = false;
      atHand -= 1;
    }
    if (isClosed) return;
    handOver();
    pump();
  }

  const successors = new WeakMap<Reading, Reading>();

  return {
    assign(starts) {
      readings = new Map(
        starts.map(({ topic, partition, offset }) => [
          keyOf({ topic, partition }),
          { topic, partition, next: offset, chunks: [], isFetching: false, isAtHand: false, pauses: 0 },
        ]),
      );
      void locate(false);
    },
    pause(place) {
      const paused = readings.get(keyOf(place));
      if (paused === undefined) return () => undefined;
      paused.pauses += 1;
      let isPaused = true;
      return () => {
        if (!isPaused) return;
        isPaused = false;
        for (let at: Reading | undefined = paused; at !== undefined; at = successors.get(at)) at.pauses -= 1;
        handOver();
        pump();
      };
    },
    remove(place) {
      readings.delete(keyOf(place));
    },
    close() {
      isClosed = true;
      readings.clear();
    },
  };
}

/** An offset that is not held any more is never passed over. */
function toFailure(error: KafkaProtocolError, { topic, partition, next }: Reading): Error {
  if (typeOf(error) !== 'OFFSET_OUT_OF_RANGE') return error;
  return new CrosswalkError('server_down.offset', `${topic}/${partition}: the log does not hold offset ${next}`, {
    cause: error,
  });
}
