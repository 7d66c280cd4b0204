import type { KafkaSettings } from '../../config.ts';
import { isSettling } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { SILENCE_MS, toSilent } from '../silence.ts';
import type { KafkaDriver } from '../types.ts';
import { createAdmin } from './admin.ts';
import { Cluster } from './cluster.ts';
import { createDirectGroupConsumer } from './group-consumer.ts';
import { createDirectLogWriter, createSender, identify } from './log-writer.ts';
import { createPartitionReader } from './partition-reader.ts';

/** Consecutive failures after which a caller that waits for the end of a topic is notified. */
const FAILURES = 5;

/** Our own client: the required part of Kafka's protocol, directly on sockets. */
export function createDirectDriver(settings: KafkaSettings, log: Log): KafkaDriver {
  const told = (error: Error) => log.debug({ kafka: error.message }, 'kafka client');
  return {
    async withAdmin(work) {
      const cluster = new Cluster(settings);
      try {
        return await work(createAdmin(cluster));
      } finally {
        cluster.close();
      }
    },

    async createLogWriter(transactionalId, transactionTimeoutMs) {
      const cluster = new Cluster(settings);
      try {
        await cluster.fetchMetadata([]);
      } catch (error) {
        cluster.close();
        throw error;
      }
      return createDirectLogWriter(cluster, transactionalId, transactionTimeoutMs);
    },

    async append(topic, { key, value }) {
      const cluster = new Cluster(settings);
      try {
        const record = { partition: 0, key, value, timestampMs: String(Date.now()) };
        const [answer] = await createSender(cluster, null).send(await identify(cluster), new Map([[topic, [record]]]));
        return answer!.baseOffset;
      } finally {
        cluster.close();
      }
    },

    async follow(topic, { from, end }, handlers) {
      const cluster = new Cluster(settings);
      let isCaughtUp = false;
      const caughtUp = (error?: Error) => {
        if (isCaughtUp) return;
        isCaughtUp = true;
        handlers.onCaughtUp(error);
      };
      const reader = createPartitionReader(cluster, {
        ...{
          maxWaitMs: 500,
          maxBytes: 10_485_760,
          maxBytesPerPartition: 1_048_576,
          depth: 2,
          lanes: 1,
          concurrency: 1,
        },
        onChunk: async (_, { records, next }) => {
          for (const record of records) handlers.onRecord(record);
          if (next >= end) caughtUp();
          return null;
        },
        onFailure: (error, times) => {
          told(error);
          if (times >= FAILURES) caughtUp(error);
          if (times === Number.POSITIVE_INFINITY) handlers.onEnd?.(error);
        },
      });
      try {
        await cluster.locate([topic]);
      } catch (error) {
        // A topic without a leader has one soon; the reader waits for it.
        if (!isSettling(error)) {
          cluster.close();
          throw error;
        }
      }
      reader.assign([{ topic, partition: 0, offset: from }]);
      if (from >= end) caughtUp();
      return {
        close: async () => {
          reader.close();
          cluster.close();
        },
      };
    },

    async readRanges(topic, ranges, { signal, onBatch }) {
      const cluster = new Cluster(settings);
      const next = new Map([...ranges].map(([partition, { from }]) => [partition, from]));
      const done = Promise.withResolvers<void>();
      const onAbort = () => done.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      const timer = setTimeout(() => {
        const at = [...next].map(([partition, offset]) => `${topic}/${partition} at ${offset}`).join(', ');
        done.reject(toSilent(settings.brokers.join(','), at));
      }, SILENCE_MS);
      const pass = (partition: number, reached: bigint) => {
        timer.refresh();
        if (reached < ranges.get(partition)!.to) next.set(partition, reached);
        else {
          next.delete(partition);
          reader.remove({ topic, partition });
        }
        if (next.size === 0) done.resolve();
      };
      const reader = createPartitionReader(cluster, {
        ...{
          maxWaitMs: 500,
          maxBytes: 16_777_216,
          maxBytesPerPartition: 4_194_304,
          depth: 1,
          lanes: 1,
          concurrency: 1,
        },
        onChunk: async ({ partition }, chunk) => {
          const range = ranges.get(partition)!;
          const records = chunk.records.filter(({ offset }) => offset < range.to);
          const last = records.at(-1);
          let reached = chunk.next;
          if (last !== undefined && !signal.aborted) {
            const goesOn = await onBatch({ partition, records, next: last.offset + 1n });
            if (goesOn === false) reached = range.to;
          }
          pass(partition, reached);
          return null;
        },
        onFailure: (error, times) => {
          told(error);
          if (times >= FAILURES) done.reject(error);
        },
      });
      try {
        reader.assign([...next].map(([partition, offset]) => ({ topic, partition, offset })));
        await done.promise;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        reader.close();
        cluster.close();
      }
    },

    createGroupConsumer: (options) => createDirectGroupConsumer(new Cluster(settings), options, told),
  };
}
