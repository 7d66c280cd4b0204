import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaSettings } from './config.ts';
import { CrosswalkError, isSettling } from './errors.ts';
import { SILENCE_MS } from './kafka/silence.ts';
import type {
  Admin,
  FollowHandlers,
  GroupConsumer,
  GroupOptions,
  InRecord,
  KafkaDriver,
  LogWriter,
  PartitionEnds,
  RangeOptions,
  Ranges,
  TopicSpec,
} from './kafka/types.ts';
import { findBrokerError, toKafkaRefusal } from './kafka-refusals.ts';
import type { Log } from './log.ts';
import { spellRecordTimes, toTimeRefusal } from './record-times.ts';

export type {
  InRecord,
  LogWriter,
  OutRecord,
  RecordHeaders,
  SendAnswer,
  TopicPartition,
  TopicSpec,
} from './kafka/types.ts';

/** Kafka settles within so long, or something is wrong with it. */
const SETTLING_MS = 250;
const SETTLING_ATTEMPTS = 20;
/** Longer than a crashed broker takes to show all that it holds. */
const SETTLE_MS = 15_000;

export type Kafka = ReturnType<typeof createKafka>;

/** The client that the settings name, loaded when it is first needed: the other one costs nothing. */
async function loadDriver(settings: KafkaSettings, log: Log): Promise<KafkaDriver> {
  if (settings.client === 'kafkajs') return (await import('./kafka/kafkajs.ts')).createKafkajsDriver(settings, log);
  return (await import('./kafka/direct/driver.ts')).createDirectDriver(settings, log);
}

