import { randomUUID } from 'node:crypto';
import avro from 'avsc';
import kafkajs from 'kafkajs';
// It teaches the library zstd.
import '../../runtime/kafka/kafkajs.ts';
import { createDecoder, createKeyDecoder, type DecodedValue } from '../../schemas/avro/decode.ts';
import { createRegistry } from '../../schemas/avro/registry.ts';
import { transactionValueSchema } from '../../schemas/avro/transaction.ts';
import { schemaIdOf } from '../../schemas/avro/wire.ts';

/** A record as a reader of committed records sees it. `value` null: a tombstone. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: string;
  /** The key's columns as JSON. */
  readonly key: string;
  readonly value: DecodedValue | null;
  /** Texts by name. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A boundary of a source transaction. */
export interface Boundary {
  readonly status: 'BEGIN' | 'END';
  readonly id: string;
  readonly eventCount: number | null;
  readonly collections: Readonly<Record<string, number>>;
}

interface RawRecord {
  readonly topic: string;
  readonly partition: number;
  readonly message: kafkajs.KafkaMessage;
}

/**
 * All committed records that the topics hold now, in order of offset within each partition. Rejects when the end of a partition is
 * not reached within `timeoutMs`: an open Kafka transaction stands in the way.
 */
export async function readCommitted(
  brokers: string,
  topics: readonly string[],
  timeoutMs?: number,
): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  await forEachCommitted(brokers, topics, async (record) => void records.push(record), timeoutMs);
  return records;
}

/** As `readCommitted`, one record at a time; `timeoutMs` is from one batch to the next. */
async function forEachCommitted(
  brokers: string,
  topics: readonly string[],
  onRecord: (record: RawRecord) => Promise<void>,
  timeoutMs = 30_000,
): Promise<void> {
  const client = new kafkajs.Kafka({
    clientId: 'crosswalk-test',
    brokers: brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const admin = client.admin();
  await admin.connect();
  const missing = new Map<string, bigint>();
  for (const topic of topics) {
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      if (BigInt(high) > BigInt(low)) missing.set(`${topic}/${partition}`, BigInt(high));
    }
  }
  await admin.disconnect();
  if (missing.size === 0) return;
  const consumer = client.consumer({
    groupId: `crosswalk-test-${randomUUID()}`,
    maxWaitTimeInMs: 50,
    readUncommitted: false,
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the end is not in sight of committed readers: ${[...missing.keys()].join(', ')}`)),
        timeoutMs,
      );
      // A broker that was just started has no coordinator for a moment: the library joins again by itself.
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      // Batches of aborted records never reach eachBatch, but raise this event.
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
        const name = `${payload.topic}/${payload.partition}`;
        if (BigInt(payload.lastOffset) + 1n >= (missing.get(name) ?? 0n)) missing.delete(name);
        if (missing.size === 0) resolve();
      });
      consumer
        .run({
          autoCommit: false,
          eachBatch: async ({ batch }) => {
            timer?.refresh();
            for (const message of batch.messages)
              await onRecord({ topic: batch.topic, partition: batch.partition, message });
          },
        })
        .catch(reject);
    });
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
}

/** Reads and decodes the records of captured tables. */
export async function readLog(
  addresses: { readonly kafkaBrokers: string; readonly registryUrl: string },
  topics: readonly string[],
  timeoutMs?: number,
): Promise<LogRecord[]> {
  const log: LogRecord[] = [];
  await forEachLogRecord(addresses, topics, (record) => log.push(record), timeoutMs);
  return log;
}

/** As `readLog`, one record at a time: for more of them than fit into the memory. */
export async function forEachLogRecord(
  addresses: { readonly kafkaBrokers: string; readonly registryUrl: string },
  topics: readonly string[],
  onRecord: (record: LogRecord) => void,
  timeoutMs?: number,
): Promise<void> {
  const registry = createRegistry({ baseUrl: addresses.registryUrl });
  const values = new Map<number, ReturnType<typeof createDecoder>>();
  const keys = new Map<number, ReturnType<typeof createKeyDecoder>>();
  try {
    await forEachCommitted(
      addresses.kafkaBrokers,
      topics,
      async ({ topic, partition, message }) => {
        const keyId = schemaIdOf(message.key!);
        if (!keys.has(keyId)) keys.set(keyId, createKeyDecoder(await registry.schemaById(keyId)));
        const valueId = message.value === null ? null : schemaIdOf(message.value);
        if (valueId !== null && !values.has(valueId))
          values.set(valueId, createDecoder(await registry.schemaById(valueId)));
        onRecord({
          topic,
          partition,
          offset: BigInt(message.offset),
          timestampMs: message.timestamp,
          key: JSON.stringify(keys.get(keyId)!.decode(message.key!)),
          value: valueId === null ? null : values.get(valueId)!.decode(message.value!),
          headers: Object.fromEntries(
            Object.entries(message.headers ?? {}).map(([name, text]) => [name, String(text)]),
          ),
        });
      },
      timeoutMs,
    );
  } finally {
    registry.close();
  }
}

/** Reads and decodes the boundaries of source transactions. */
export async function readBoundaries(
  addresses: { readonly kafkaBrokers: string },
  topic: string,
  timeoutMs?: number,
): Promise<Boundary[]> {
  const type = avro.Type.forSchema(transactionValueSchema as avro.Schema, { wrapUnions: 'never' });
  const records = await readCommitted(addresses.kafkaBrokers, [topic], timeoutMs);
  return records.map(({ message }) => {
    const value = type.fromBuffer(message.value!.subarray(5)) as {
      status: 'BEGIN' | 'END';
      id: string;
      event_count: number | null;
      data_collections: { data_collection: string; event_count: number }[] | null;
    };
    return {
      status: value.status,
      id: value.id,
      eventCount: value.event_count,
      collections: Object.fromEntries(
        (value.data_collections ?? []).map((entry) => [entry.data_collection, entry.event_count]),
      ),
    };
  });
}
