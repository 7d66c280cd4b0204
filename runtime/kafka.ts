import { randomUUID } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import kafkajs from 'kafkajs';
import type { KafkaSettings } from './config.ts';
import { CrosswalkError } from './errors.ts';
import type { Log } from './log.ts';

// The only import of kafkajs: a successor would take its place here.
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder: { buffer: Buffer }) => zstdCompressSync(encoder.buffer),
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
});

/** A record to write. `value` null is a tombstone; `timestampMs` is the source's commit time. */
export interface OutRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: string;
}

/** A record read. Offsets are bigint. */
export interface InRecord {
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: string;
}

/** One Kafka transaction at a time. Any failure leaves its outcome unknown: close, create a new writer, read the position again. */
export interface LogWriter {
  begin(): Promise<void>;
  /** Appends to the open transaction; answers with the first offset of each topic and partition. */
  send(
    records: ReadonlyMap<string, readonly OutRecord[]>,
  ): Promise<readonly { topic: string; partition: number; baseOffset: bigint }[]>;
  commit(): Promise<void>;
  abort(): Promise<void>;
  close(): Promise<void>;
}

/** Settings of a topic that crosswalk creates. */
export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

export type Kafka = ReturnType<typeof createKafka>;

/** A Kafka client. Retries are short and few: whoever uses it decides whether to wait. */
export function createKafka(settings: KafkaSettings, log: Log) {
  const level = { warn: logLevel.WARN, error: logLevel.ERROR };
  const client = new Kafka({
    clientId: 'crosswalk',
    brokers: [...settings.brokers],
    ssl: settings.tls,
    ...(settings.sasl ? { sasl: settings.sasl as kafkajs.SASLOptions } : {}),
    connectionTimeout: 5000,
    requestTimeout: 30_000,
    // With the library's default first retry of 300 ms, each transaction would wait that long for the one before it to complete on the broker.
    retry: { initialRetryTime: 2, multiplier: 1.5, maxRetryTime: 200, retries: 25, factor: 0.2 },
    logLevel: level.warn,
    // The library logs each retry as an error: what matters reaches the caller as a rejection.
    logCreator: () => (entry) => log.debug({ kafka: entry.log.message, namespace: entry.namespace }, 'kafka client'),
  });

  async function withAdmin<T>(work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
    const admin = client.admin({ retry: { retries: 3, initialRetryTime: 50 } });
    try {
      await admin.connect();
      return await work(admin);
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  return {
    brokers: settings.brokers.join(','),

    /** Cluster id; also the cheapest proof that the brokers answer. */
    fetchClusterId: () => withAdmin(async (admin) => (await admin.describeCluster()).clusterId),

    /** Creates what is missing. Throws `topic_misconfigured` where a topic has another partition count: order per key would be lost. */
    async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
      await withAdmin(async (admin) => {
        const existing = new Set(await admin.listTopics());
        const missing = specs.filter((spec) => !existing.has(spec.topic));
        if (missing.length > 0) {
          await admin.createTopics({
            waitForLeaders: true,
            topics: missing.map((spec) => ({
              topic: spec.topic,
              numPartitions: spec.partitions,
              replicationFactor: spec.replicationFactor,
              configEntries: Object.entries(spec.config).map(([name, value]) => ({ name, value })),
            })),
          });
        }
        const metadata = await admin.fetchTopicMetadata({ topics: specs.map((spec) => spec.topic) });
        for (const spec of specs) {
          const found = metadata.topics.find((topic) => topic.name === spec.topic)?.partitions.length;
          if (found !== spec.partitions) {
            throw new CrosswalkError(
              'topic_misconfigured',
              `Topic ${spec.topic} has ${found ?? 0} partitions, ${spec.partitions} are configured`,
              'Set CROSSWALK_PARTITIONS to the existing number: another number would break the order of changes of one row.',
            );
          }
        }
      });
    },

    /** First and next offset of every partition of each topic that exists, in order of partition. */
    async fetchOffsets(topics: readonly string[]): Promise<Map<string, { low: bigint; high: bigint }[]>> {
      return withAdmin(async (admin) => {
        const existing = new Set(await admin.listTopics());
        const found = new Map<string, { low: bigint; high: bigint }[]>();
        for (const topic of topics) {
          if (!existing.has(topic)) continue;
          const offsets = await admin.fetchTopicOffsets(topic);
          const inOrder = [...offsets].sort((a, b) => a.partition - b.partition);
          found.set(
            topic,
            inOrder.map((entry) => ({ low: BigInt(entry.low), high: BigInt(entry.high) })),
          );
        }
        return found;
      });
    },

    /** A transactional writer. The first `begin` fences every earlier writer with this id. */
    async createLogWriter(transactionalId: string, transactionTimeoutMs: number): Promise<LogWriter> {
      const producer = client.producer({
        transactionalId,
        idempotent: true,
        maxInFlightRequests: 1,
        transactionTimeout: transactionTimeoutMs,
      });
      await producer.connect();
      let transaction: kafkajs.Transaction | null = null;
      const open = () => {
        if (transaction === null) throw new Error('no open Kafka transaction');
        return transaction;
      };
      return {
        async begin() {
          transaction = await producer.transaction();
        },
        async send(records) {
          const topicMessages = [...records].map(([topic, list]) => ({
            topic,
            messages: list.map((record) => ({
              partition: record.partition,
              key: record.key,
              value: record.value,
              timestamp: record.timestampMs,
            })),
          }));
          const answers = await open().sendBatch({ acks: -1, compression: CompressionTypes.ZSTD, topicMessages });
          return answers.map((answer) => ({
            topic: answer.topicName,
            partition: answer.partition,
            baseOffset: BigInt(answer.baseOffset ?? '-1'),
          }));
        },
        async commit() {
          await open().commit();
          transaction = null;
        },
        async abort() {
          await transaction?.abort();
          transaction = null;
        },
        close: () => producer.disconnect(),
      };
    },

    /**
     * Reads a one-partition topic from `from` on, committed records only, and follows it. `onRecord` is called in order; `onCaughtUp` once, when every
     * record that was there at the start has been delivered (aborted tails and markers are passed over).
     */
    async follow(
      topic: string,
      from: bigint,
      handlers: { onRecord: (record: InRecord) => void; onCaughtUp: (error?: Error) => void },
    ): Promise<{ close(): Promise<void> }> {
      const end = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (end === undefined)
        throw new CrosswalkError(
          'topic_misconfigured',
          `Topic ${topic} does not exist`,
          'Start the connector first: it creates the topics.',
        );
      const consumer = client.consumer({
        groupId: `crosswalk-reader-${randomUUID()}`,
        sessionTimeout: 30_000,
        maxWaitTimeInMs: 500,
        readUncommitted: false,
        retry: { retries: 3 },
      });
      let caughtUp = false;
      const reached = (error?: Error) => {
        if (!caughtUp) handlers.onCaughtUp(error);
        caughtUp = true;
      };
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      consumer.on(consumer.events.CRASH, (event) => reached(event.payload.error));
      // Batches of aborted records never reach eachBatch, so progress is taken from the event that every batch raises.
      consumer.on(consumer.events.END_BATCH_PROCESS, (event) => {
        if (BigInt(event.payload.lastOffset) + 1n >= end.high) reached();
      });
      await consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch, heartbeat }) => {
          for (const message of batch.messages) handlers.onRecord(toInRecord(message));
          await heartbeat();
        },
      });
      consumer.seek({ topic, partition: 0, offset: String(from > end.low ? from : end.low) });
      if (end.high <= end.low || from >= end.high) reached();
      return { close: () => consumer.disconnect() };
    },

    /** The last committed record of a one-partition topic, or null. */
    async readLast(topic: string): Promise<InRecord | null> {
      const end = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (end === undefined) return null;
      for (let back = 16n; ; back *= 64n) {
        const from = end.high - back > end.low ? end.high - back : end.low;
        const last = await this.readFrom(topic, from);
        if (last !== null || from === end.low) return last;
      }
    },

    /** The last committed record at or after `from`, or null. */
    async readFrom(topic: string, from: bigint): Promise<InRecord | null> {
      let last: InRecord | null = null;
      let settle: (error?: Error) => void = () => undefined;
      const done = new Promise<void>((resolve, reject) => {
        settle = (error) => (error ? reject(error) : resolve());
      });
      const reader = await this.follow(topic, from, { onRecord: (record) => (last = record), onCaughtUp: settle });
      try {
        await done;
      } finally {
        // Leaving the group takes a round trip nobody waits for.
        void reader.close().catch(() => undefined);
      }
      return last;
    },

    /**
     * A member of a consumer group that reads committed records in batches of one partition. The caller keeps offsets itself: `startOffset` is asked once per partition and assignment,
     * and `onBatch` answers null once every record is applied, or the offset to go on from.
     */
    async createGroupConsumer(options: {
      groupId: string;
      topics: readonly string[];
      concurrency: number;
      /** Partitions by topic that this member has from now on. */
      onAssigned: (partitions: Readonly<Record<string, readonly number[]>>) => void;
      startOffset: (topic: string, partition: number) => Promise<bigint>;
      onBatch: (batch: {
        topic: string;
        partition: number;
        records: readonly InRecord[];
        beat: () => Promise<void>;
        isStale: () => boolean;
      }) => Promise<bigint | null>;
      onCrash: (error: Error) => void;
    }): Promise<{
      close(): Promise<void>;
      commitForMonitors(topic: string, partition: number, next: bigint): Promise<void>;
    }> {
      const consumer = client.consumer({
        groupId: options.groupId,
        sessionTimeout: 30_000,
        heartbeatInterval: 3000,
        rebalanceTimeout: 60_000,
        maxWaitTimeInMs: 500,
        minBytes: 1,
        maxBytesPerPartition: 1_048_576,
        maxBytes: 8_388_608,
        readUncommitted: false,
        retry: { retries: 5, initialRetryTime: 100 },
      });
      const checked = new Set<string>();
      consumer.on(consumer.events.GROUP_JOIN, (event) => {
        checked.clear();
        options.onAssigned(event.payload.memberAssignment);
      });
      consumer.on(consumer.events.CRASH, (event) => options.onCrash(event.payload.error));
      await consumer.connect();
      for (const topic of options.topics) await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: options.concurrency,
        eachBatch: async ({ batch, heartbeat, resolveOffset, isStale, isRunning }) => {
          const partition = `${batch.topic}/${batch.partition}`;
          if (!checked.has(partition)) {
            const start = await options.startOffset(batch.topic, batch.partition);
            checked.add(partition);
            if (BigInt((batch as unknown as { fetchedOffset: string }).fetchedOffset) !== start) {
              consumer.seek({ topic: batch.topic, partition: batch.partition, offset: String(start) });
              return;
            }
          }
          const last = batch.messages[batch.messages.length - 1];
          if (last === undefined || !isRunning() || isStale()) return;
          const goOnFrom = await options.onBatch({
            topic: batch.topic,
            partition: batch.partition,
            records: batch.messages.map(toInRecord),
            beat: heartbeat,
            isStale: () => isStale() || !isRunning(),
          });
          if (goOnFrom === null) resolveOffset(last.offset);
          else consumer.seek({ topic: batch.topic, partition: batch.partition, offset: String(goOnFrom) });
        },
      });
      return {
        close: () => consumer.disconnect(),
        commitForMonitors: (topic, partition, next) =>
          consumer.commitOffsets([{ topic, partition, offset: String(next) }]),
      };
    },
  };
}

function toInRecord(message: kafkajs.KafkaMessage): InRecord {
  return { offset: BigInt(message.offset), key: message.key, value: message.value, timestampMs: message.timestamp };
}