/** A Kafka client. Retries are short and few: whoever uses it decides whether to wait. */
export function createKafka(settings: KafkaSettings, log: Log) {
  let loaded: Promise<KafkaDriver> | undefined;
  const driver = () => {
    loaded ??= loadDriver(settings, log);
    return loaded;
  };
  const brokers = settings.brokers.join(',');

  async function withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    return (await driver()).withAdmin(async (admin) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await work(admin);
        } catch (error) {
          // A topic that has just been made has no leader yet, nor has one whose broker was restarted.
          if (!isSettling(error) || attempt === SETTLING_ATTEMPTS) throw error;
          await sleep(SETTLING_MS);
        }
      }
    });
  }

  /** Number of partitions, of replicas where they are fewest, and settings of each topic that exists. */
  async function fetchTopicSettings(
    topics: readonly string[],
  ): Promise<Map<string, { partitions: number; replicas: number; config: Record<string, string> }>> {
    return withAdmin(async (admin) => {
      const existing = await admin.topics();
      const present = topics.filter((topic) => existing.has(topic));
      if (present.length === 0) return new Map();
      const replicas = await admin.replicas(present);
      const configs = await admin.configs(present);
      return new Map(
        [...replicas].map(([topic, counts]) => {
          const config = configs.get(topic) ?? {};
          return [topic, { partitions: counts.length, replicas: Math.min(...counts), config }];
        }),
      );
    });
  }

  /** For what brokers refuse on account of a topic's settings or rights: names the topics, which their answer does not. Any other error is thrown as it is. */
  async function explainRefusal(topics: readonly string[], error: unknown): Promise<never> {
    const type = findBrokerError(error)?.type;
    if (type === 'TOPIC_AUTHORIZATION_FAILED') {
      const refusal = toKafkaRefusal(error)!;
      throw new CrosswalkError(refusal.failure, `Kafka: no right to use ${topics.join(' or ')}`, { cause: error });
    }
    if (type !== 'INVALID_TIMESTAMP') throw error;
    const settings = await fetchTopicSettings(topics).catch(() => new Map());
    const configs = new Map([...settings].map(([topic, { config }]) => [topic, config] as const));
    const refusal = toTimeRefusal(configs);
    if (refusal === null) throw error;
    throw new CrosswalkError(refusal.failure, refusal.what, { cause: error });
  }

  /** A client may ask a broker that does not answer again and again. */
  async function answered<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const seconds = SILENCE_MS / 1000;
        reject(new CrosswalkError('server_down.again', `Kafka ${brokers} has not answered for ${seconds} s`));
      }, SILENCE_MS);
    });
    return Promise.race([work, silence]).finally(() => clearTimeout(timer));
  }

  /** Every committed record of partition 0 from `from` on, until `end` is passed. */
  async function readPlace(topic: string, place: { from: bigint; end: bigint }, onRecord: (record: InRecord) => void) {
    if (place.from >= place.end) return;
    const done = Promise.withResolvers<void>();
    // `follow` throws what it rejects with, if it fails before it is waited for.
    done.promise.catch(() => undefined);
    const reader = await (await driver()).follow(topic, place, {
      onRecord,
      onCaughtUp: (error) => (error ? done.reject(error) : done.resolve()),
      onEnd: done.reject,
    });
    try {
      await done.promise;
    } finally {
      // Closing may take a round trip nobody waits for.
      void reader.close().catch(() => undefined);
    }
  }

  return {
    brokers,

    /** Cluster id; also the cheapest proof that the brokers answer. */
    fetchClusterId: () => withAdmin((admin) => admin.clusterId()),

    /** Creates what is missing. Throws `topic_misconfigured` where a topic has another partition count: order per key would be lost. */
    async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
      await withAdmin(async (admin) => {
        const existing = await admin.topics();
        const missing = specs.filter((spec) => !existing.has(spec.topic));
        if (missing.length > 0) await createTopics(admin, missing);
        const topics = specs.map((spec) => spec.topic);
        const replicas = await admin.replicas(topics).catch((error: unknown) => explainRefusal(topics, error));
        for (const spec of specs) {
          const found = replicas.get(spec.topic)?.length;
          if (found !== spec.partitions) {
            throw new CrosswalkError(
              'topic_misconfigured.partitions',
              `Topic ${spec.topic} has ${found ?? 0} partitions, ${spec.partitions} are configured`,
            );
          }
        }
      });
    },

    /** `max.message.bytes` of each topic. Throws `permission_denied` where they may not be read: a record over the limit would stop the log. */
    async fetchMessageLimits(topics: readonly string[]): Promise<Map<string, number>> {
      const name = 'max.message.bytes';
      return withAdmin(async (admin) => {
        const configs = await admin.configs(topics, name).catch((error: unknown) => {
          if (!String(findBrokerError(error)?.type).endsWith('AUTHORIZATION_FAILED')) throw error;
          throw new CrosswalkError(
            'permission_denied.kafka_settings',
            `Kafka: the settings of topic ${topics[0]} may not be read`,
            { cause: error },
          );
        });
        return new Map(
          [...configs].flatMap(([topic, { [name]: value }]) => (value === undefined ? [] : [[topic, Number(value)]])),
        );
      });
    },

    fetchTopicSettings,

    /** First and next offset of every partition of each topic that exists, in order of partition. */
    async fetchOffsets(topics: readonly string[]): Promise<Map<string, PartitionEnds[]>> {
      return withAdmin(async (admin) => {
        const existing = await admin.topics();
        return admin.ends(topics.filter((topic) => existing.has(topic)));
      });
    },

    /**
     * As `fetchOffsets`, asked again while a partition ends before where `expected` says that it has been read or written to: a broker that has crashed shows less than it holds
     * for a moment. After `SETTLE_MS` the answer is what it is.
     */
    async fetchSettledOffsets(expected: ReadonlyMap<string, readonly bigint[]>): Promise<Map<string, PartitionEnds[]>> {
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
      const writer = await (await driver()).createLogWriter(transactionalId, transactionTimeoutMs);
      const begin = async () => {
        await writer.begin().catch((error: unknown) => {
          if (findBrokerError(error)?.type !== 'INVALID_TRANSACTION_TIMEOUT') throw error;
          throw new CrosswalkError(
            'config_invalid.transaction_timeout',
            `Kafka allows no transaction of ${transactionTimeoutMs} ms`,
            { cause: error },
          );
        });
      };
      return {
        begin: () => answered(begin()),
        send: (records) =>
          answered(writer.send(records)).catch((error: unknown) => explainRefusal([...records.keys()], error)),
        commit: () => answered(writer.commit()),
        abort: () => writer.abort(),
        close: () => writer.close(),
      };
    },

    /** Appends a record to a one-partition topic, outside of transactions; returns its offset. Throws `topic_misconfigured` where there is no such topic. */
    async append(topic: string, record: { key: Buffer; value: Buffer }): Promise<bigint> {
      if (!(await this.fetchOffsets([topic])).has(topic)) throw toMissingTopic(topic);
      return (await driver()).append(topic, record).catch((error: unknown) => explainRefusal([topic], error));
    },

    /**
     * Reads a one-partition topic from `from` on, committed records only, and follows it. `onRecord` is called in order; `onCaughtUp` once, when every
     * record that was there at the start has been delivered (aborted tails and markers are passed over), or with what stands in the way. `onEnd`: nothing is delivered
     * any more. After an interruption records may come again, from the first one on.
     */
    async follow(topic: string, from: bigint, handlers: FollowHandlers): Promise<{ close(): Promise<void> }> {
      const end = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (end === undefined) throw toMissingTopic(topic);
      const place = { from: from > end.low ? from : end.low, end: end.high };
      return (await driver()).follow(topic, place, handlers);
    },

    /** The last committed record with this key of a one-partition topic, or null. */
    async readLast(topic: string, key: string): Promise<InRecord | null> {
      const ends = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (ends === undefined) return null;
      for (let back = 16n; ; back *= 64n) {
        const from = ends.high - back > ends.low ? ends.high - back : ends.low;
        let last: InRecord | null = null;
        await readPlace(topic, { from, end: ends.high }, (record) => {
          if (record.key?.toString() === key) last = record;
        });
        if (last !== null || from === ends.low) return last;
      }
    },

    /** Calls `onRecord` with every committed record of a one-partition topic that is there now, in order; with none where the topic does not exist. */
    async readAll(topic: string, onRecord: (record: InRecord) => void): Promise<void> {
      const ends = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (ends !== undefined) await readPlace(topic, { from: ends.low, end: ends.high }, onRecord);
    },

    /** As `readAll`, from an offset on. Throws `topic_misconfigured` where there is no such topic. */
    async readToEnd(topic: string, from: bigint, onRecord: (record: InRecord) => void): Promise<void> {
      const ends = (await this.fetchOffsets([topic])).get(topic)?.[0];
      if (ends === undefined) throw toMissingTopic(topic);
      await readPlace(topic, { from: from > ends.low ? from : ends.low, end: ends.high }, onRecord);
    },

    /**
     * A member of a consumer group that reads committed records in batches of one partition. The caller keeps offsets itself: `startOffset` is asked once per partition and assignment,
     * and `onBatch` answers null once every record is applied, or the offset to go on from.
     */
    async createGroupConsumer(options: GroupOptions): Promise<GroupConsumer> {
      return (await driver()).createGroupConsumer(options);
    },

    /**
     * Offsets of each partition, in order of partition, before which no record is of this time (milliseconds since 1970) or later; the end where there is none. Some behind it may be
     * of an earlier time: the broker also looks at the marker that ends a transaction, which has the time at which it was written.
     */
    fetchOffsetsAt: (topic: string, timestampMs: number): Promise<bigint[]> =>
      withAdmin((admin) => admin.offsetsAt(topic, timestampMs)),

    /**
     * Reads committed records of some partitions of a topic, each from an offset on to before another one. The ends must be below what is committed, or they are never reached:
     * `server_down` after `SILENCE_MS` without any record. `onBatch` is called with batches of a partition in order, and nothing more is fetched than it takes; it returns false
     * where it wants no more of the partition. `next`: where its partition goes on.
     */
    async readRanges(topic: string, ranges: Ranges, options: RangeOptions): Promise<void> {
      options.signal.throwIfAborted();
      const left = new Map([...ranges].filter(([, { from, to }]) => from < to));
      if (left.size > 0) await (await driver()).readRanges(topic, left, options);
    },
  };
}

/** Creates topics, their settings in the words that these brokers know. */
async function createTopics(admin: Admin, specs: readonly TopicSpec[]): Promise<void> {
  const most = Math.max(...specs.map(({ config }) => spellRecordTimes(config).length));
  for (let spelling = 0; ; spelling += 1) {
    const spelled = specs.map((spec) => {
      const spellings = spellRecordTimes(spec.config);
      return { ...spec, config: spellings[spelling] ?? spellings.at(-1)! };
    });
    try {
      await admin.create(spelled);
      return;
    } catch (error) {
      if (findBrokerError(error)?.type !== 'INVALID_CONFIG' || spelling + 1 >= most) throw error;
    }
  }
}

function toMissingTopic(topic: string): CrosswalkError {
  return new CrosswalkError('topic_misconfigured.missing', `Topic ${topic} does not exist`);
}
