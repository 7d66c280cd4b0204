import { isDeepStrictEqual } from 'node:util';
import { CrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import type { LogWriter, OutRecord } from '../runtime/kafka.ts';
import type { AvroWriter } from '../schemas/avro/avro-writer.ts';
import { createLogOffsets, type NextOffsets, type Sends } from './log-offsets.ts';
import { encodePosition, type Position } from './position.ts';

/**
 * Publishes one Kafka transaction at a time: events stream into it in bounded sends, and it ends with the position they
 * reach.
 */
export interface Publisher {
  /** Adds a record to the open transaction; begins one if none is open. */
  append(topic: string, record: OutRecord): void;
  /** Records appended since the last commit. */
  count(): number;
  /** Maximum bytes of key, value and headers in a record of this topic. */
  limitOf(topic: string): number;
  /** Whether the buffer must be flushed before more is appended. */
  isFull(): boolean;
  /**
   * Sends the buffer once the previous send is acknowledged; does not wait for its own acknowledgement. A failure is
   * thrown by the next call.
   */
  flush(): Promise<void>;
  /**
   * Sends the buffer, the position, and `last`: records known only once everything is sent. Then commits. They share
   * one request if the offsets of the buffered records can be known before they are sent: then the position can name
   * them. After a failure the outcome is unknown: restart from the stored position.
   */
  commit(
    position: Omit<Position, 'offsets'>,
    last?: { topic: string; records: readonly OutRecord[] },
  ): Promise<Position>;
}

/** One send is one record batch per partition; this is how much is buffered for a partition before sending. */
const PARTITION_BYTES = 700_000;
const TOTAL_BYTES = 2 * 1024 * 1024;
/** Overhead of Kafka's format beyond key and value, per record and per batch. */
const RECORD_BYTES = 32;
const BATCH_BYTES = 512;
/** Kafka's default, for topics whose limit is unknown. */
const DEFAULT_LIMIT = 1_048_588;

/** Bytes of records in a batch if the broker accepts `limit`: incompressible data grows slightly. */
const toBatchBytes = (limit: number) => limit - BATCH_BYTES - Math.ceil(limit / 256);

/** Bytes taken by the headers of a record. */
export function toHeaderBytes({ headers }: Pick<OutRecord, 'headers'>): number {
  if (headers === undefined) return 0;
  return Object.entries(headers).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + value.length + 10, 0);
}

/** Buffer of a topic. */
interface TopicState {
  /** Maximum bytes of a batch. */
  readonly batchBytes: number;
  records: OutRecord[];
  /** Bytes by partition. */
  bytes: number[];
}

/**
 * `offsets`: the next offset of each partition as of the stored position. `limits`: `max.message.bytes` by topic.
 * Records are measured uncompressed, so whether a row fits depends neither on its content nor on what a reader can
 * hold.
 */
