import { CrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import type { LogWriter, OutRecord } from '../runtime/kafka.ts';
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
  /** Sends what is buffered. */
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
const TOTAL_BYTES = 4 * 1024 * 1024;
/** What Kafka's format takes beside key and value: of a record, and of a batch. */
const RECORD_BYTES = 32;
const BATCH_BYTES = 512;
/** Kafka's own default, for topics that nothing is known of. */
const DEFAULT_LIMIT = 1_048_588;

/** Bytes of records that a batch holds where the broker takes `limit` of them: what does not compress grows a little. */
const toBatchBytes = (limit: number) => limit - BATCH_BYTES - Math.ceil(limit / 256);

/** Bytes that the headers of a record take. */
export function toHeaderBytes({ headers = {} }: Pick<OutRecord, 'headers'>): number {
  return Object.entries(headers).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + value.length + 10, 0);
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
  },
): Publisher {
  const offsets = new Map(Object.entries(options.offsets).map(([topic, list]) => [topic, [...list]]));
  const batchBytesOf = (topic: string) => toBatchBytes(options.limits.get(topic) ?? DEFAULT_LIMIT);
  /** Sends that are complete, because a partition's batch could take no more. */
  let sealed: Map<string, OutRecord[]>[] = [];
  let buffered = new Map<string, OutRecord[]>();
  let bytesByPartition = new Map<string, number>();
  let totalBytes = 0;
  let isFull = false;
  let count = 0;
  let isOpen = false;
  let openedMs = 0;

  function seal(): void {
    sealed.push(buffered);
    buffered = new Map();
    bytesByPartition = new Map();
    isFull = true;
  }

  async function flush(): Promise<void> {
    if (buffered.size > 0) seal();
    if (sealed.length === 0) return;
    const sends = sealed;
    sealed = [];
    totalBytes = 0;
    isFull = false;
    await open();
    for (const records of sends) {
      const sent = new Map<string, number>();
      for (const [topic, list] of records)
        for (const record of list)
          sent.set(`${topic}/${record.partition}`, (sent.get(`${topic}/${record.partition}`) ?? 0) + 1);
      for (const answer of await writer.send(records)) {
        const next = answer.baseOffset + BigInt(sent.get(`${answer.topic}/${answer.partition}`) ?? 0);
        const list = offsets.get(answer.topic);
        if (list !== undefined) list[answer.partition] = String(next);
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
      'Raise transaction.max.timeout.ms of the brokers, and CROSSWALK_TRANSACTION_TIMEOUT_MS up to it.',
    );
  }

  return {
    append(topic, record) {
      const size = (record.key?.length ?? 0) + (record.value?.length ?? 0) + toHeaderBytes(record) + RECORD_BYTES;
      const partition = `${topic}/${record.partition}`;
      const held = bytesByPartition.get(partition) ?? 0;
      if (held > 0 && held + size > batchBytesOf(topic)) seal();
      const partitionBytes = (bytesByPartition.get(partition) ?? 0) + size;
      bytesByPartition.set(partition, partitionBytes);
      const list = buffered.get(topic);
      if (list === undefined) buffered.set(topic, [record]);
      else list.push(record);
      totalBytes += size;
      count += 1;
      if (partitionBytes > PARTITION_BYTES || totalBytes > TOTAL_BYTES) isFull = true;
    },
    count: () => count,
    limitOf: (topic) => batchBytesOf(topic) - RECORD_BYTES,
    isFull: () => isFull,
    flush,
    async commit(position, last) {
      await flush();
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
