import { randomUUID } from 'node:crypto';
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import kafkajs from 'kafkajs';
// @ts-expect-error: a file of the library's own, without types.
import LibraryConnection from 'kafkajs/src/network/connection.js';
// @ts-expect-error: a file of the library's own, without types.
import LibraryQueue from 'kafkajs/src/network/requestQueue/index.js';
import type { KafkaSettings } from '../config.ts';
import { CrosswalkError } from '../errors.ts';
import { reach } from '../faults.ts';
import { codecs } from '../kafka-codecs.ts';
import type { Log } from '../log.ts';
import { SILENCE_MS, toSilent } from './silence.ts';
import type { Admin, InRecord, KafkaDriver, PartitionEnds, TopicSpec } from './types.ts';

// The only import of kafkajs.
const { AssignerProtocol, CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs;
Object.assign(CompressionCodecs, codecs);

const KEEP_ALIVE_MS = 60_000;

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

interface RequestQueue {
  pending: unknown[];
  throttledUntil: number;
  scheduleCheckPendingRequests(): void;
}

/** The library looks again after a negative time where nothing waits and nothing is throttled, which Node.js warns of. */
const queue = (LibraryQueue as { prototype: RequestQueue }).prototype;
const { scheduleCheckPendingRequests } = queue;
queue.scheduleCheckPendingRequests = function (this: RequestQueue) {
  if (this.pending.length > 0 || this.throttledUntil > Date.now()) scheduleCheckPendingRequests.call(this);
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

/** Names of all topics. Throws a connection error where no broker answers: the library takes that for an answer, and trips over it. */
export async function listTopics(admin: Pick<kafkajs.Admin, 'listTopics'>): Promise<Set<string>> {
  try {
    return new Set(await admin.listTopics());
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new kafkajs.KafkaJSConnectionError('No broker answers');
  }
}

/** The client on kafkajs. Retries are short and few: whoever uses it decides whether to wait. */
export function createKafkajsDriver(settings: KafkaSettings, log: Log): KafkaDriver {
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

  return {
    async withAdmin(work) {
      const admin = client.admin({ retry: { retries: 3, initialRetryTime: 50 } });
      try {
        await admin.connect();
        return await work(toAdmin(admin));
      } finally {
        await admin.disconnect().catch(() => undefined);
      }
    },

    async createLogWriter(transactionalId, transactionTimeoutMs) {
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
              ...(record.headers === undefined ? {} : { headers: record.headers }),
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
          return null;
        },
        async abort() {
          await transaction?.abort();
          transaction = null;
        },
        close: () => producer.disconnect(),
      };
    },

    async append(topic, record) {
      const producer = client.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
      await producer.connect();
      try {
        const [answer] = await producer.send({ topic, acks: -1, messages: [{ partition: 0, ...record }] });
        return BigInt(answer?.baseOffset ?? '-1');
      } finally {
        await producer.disconnect().catch(() => undefined);
      }
    },

    async follow(topic, { from, end }, handlers) {
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
        if (BigInt(event.payload.lastOffset) + 1n >= end) reached();
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
        consumer.seek({ topic, partition: 0, offset: String(from) });
      } catch (error) {
        void consumer.disconnect().catch(() => undefined);
        throw error;
      }
      if (from >= end) reached();
      return { close: () => consumer.disconnect() };
    },

    async createGroupConsumer(options) {
      const consumer = client.consumer({
        groupId: options.groupId,
        sessionTimeout: options.sessionTimeoutMs,
        heartbeatInterval: Math.floor(options.sessionTimeoutMs / 6),
        rebalanceTimeout: 30_000,
        maxWaitTimeInMs: options.maxWaitMs ?? 500,
        minBytes: 1,
        maxBytesPerPartition: 262_144,
        maxBytes: 2_097_152,
        readUncommitted: false,
        retry: { retries: 5, initialRetryTime: 100 },
      });
      const checked = new Set<string>();
      let isOffsetLost = false;
      onOffsetLost.set(options.groupId, () => {
        isOffsetLost = true;
        options.onCrash(
          new CrosswalkError('server_down.offset', `${options.groupId}: the log does not hold the next offset`),
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

    async readRanges(topic, ranges, options) {
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
            reject(toSilent(settings.brokers.join(','), at));
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

/** The library's answers in our words. */
function toAdmin(admin: kafkajs.Admin): Admin {
  return {
    clusterId: async () => (await admin.describeCluster()).clusterId,
    topics: () => listTopics(admin),
    async replicas(topics) {
      const metadata = await admin.fetchTopicMetadata({ topics: [...topics] });
      return new Map(
        metadata.topics.map(({ name, partitions }) => [name, partitions.map(({ replicas }) => replicas.length)]),
      );
    },
    async configs(topics, name) {
      const configNames = name === undefined ? {} : { configNames: [name] };
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: topics.map((topic) => ({ type: ConfigResourceTypes.TOPIC, name: topic, ...configNames })),
      });
      return new Map(
        resources.map(({ resourceName, configEntries }) => [
          resourceName,
          Object.fromEntries(configEntries.map((entry) => [entry.configName, entry.configValue])),
        ]),
      );
    },
    create: (topics) => createTopics(admin, topics),
    async ends(topics) {
      const found = new Map<string, PartitionEnds[]>();
      for (const topic of topics) {
        const offsets = await admin.fetchTopicOffsets(topic);
        const inOrder = [...offsets].sort((a, b) => a.partition - b.partition);
        found.set(
          topic,
          inOrder.map((entry) => ({ low: BigInt(entry.low), high: BigInt(entry.high) })),
        );
      }
      return found;
    },
    async offsetsAt(topic, timestampMs) {
      const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, timestampMs);
      return [...offsets].sort((a, b) => a.partition - b.partition).map(({ offset }) => BigInt(offset));
    },
  };
}

async function createTopics(admin: kafkajs.Admin, specs: readonly TopicSpec[]): Promise<void> {
  await admin.createTopics({
    waitForLeaders: true,
    topics: specs.map(({ topic, partitions, replicationFactor, config }) => ({
      ...{ topic, numPartitions: partitions, replicationFactor },
      configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
    })),
  });
}

function toInRecord(message: kafkajs.KafkaMessage): InRecord {
  const record = {
    offset: BigInt(message.offset),
    key: message.key,
    value: message.value,
    timestampMs: message.timestamp,
  };
  // A name may be anything, __proto__ too.
  const headers: Record<string, Buffer> = Object.create(null);
  for (const [name, value] of Object.entries(message.headers ?? {})) {
    // Of a name that stands twice the last one counts.
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined) headers[name] = Buffer.from(last);
  }
  return Object.keys(headers).length === 0 ? record : { ...record, headers };
}
