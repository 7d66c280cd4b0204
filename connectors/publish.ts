import { CrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import type { LogWriter, OutRecord } from '../runtime/kafka.ts';
import type { AvroWriter } from '../schemas/avro/avro-writer.ts';
import { encodePosition, type Position } from './position.ts';

/** One Kafka transaction at a time: events stream into it in bounded sends, and it ends with the position that they reach. */
export interface Publisher {
  /** Adds a record to the open transaction; opens one where none is. */
  append(topic: string, record: OutRecord): void;
  /** Records appended since the last commit. */
  count(): number;
  /** Bytes of key, value and headers that a record of this topic may have. */
  limitOf(topic: string): number;
  /** Whether so much is buffered that it must be sent before more is appended. */
  isFull(): boolean;
  /** Sends what is buffered, once all that was sent before has been answered; does not wait for the answer to this. A failure is thrown by what is called next. */
  flush(): Promise<void>;
  /**
   * Sends what is buffered, the position, and `last`: records that count only once all is sent. Then commits. After a failure the outcome is unknown: start over
   * from the stored position.
   */
  commit(
    position: Omit<Position, 'offsets'>,
    last?: { topic: string; records: readonly OutRecord[] },
  ): Promise<Position>;
}

/** One send is one record batch a partition: what is gathered for one before it is sent. */
const PARTITION_BYTES = 700_000;
const TOTAL_BYTES = 2 * 1024 * 1024;
/** What Kafka's format takes beside key and value: of a record, and of a batch. */
const RECORD_BYTES = 32;
const BATCH_BYTES = 512;
/** Kafka's own default, for topics that nothing is known of. */
const DEFAULT_LIMIT = 1_048_588;

/** Bytes of records that a batch holds where the broker takes `limit` of them: what does not compress grows a little. */
const toBatchBytes = (limit: number) => limit - BATCH_BYTES - Math.ceil(limit / 256);

/** Bytes that the headers of a record take. */
export function toHeaderBytes({ headers }: Pick<OutRecord, 'headers'>): number {
  if (headers === undefined) return 0;
  return Object.entries(headers).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + value.length + 10, 0);
}

/** What is gathered for a topic. */
interface TopicState {
  /** What a batch of it holds. */
  readonly batchBytes: number;
  records: OutRecord[];
  /** Bytes by partition. */
  bytes: number[];
}

/**
 * `offsets`: the next offset of each partition as of the stored position; they go on from there. `limits`: `max.message.bytes` by topic. Records are measured
 * uncompressed, so that whether a row fits does not depend on its content, nor on what a reader can hold.
 */
export function createPublisher(
  writer: LogWriter,
  options: {
    positionTopic: string;
    positionKey: string;
    offsets: Readonly<Record<string, readonly string[]>>;
    limits: ReadonlyMap<string, number>;
    /** After so long Kafka gives an open transaction up. */
    timeoutMs: number;
    /** What keys and values of records stand in: it is written over once they are sent. */
    slabs?: Pick<AvroWriter, 'retire' | 'reuse'>;
  },
): Publisher {
  const offsets = new Map(Object.entries(options.offsets).map(([topic, list]) => [topic, [...list]]));
  const topics = new Map<string, TopicState>();
  /** Sends that are complete, because a partition's batch could take no more. */
  let sealed: Map<string, OutRecord[]>[] = [];
  let totalBytes = 0;
  let isFull = false;
  let count = 0;
  let isOpen = false;
  let openedMs = 0;
  /** The answers to what was sent last. */
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
    const sends = sealed;
    sealed = [];
    totalBytes = 0;
    isFull = false;
    const written = options.slabs?.retire();
    // One send after the other; meanwhile more is gathered.
    await answered;
    await open();
    answered = send(sends).then(() => {
      // Only now nobody reads them any more. After a failure they are left to whoever may still do so.
      if (written !== undefined) options.slabs?.reuse(written);
    });
    // It is thrown where it is waited for.
    answered.catch(() => undefined);
  }

  async function send(sends: readonly ReadonlyMap<string, readonly OutRecord[]>[]): Promise<void> {
    for (const records of sends) {
      for (const { topic, partition, baseOffset } of await writer.send(records)) {
        const list = offsets.get(topic);
        if (list === undefined) continue;
        let sent = 0;
        for (const record of records.get(topic) ?? []) if (record.partition === partition) sent += 1;
        list[partition] = String(baseOffset + BigInt(sent));
      }
    }
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

  // Started over it would take as long again, for ever.
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
      await flush();
      await answered;
      const reached: Position = {
        ...position,
        offsets: Object.fromEntries([...offsets].map(([topic, list]) => [topic, [...list]])),
      };
      await open();
      const timestampMs = String(reached.sourceMicros / 1000n);
      await writer.send(
        new Map([
          [
            options.positionTopic,
            [{ partition: 0, key: Buffer.from(options.positionKey), value: encodePosition(reached), timestampMs }],
          ],
          ...(last === undefined || last.records.length === 0 ? [] : [[last.topic, last.records] as const]),
        ]),
      );
      await reach?.('kafka_commit.before');
      await writer.commit();
      await reach?.('kafka_commit.after');
      isOpen = false;
      count = 0;
      return reached;
    },
  };
}
