import type { LogWriter, OutRecord } from '../runtime/kafka.ts';
import { encodePosition, type Position } from './position.ts';

/** One Kafka transaction at a time: events stream into it in bounded sends, and it ends with the position that they reach. */
export interface Publisher {
  /** Adds a record to the open transaction; opens one where none is. */
  append(topic: string, record: OutRecord): void;
  /** Records appended since the last commit. */
  count(): number;
  /** Whether so much is buffered that it must be sent before more is appended. */
  isFull(): boolean;
  /** Sends what is buffered. */
  flush(): Promise<void>;
  /** Sends what is buffered and the position, and commits. After a failure the outcome is unknown: start over from the stored position. */
  commit(position: Omit<Position, 'offsets'>): Promise<Position>;
}

/** One send is one record batch a partition, and the broker refuses a batch over its limit of 1 MB. */
const PARTITION_BYTES = 700_000;
const TOTAL_BYTES = 4 * 1024 * 1024;

/** `offsets`: the next offset of each partition as of the stored position; they go on from there. */
export function createPublisher(
  writer: LogWriter,
  options: { positionTopic: string; positionKey: string; offsets: Readonly<Record<string, readonly string[]>> },
): Publisher {
  const offsets = new Map(Object.entries(options.offsets).map(([topic, list]) => [topic, [...list]]));
  let buffered = new Map<string, OutRecord[]>();
  let bytesByPartition = new Map<string, number>();
  let totalBytes = 0;
  let isFull = false;
  let count = 0;
  let isOpen = false;

  async function flush(): Promise<void> {
    if (buffered.size === 0) return;
    const records = buffered;
    buffered = new Map();
    bytesByPartition = new Map();
    totalBytes = 0;
    isFull = false;
    if (!isOpen) {
      await writer.begin();
      isOpen = true;
    }
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

  return {
    append(topic, record) {
      const list = buffered.get(topic);
      if (list === undefined) buffered.set(topic, [record]);
      else list.push(record);
      const size = (record.key?.length ?? 0) + (record.value?.length ?? 0) + 32;
      const partition = `${topic}/${record.partition}`;
      const partitionBytes = (bytesByPartition.get(partition) ?? 0) + size;
      bytesByPartition.set(partition, partitionBytes);
      totalBytes += size;
      count += 1;
      if (partitionBytes > PARTITION_BYTES || totalBytes > TOTAL_BYTES) isFull = true;
    },
    count: () => count,
    isFull: () => isFull,
    flush,
    async commit(position) {
      await flush();
      const reached: Position = {
        ...position,
        offsets: Object.fromEntries([...offsets].map(([topic, list]) => [topic, [...list]])),
      };
      if (!isOpen) {
        await writer.begin();
        isOpen = true;
      }
      const timestampMs = String(reached.sourceMicros / 1000n);
      await writer.send(
        new Map([
          [
            options.positionTopic,
            [{ partition: 0, key: Buffer.from(options.positionKey), value: encodePosition(reached), timestampMs }],
          ],
        ]),
      );
      await writer.commit();
      isOpen = false;
      count = 0;
      return reached;
    },
  };
}
