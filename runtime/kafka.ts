import { randomUUID } from 'node:crypto';
import { connect as connectTcp, isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import kafkajs from 'kafkajs';
// @ts-expect-error: a file of the library's own, without types.
import LibraryConnection from 'kafkajs/src/network/connection.js';
import type { KafkaSettings } from './config.ts';
import { CrosswalkError, isSettling } from './errors.ts';
import { reach } from './faults.ts';
import { codecs } from './kafka-codecs.ts';
import { findBrokerError, toKafkaRefusal } from './kafka-refusals.ts';
import type { Log } from './log.ts';
import { spellRecordTimes, toTimeRefusal } from './record-times.ts';

// The only import of kafkajs: a successor would take its place here.
const { AssignerProtocol, CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs;
Object.assign(CompressionCodecs, codecs);

/** Kafka settles within so long, or something is wrong with it. */
const SETTLING_MS = 250;
const KEEP_ALIVE_MS = 60_000;
const SETTLING_ATTEMPTS = 20;

interface Connection {
  isConnected(): boolean;
  connect(): Promise<unknown>;
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
}

/**
 * The library opens a lost connection again with the beginning of an answer still in its buffer: what comes then is read at the wrong places, which hangs
 * requests or ends the process. A new connection begins with an empty buffer.
 */
const connection = (LibraryConnection as { prototype: Connection }).prototype;
const { connect } = connection;
connection.connect = function (this: Connection) {
  if (!this.isConnected()) {
    this.chunks = [];
    this.bytesBuffered = 0;
    this.bytesNeeded = 4;
  }
  return connect.call(this);
};

/** The library takes what stands before the first colon for the host: an IPv6 address goes through it in brackets, with other marks. */
export const toSeed = (broker: string): string => {
  const [host = '', port] = broker.startsWith('[') ? broker.slice(1).split(']:') : [];
  return port === undefined ? broker : `[${host.replaceAll(':', ';')}]:${port}`;
};
const toHost = (host: string) => (host.startsWith('[') ? host.slice(1, -1).replaceAll(';', ':') : host);

/** Like the library's own, for hosts that `toSeed` wrote. The certificate is checked against the host, which is no server name where it is an IP address. */
const socketFactory: kafkajs.ISocketFactory = ({ host: given, port, ssl, onConnect }) => {
  const host = toHost(given);
  const named = isIP(host) === 0 ? { servername: host } : {};
  const socket = ssl
    ? connectTls({ host, port, ...named, ...(ssl as object) }, onConnect)
    : connectTcp({ host, port }, onConnect);
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
};

/** A record to write. `value` null is a tombstone; `timestampMs` is the source's commit time. */
export interface OutRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: string;
  readonly headers?: RecordHeaders;
}

/** Headers of a record by name. */
export type RecordHeaders = Readonly<Record<string, Buffer>>;

/** A record read. Offsets are bigint. */
export interface InRecord {
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestampMs: string;
  /** Absent where the record has none. */
  readonly headers?: RecordHeaders;
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

/** Longer than a crashed broker takes to show all that it holds. */
const SETTLE_MS = 15_000;
/** Longer than the pauses of a broker that does its work. */
const SILENCE_MS = 40_000;

/** Names of all topics. Throws a connection error where no broker answers: the library takes that for an answer, and trips over it. */
export async function listTopics(admin: Pick<kafkajs.Admin, 'listTopics'>): Promise<Set<string>> {
  try {
    return new Set(await admin.listTopics());
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new kafkajs.KafkaJSConnectionError('No broker answers');
  }
}

/** A Kafka client. Retries are short and few: whoever uses it decides whether to wait. */
export function createKafka(settings: KafkaSettings, log: Log) {
  const level = { warn: logLevel.WARN, error: logLevel.ERROR };
  /** By group: what to do when the log does not hold the offset that it goes on from. */
  const onOffsetLost = new Map<string, () => void>();
  const client = new Kafka({
    clientId: 'crosswalk',
    brokers: settings.brokers.map(toSeed),
    socketFactory,
    ssl: settings.tls,
    ...(settings.sasl ? { sasl: settings.sasl as kafkajs.SASLOptions } : {}),
    connectionTimeout: 5000,
    requestTimeout: 30_000,
    // With the library's default first retry of 300 ms, each transaction would wait that long for the one before it to complete on the broker.
    retry: { initialRetryTime: 2, multiplier: 1.5, maxRetryTime: 200, retries: 25, factor: 0.2 },
    logLevel: level.warn,
    // The library logs each retry as an error: what matters reaches the caller as a rejection.
    logCreator: () => (entry) => {
      // It goes on elsewhere, and its log is the only one that is told.
      if (entry.log.message.startsWith('Offset out of range')) onOffsetLost.get(entry.log.groupId as string)?.();
      log.debug({ kafka: entry.log.message, namespace: entry.namespace }, 'kafka client');
    },
  });

  async function withAdmin<T>(work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
    const admin = client.admin({ retry: { retries: 3, initialRetryTime: 50 } });
    try {
      await admin.connect();
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await work(admin);
        } catch (error) {
          // A topic that has just been made has no leader yet, nor has one whose broker was restarted.
          if (!isSettling(error) || attempt === SETTLING_ATTEMPTS) throw error;
          await sleep(SETTLING_MS);
        }
      }
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  const brokers = settings.brokers.join(',');

  /** Number of partitions, of replicas where they are fewest, and settings of each topic that exists. */
  async function fetchTopicSettings(
    topics: readonly string[],
  ): Promise<Map<string, { partitions: number; replicas: number; config: Record<string, string> }>> {
    return withAdmin(async (admin) => {
      const existing = await listTopics(admin);
      const present = topics.filter((topic) => existing.has(topic));
      if (present.length === 0) return new Map();
      const metadata = await admin.fetchTopicMetadata({ topics: present });
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: present.map((topic) => ({ type: ConfigResourceTypes.TOPIC, name: topic })),
      });
      return new Map(
        metadata.topics.map(({ name, partitions }) => {
          const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? [];
          const config = Object.fromEntries(entries.map((entry) => [entry.configName, entry.configValue]));
          const replicas = Math.min(...partitions.map((partition) => partition.replicas.length));
          return [name, { partitions: partitions.length, replicas, config }];
        }),
      );
    });
  }

  /** For what brokers refuse on account of a topic's settings or rights: names the topics, which their answer does not. Any other error is thrown as it is. */
  async function explainRefusal(topics: readonly string[], error: unknown): Promise<never> {
    const type = findBrokerError(error)?.type;
    if (type === 'TOPIC_AUTHORIZATION_FAILED') {
      const refusal = toKafkaRefusal(error)!;
      throw new CrosswalkError(refusal.code, `Kafka: no right to use ${topics.join(' or ')}`, refusal.remedy, error);
    }
    if (type !== 'INVALID_TIMESTAMP') throw error;
    const settings = await fetchTopicSettings(topics).catch(() => new Map());
    const configs = new Map([...settings].map(([topic, { config }]) => [topic, config] as const));
    const refusal = toTimeRefusal(configs);
    if (refusal === null) throw error;
    throw new CrosswalkError('topic_misconfigured', refusal.what, refusal.remedy, error);
  }

  return {
    brokers,

    /** Cluster id; also the cheapest proof that the brokers answer. */
    fetchClusterId: () => withAdmin(async (admin) => (await admin.describeCluster()).clusterId),

    /** Creates what is missing. Throws `topic_misconfigured` where a topic has another partition count: order per key would be lost. */
    async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
      await withAdmin(async (admin) => {
        const existing = await listTopics(admin);
        const missing = specs.filter((spec) => !existing.has(spec.topic));
        if (missing.length > 0) await createTopics(admin, missing);
        const topics = specs.map((spec) => spec.topic);
        const metadata = await admin
          .fetchTopicMetadata({ topics })
          .catch((error: unknown) => explainRefusal(topics, error));
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

    /** `max.message.bytes` of each topic. Throws `permission_denied` where they may not be read: a record over the limit would stop the log. */
    async fetchMessageLimits(topics: readonly string[]): Promise<Map<string, number>> {
      const name = 'max.message.bytes';
      return withAdmin(async (admin) => {
        const { resources } = await admin
          .describeConfigs({
            includeSynonyms: false,
            resources: topics.map((topic) => ({ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [name] })),
          })
          .catch((error: unknown) => {
            if (!String((error as { type?: unknown }).type).endsWith('AUTHORIZATION_FAILED')) throw error;
            throw new CrosswalkError(
              'permission_denied',
              `Kafka: the settings of topic ${topics[0]} may not be read`,
              'Allow DESCRIBE_CONFIGS on the topics: docs/operations.md lists the rights.',
              error,
            );
          });
        return new Map(
          resources.flatMap(({ resourceName, configEntries }) => {
            const entry = configEntries.find((candidate) => candidate.configName === name);
            return entry === undefined ? [] : [[resourceName, Number(entry.configValue)] as const];
          }),
        );
      });
    },

    fetchTopicSettings,

    /** First and next offset of every partition of each topic that exists, in order of partition. */
    async fetchOffsets(topics: readonly string[]): Promise<Map<string, { low: bigint; high: bigint }[]>> {
      return withAdmin(async (admin) => {
        const existing = await listTopics(admin);
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

    /**
     * As `fetchOffsets`, asked again while a partition ends before where `expected` says that it has been read or written to: a broker that has crashed shows less than it holds
     * for a moment. After `SETTLE_MS` the answer is what it is.
     */
    async fetchSettledOffsets(
      expected: ReadonlyMap<string, readonly bigint[]>,
    ): Promise<Map<string, { low: bigint; high: bigint }[]>> {
      for (const endMs = performance.now() + SETTLE_MS; ; ) {
        const found = await this.fetchOffsets([...expected.keys()]);
        const isShort = [...expected].some(([topic, offsets]) =>
          offsets.some((offset, partition) => (found.get(topic)?.[partition]?.high ?? offset) < offset),
        );
        if (!isShort || performance.now() > endMs) return found;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
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
      /** The library asks a broker that does not answer 25 times, on the same connection. */
      const answered = async <T>(work: Promise<T>): Promise<T> => {
        let timer: NodeJS.Timeout | undefined;
        const silence = new Promise<never>((_, reject) => {
          timer = setTimeout(() => {
            const seconds = SILENCE_MS / 1000;
            reject(
              new CrosswalkError(
                'server_down',
                `Kafka ${brokers} has not answered for ${seconds} s`,
                'It is tried anew.',
              ),
            );
          }, SILENCE_MS);
        });
        return Promise.race([work, silence]).finally(() => clearTimeout(timer));
      };
      const open = () => {
        if (transaction === null) throw new Error('no open Kafka transaction');
        return transaction;
      };
      return {
        async begin() {
          transaction = await answered(
            producer.transaction().catch((error: unknown) => {
              if ((error as { type?: unknown }).type !== 'INVALID_TRANSACTION_TIMEOUT') throw error;
              throw new CrosswalkError(
                'config_invalid',
                `Kafka allows no transaction of ${transactionTimeoutMs} ms`,
                'Raise transaction.max.timeout.ms of the brokers, or lower CROSSWALK_TRANSACTION_TIMEOUT_MS to it.',
                error,
              );
            }),
          );
        },
        async send(records) {
          const topicMessages = [...records].map(([topic, list]) => ({
            topic,
            messages: list.map((record) => ({
              partition: record.partition,
              key: record.key,
              value: record.value,
              timestamp: record.timestampMs,
              ...(record.headers === undefined ? {} : { headers: record.headers }),
            })),
          }));
          const answers = await answered(
            open().sendBatch({ acks: -1, compression: CompressionTypes.ZSTD, topicMessages }),
          ).catch((error: unknown) => explainRefusal([...records.keys()], error));
          return answers.map((answer) => ({
            topic: answer.topicName,
            partition: answer.partition,
            baseOffset: BigInt(answer.baseOffset ?? '-1'),
          }));
        },
        async commit() {
          await answered(open().commit());
          transaction = null;
        },
        async abort() {
          await transaction?.abort();
          transaction = null;
        },
        close: () => producer.disconnect(),
      };
    },

    /** Appends a record to a one-partition topic, outside of transactions; answers with its offset. Throws `topic_misconfigured` where there is no such topic. */
    async append(topic: string, record: { key: Buffer; value: Buffer }): Promise<bigint> {
      if (!(await this.fetchOffsets([topic])).has(topic)) throw toMissingTopic(topic);
      const producer = client.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
      await producer.connect();
      try {
        const [answer] = await producer
          .send({ topic, acks: -1, messages: [{ partition: 0, ...record }] })
          .catch((error: unknown) => explainRefusal([topic], error));
        return BigInt(answer?.baseOffset ?? '-1');
      } finally {
        await producer.disconnect().catch(() => undefined);
      }
    },

    /**
     * Reads a one-partition topic from `from` on, committed records only, and follows it. `onRecord` is called in order; `onCaughtUp` once, when every
     * record that was there at the start has been delivered (aborted tails and markers are passed over), or with what stands in the way. `onEnd`: nothing is delivered
     * any more. After an interruption records may come again, from the first one on.
     */
    async follow(
      topic: string,
      from: bigint,
      handlers: {
        onRecord: (record: InRecord) => void;
        onCaughtUp: (error?: Error) => void;
        onEnd?: (error: Error) => void;
      },
    ): Promise<{ close(): Promise<void> }> {
      const end = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (end === undefined) throw toMissingTopic(topic);
      const consumer = client.consumer({
        groupId: `crosswalk-reader-${randomUUID()}`,
        sessionTimeout: 30_000,
        maxWaitTimeInMs: 500,
        readUncommitted: false,
        retry: { retries: 3 },
      });
      let caughtUp = false;
      let crash: Error | undefined;
      const reached = (error?: Error) => {
        crash ??= error;
        if (!caughtUp) handlers.onCaughtUp(error);
        caughtUp = true;
      };
      consumer.on(consumer.events.CRASH, (event) => {
        reached(event.payload.error);
        if (!event.payload.restart) handlers.onEnd?.(event.payload.error);
      });
      // Batches of aborted records never reach eachBatch, so progress is taken from the event that every batch raises.
      consumer.on(consumer.events.END_BATCH_PROCESS, (event) => {
        if (BigInt(event.payload.lastOffset) + 1n >= end.high) reached();
      });
      try {
        await consumer.connect();
        await consumer.subscribe({ topic, fromBeginning: true });
        await consumer.run({
          autoCommit: false,
          eachBatch: async ({ batch, heartbeat }) => {
            for (const message of batch.messages) handlers.onRecord(toInRecord(message));
            await heartbeat();
          },
        });
        // A group that cannot be joined is no error of `run`, and would be joined again and again.
        if (crash !== undefined) throw crash;
        consumer.seek({ topic, partition: 0, offset: String(from > end.low ? from : end.low) });
      } catch (error) {
        void consumer.disconnect().catch(() => undefined);
        throw error;
      }
      if (end.high <= end.low || from >= end.high) reached();
      return { close: () => consumer.disconnect() };
    },

    /** The last committed record with this key of a one-partition topic, or null. */
    async readLast(topic: string, key: string): Promise<InRecord | null> {
      const end = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (end === undefined) return null;
      for (let back = 16n; ; back *= 64n) {
        const from = end.high - back > end.low ? end.high - back : end.low;
        let last: InRecord | null = null;
        await this.readToEnd(topic, from, (record) => {
          if (record.key?.toString() === key) last = record;
        });
        if (last !== null || from === end.low) return last;
      }
    },

    /** Calls `onRecord` with every committed record of a one-partition topic that is there now, in order; with none where the topic does not exist. */
    async readAll(topic: string, onRecord: (record: InRecord) => void): Promise<void> {
      const end = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (end === undefined || end.high <= end.low) return;
      await this.readToEnd(topic, end.low, onRecord);
    },

    /** As `readAll`, from an offset on. */
    async readToEnd(topic: string, from: bigint, onRecord: (record: InRecord) => void): Promise<void> {
      let settle: (error?: Error) => void = () => undefined;
      const done = new Promise<void>((resolve, reject) => {
        settle = (error) => (error ? reject(error) : resolve());
      });
      // `follow` throws what it rejects with, if it fails before it is waited for.
      done.catch(() => undefined);
      const reader = await this.follow(topic, from, { onRecord, onCaughtUp: settle });
      try {
        await done;
      } finally {
        // Leaving the group takes a round trip nobody waits for.
        void reader.close().catch(() => undefined);
      }
    },

    /**
     * A member of a consumer group that reads committed records in batches of one partition. The caller keeps offsets itself: `startOffset` is asked once per partition and assignment,
     * and `onBatch` answers null once every record is applied, or the offset to go on from.
     */
    async createGroupConsumer(options: {
      groupId: string;
      topics: readonly string[];
      concurrency: number;
      sessionTimeoutMs: number;
      /** How long the brokers may wait for new records: 500 ms by default. */
      maxWaitMs?: number;
      /** Partitions by topic that this member has from now on. */
      onAssigned: (partitions: Readonly<Record<string, readonly number[]>>) => void;
      startOffset: (topic: string, partition: number) => Promise<bigint>;
      onBatch: (batch: {
        topic: string;
        partition: number;
        records: readonly InRecord[];
        beat: () => Promise<void>;
        isStale: () => boolean;
        /** No more is fetched of this partition until what it answers with is called. */
        pause: () => () => void;
      }) => Promise<bigint | null>;
      onCrash: (error: Error) => void;
    }): Promise<{
      close(): Promise<void>;
      commitForMonitors(topic: string, partition: number, next: bigint): Promise<void>;
    }> {
      const consumer = client.consumer({
        groupId: options.groupId,
        sessionTimeout: options.sessionTimeoutMs,
        heartbeatInterval: Math.floor(options.sessionTimeoutMs / 6),
        rebalanceTimeout: 30_000,
        maxWaitTimeInMs: options.maxWaitMs ?? 500,
        minBytes: 1,
        maxBytesPerPartition: 1_048_576,
        maxBytes: 8_388_608,
        readUncommitted: false,
        retry: { retries: 5, initialRetryTime: 100 },
      });
      const checked = new Set<string>();
      let isOffsetLost = false;
      onOffsetLost.set(options.groupId, () => {
        isOffsetLost = true;
        options.onCrash(
          new CrosswalkError(
            'server_down',
            `${options.groupId}: the log does not hold the next offset`,
            'It is looked up.',
          ),
        );
      });
      consumer.on(consumer.events.REBALANCING, () => {
        reach?.('rebalance.before').catch(options.onCrash);
      });
      consumer.on(consumer.events.GROUP_JOIN, (event) => {
        checked.clear();
        options.onAssigned(event.payload.memberAssignment);
        reach?.('rebalance.after').catch(options.onCrash);
      });
      consumer.on(consumer.events.CRASH, (event) => options.onCrash(event.payload.error));
      await consumer.connect();
      for (const topic of options.topics) await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: options.concurrency,
        eachBatch: async ({ batch, heartbeat, resolveOffset, isStale, isRunning, pause }) => {
          if (isOffsetLost) return;
          let isRebalancing = false;
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
            // The library's own next beat rejoins; a batch that others may have by now is not gone on with.
            beat: () =>
              heartbeat().catch((error: unknown) => {
                if ((error as { type?: unknown }).type !== 'REBALANCE_IN_PROGRESS') throw error;
                isRebalancing = true;
              }),
            isStale: () => isRebalancing || isStale() || !isRunning(),
            pause,
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

    /**
     * Offsets of each partition, in order of partition, before which no record is of this time (milliseconds since 1970) or later; the end where there is none. Some behind it may be
     * of an earlier time: the broker also looks at the marker that ends a transaction, which has the time at which it was written.
     */
    async fetchOffsetsAt(topic: string, timestampMs: number): Promise<bigint[]> {
      return withAdmin(async (admin) => {
        const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, timestampMs);
        return [...offsets].sort((a, b) => a.partition - b.partition).map(({ offset }) => BigInt(offset));
      });
    },

    /**
     * Reads committed records of some partitions of a topic, each from an offset on to before another one. The ends must be below what is committed, or they are never reached:
     * `server_down` after `SILENCE_MS` without any record. `onBatch` is called with batches of a partition in order, and nothing more is fetched than it takes; it answers false
     * where it wants no more of the partition. `next`: where its partition goes on.
     */
    async readRanges(
      topic: string,
      ranges: ReadonlyMap<number, { readonly from: bigint; readonly to: bigint }>,
      options: {
        signal: AbortSignal;
        onBatch: (batch: {
          partition: number;
          records: readonly InRecord[];
          next: bigint;
        }) => boolean | undefined | Promise<boolean | undefined>;
      },
    ): Promise<void> {
      const { signal, onBatch } = options;
      signal.throwIfAborted();
      const left = new Map([...ranges].filter(([, { from, to }]) => from < to));
      if (left.size === 0) return;
      const next = new Map([...left].map(([partition, { from }]) => [partition, from]));
      const consumer = client.consumer({
        groupId: `crosswalk-reader-${randomUUID()}`,
        sessionTimeout: 30_000,
        maxWaitTimeInMs: 500,
        maxBytesPerPartition: 4_194_304,
        maxBytes: 16_777_216,
        readUncommitted: false,
        retry: { retries: 3 },
        partitionAssigners: [() => toAssigner(topic, [...left.keys()])],
      });
      let timer: NodeJS.Timeout | undefined;
      let onAbort: () => void = () => undefined;
      try {
        await new Promise<void>((resolve, reject) => {
          onAbort = () => reject(signal.reason);
          signal.addEventListener('abort', onAbort, { once: true });
          timer = setTimeout(() => {
            const at = [...left.keys()]
              .map((partition) => `${topic}/${partition} at ${next.get(partition)}`)
              .join(', ');
            reject(
              new CrosswalkError(
                'server_down',
                `Kafka ${brokers} has delivered nothing for ${SILENCE_MS / 1000} s, of ${at}`,
                'Look whether the brokers are up and a transaction hangs, then try again.',
              ),
            );
          }, SILENCE_MS);
          const pass = (partition: number, reached: bigint) => {
            timer?.refresh();
            if (reached > next.get(partition)!) next.set(partition, reached);
            if (next.get(partition)! >= ranges.get(partition)!.to) left.delete(partition);
            if (left.size === 0) resolve();
          };
          consumer.on(consumer.events.CRASH, (event) => reject(event.payload.error));
          consumer.on(consumer.events.GROUP_JOIN, () => {
            for (const [partition, offset] of next) consumer.seek({ topic, partition, offset: String(offset) });
          });
          // Batches of aborted records never reach eachBatch, so progress is taken from the event that every batch raises.
          consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
            if (next.has(payload.partition)) pass(payload.partition, BigInt(payload.lastOffset) + 1n);
          });
          const run = async () => {
            await consumer.connect();
            await consumer.subscribe({ topic, fromBeginning: true });
            await consumer.run({
              autoCommit: false,
              eachBatch: async ({ batch, heartbeat, isStale }) => {
                const { partition } = batch;
                const range = ranges.get(partition);
                const from = next.get(partition);
                if (range === undefined || from === undefined || !left.has(partition) || isStale() || signal.aborted)
                  return;
                const records = batch.messages
                  .map(toInRecord)
                  .filter(({ offset }) => offset >= from && offset < range.to);
                const last = records.at(-1);
                if (last === undefined) return;
                try {
                  const goesOn = await onBatch({ partition, records, next: last.offset + 1n });
                  if (goesOn === false) pass(partition, range.to);
                } catch (error) {
                  reject(error);
                  return;
                }
                if (next.get(partition)! <= last.offset) next.set(partition, last.offset + 1n);
                timer?.refresh();
                await heartbeat();
              },
            });
          };
          run().catch(reject);
        });
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        // Leaving the group takes a round trip nobody waits for.
        void consumer.disconnect().catch(() => undefined);
      }
    },
  };
}

/** Assigns these partitions, and no other, to the only member of a group. */
function toAssigner(topic: string, partitions: readonly number[]): kafkajs.Assigner {
  const { MemberMetadata, MemberAssignment } = AssignerProtocol;
  const userData = Buffer.alloc(0);
  return {
    name: 'crosswalk-partitions',
    version: 0,
    protocol: ({ topics }) => ({
      name: 'crosswalk-partitions',
      metadata: MemberMetadata.encode({ version: 0, topics, userData }),
    }),
    assign: async ({ members }) =>
      members.slice(0, 1).map(({ memberId }) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({ version: 0, assignment: { [topic]: [...partitions] }, userData }),
      })),
  };
}

/** Creates topics, their settings in the words that these brokers know. */
async function createTopics(admin: kafkajs.Admin, specs: readonly TopicSpec[]): Promise<void> {
  const toRequest = (spelling: number) => ({
    waitForLeaders: true,
    topics: specs.map(({ topic, partitions, replicationFactor, config }) => {
      const spellings = spellRecordTimes(config);
      const settings = spellings[spelling] ?? spellings.at(-1)!;
      const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
      return { topic, numPartitions: partitions, replicationFactor, configEntries };
    }),
  });
  const most = Math.max(...specs.map(({ config }) => spellRecordTimes(config).length));
  for (let spelling = 0; ; spelling += 1) {
    try {
      await admin.createTopics(toRequest(spelling));
      return;
    } catch (error) {
      if (findBrokerError(error)?.type !== 'INVALID_CONFIG' || spelling + 1 >= most) throw error;
    }
  }
}

function toMissingTopic(topic: string): CrosswalkError {
  return new CrosswalkError(
    'topic_misconfigured',
    `Topic ${topic} does not exist`,
    'Start the connector first: it creates the topics.',
  );
}

function toInRecord(message: kafkajs.KafkaMessage): InRecord {
  const record = {
    offset: BigInt(message.offset),
    key: message.key,
    value: message.value,
    timestampMs: message.timestamp,
  };
  const headers: Record<string, Buffer> = {};
  for (const [name, value] of Object.entries(message.headers ?? {})) {
    // Of a name that stands twice the last one counts.
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined) headers[name] = Buffer.from(last);
  }
  return Object.keys(headers).length === 0 ? record : { ...record, headers };
}