export function createPublisher(
  writer: LogWriter,
  options: {
    positionTopic: string;
    positionKey: string;
    offsets: NextOffsets;
    limits: ReadonlyMap<string, number>;
    /** Kafka aborts an open transaction after this time. */
    timeoutMs: number;
    /** Memory of record keys and values; reused once they are sent. */
    slabs?: Pick<AvroWriter, 'retire' | 'reuse'>;
  },
): Publisher {
  const offsets = createLogOffsets(options.offsets);
  const topics = new Map<string, TopicState>();
  /** Complete sends, closed because a partition's batch was full. */
  let sealed: Sends[] = [];
  let totalBytes = 0;
  let isFull = false;
  let count = 0;
  let isOpen = false;
  let openedMs = 0;
  /** The acknowledgement of the last send. */
  let answered: Promise<void> = Promise.resolve();

  function stateOf(topic: string): TopicState {
    let state = topics.get(topic);
    if (state === undefined) {
      const batchBytes = toBatchBytes(options.limits.get(topic) ?? DEFAULT_LIMIT);
      state = { batchBytes, records: [], bytes: [] };
      topics.set(topic, state);
    }
    return state;
  }

  function seal(): void {
    const buffered = new Map<string, OutRecord[]>();
    for (const [topic, state] of topics) {
      if (state.records.length === 0) continue;
      buffered.set(topic, state.records);
      state.records = [];
      state.bytes = [];
    }
    if (buffered.size === 0) return;
    sealed.push(buffered);
    isFull = true;
  }

  async function flush(): Promise<void> {
    seal();
    if (sealed.length === 0) return;
    const { sends, onSent } = take();
    // Sends are sequential; more records are buffered meanwhile.
    await answered;
    await open();
    answered = send(sends).then(onSent);
    // It is thrown where it is awaited.
    answered.catch(() => undefined);
  }

  /** Takes what is buffered. `onSent`: to be called when all of it is acknowledged. */
  function take(): { sends: Sends[]; onSent: () => void } {
    const sends = sealed;
    sealed = [];
    totalBytes = 0;
    isFull = false;
    const written = sends.length === 0 ? undefined : options.slabs?.retire();
    // Nothing reads these slabs any more. After a failure they are not reused, because something may still read them.
    const onSent = () => {
      if (written !== undefined) options.slabs?.reuse(written);
    };
    return { sends, onSent };
  }

  async function send(sends: readonly Sends[]): Promise<void> {
    for (const records of sends) offsets.sent(records, await writer.send(records));
  }

  async function open(): Promise<void> {
    if (isOpen) {
      if (performance.now() - openedMs > options.timeoutMs) throw toTooLong();
      return;
    }
    await writer.begin();
    openedMs = performance.now();
    isOpen = true;
  }

  // A restart would take as long again, forever.
  function toTooLong(): CrosswalkError {
    return new CrosswalkError(
      'transaction_too_long',
      `A source transaction takes longer to send than the ${options.timeoutMs} ms that Kafka keeps a transaction open`,
    );
  }

  return {
    append(topic, record) {
      const { key, value, partition } = record;
      const size =
        (key === null ? 0 : key.length) + (value === null ? 0 : value.length) + toHeaderBytes(record) + RECORD_BYTES;
      const state = stateOf(topic);
      if ((state.bytes[partition] ?? 0) > 0 && state.bytes[partition]! + size > state.batchBytes) seal();
      const partitionBytes = (state.bytes[partition] ?? 0) + size;
      state.bytes[partition] = partitionBytes;
      state.records.push(record);
      totalBytes += size;
      count += 1;
      if (partitionBytes > PARTITION_BYTES || totalBytes > TOTAL_BYTES) isFull = true;
    },
    count: () => count,
    limitOf: (topic) => stateOf(topic).batchBytes - RECORD_BYTES,
    isFull: () => isFull,
    flush,
    async commit(position, last) {
      seal();
      const { sends, onSent } = take();
      await answered;
      await open();
      const final = sends.pop() ?? new Map();
      await send(sends);
      const predicted = offsets.predict(final);
      if (predicted === null) await send([final]);
      const reached: Position = { ...position, offsets: predicted ?? offsets.reached() };
      const timestampMs = String(reached.sourceMicros / 1000n);
      const answers = await writer.send(
        new Map([
          ...(predicted === null ? [] : final),
          [
            options.positionTopic,
            [{ partition: 0, key: Buffer.from(options.positionKey), value: encodePosition(reached), timestampMs }],
          ],
          ...(last === undefined || last.records.length === 0 ? [] : [[last.topic, last.records] as const]),
        ]),
      );
      if (predicted !== null) {
        offsets.sent(final, answers);
        // Not committed: its position would be wrong.
        if (!isDeepStrictEqual(offsets.reached(), predicted)) throw toUnexpectedOffsets();
      }
      onSent();
      await reach?.('kafka_commit.before');
      offsets.committed(await writer.commit());
      await reach?.('kafka_commit.after');
      isOpen = false;
      count = 0;
      return reached;
    },
  };
}

function toUnexpectedOffsets(): CrosswalkError {
  return new CrosswalkError('server_down.offsets', 'Kafka stored events at other offsets than expected');
}
