import { setTimeout as sleep } from 'node:timers/promises';
import type { LogWriter, OutRecord, SendAnswer, TopicPartition } from '../types.ts';
import { assertDone, isRetriable, KafkaProtocolError, typeOf } from './broker-errors.ts';
import { type Cluster, groupByTopic } from './cluster.ts';
import { encodeBatch } from './record-batch.ts';
import { type Api, addPartitions, endTransaction, initProducerId, type ProducerIdentity, produce } from './requests.ts';

/** How long a request is retried after a lost response or a transient error. */
const RETRY_MS = 35_000;
/** The previous transaction completes within a few milliseconds. */
const PAUSE_MS = { first: 1, longest: 100 };
/** Sequence numbers wrap around to 0 at this value. */
const SEQUENCES = 2 ** 31;

interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly OutRecord[];
  readonly bytes: Buffer;
}

/** Retries after lost responses and transient errors. `onRetry`: refreshes cached data. Pauses grow, except while waiting for the previous transaction. */
async function retrying<T>(work: () => Promise<T>, onRetry: (error: unknown) => void = () => undefined): Promise<T> {
  const endMs = performance.now() + RETRY_MS;
  for (let pauseMs = PAUSE_MS.first; ; ) {
    try {
      return await work();
    } catch (error) {
      if (!isRetriable(error) || performance.now() > endMs) throw error;
      onRetry(error);
      await sleep(pauseMs);
      // The previous transaction needs a few more milliseconds; the duration of anything else is unknown.
      pauseMs =
        typeOf(error) === 'CONCURRENT_TRANSACTIONS'
          ? Math.min(pauseMs + 1, 10)
          : Math.min(pauseMs * 2, PAUSE_MS.longest);
    }
  }
}

/** Writes with sequence numbers, so that a batch whose response is lost can be resent and is written once. After a failure nothing can be sent any more. */
export function createSender(cluster: Cluster, transactionalId: string | null) {
  const sequences = new Map<string, number>();
  let failure: unknown;

  async function sendOnce(
    batches: readonly Batch[],
  ): Promise<{ answers: SendAnswer[]; left: Batch[]; error: unknown }> {
    const places = await cluster.locate([...new Set(batches.map(({ topic }) => topic))]);
    const answers: SendAnswer[] = [];
    const left: Batch[] = [];
    let error: unknown;
    const leaderOf = ({ topic, partition }: Batch) => places.get(topic)?.[partition]?.leader ?? -1;
    const sends = [...Map.groupBy(batches, leaderOf)].map(async ([leader, of]) => {
      const topics = groupByTopic(
        of,
        ({ topic }) => topic,
        ({ partition, bytes }) => ({ partition, batch: bytes }),
      );
      try {
        const found = await cluster.ask(leader, produce, { transactionalId, topics });
        for (const { topic, partition, code, baseOffset } of found) {
          if (code === 0) answers.push({ topic, partition, baseOffset });
          else {
            const refused = new KafkaProtocolError(code, { topic });
            if (!refused.retriable) throw refused;
            error = refused;
            left.push(...of.filter((batch) => batch.topic === topic && batch.partition === partition));
          }
        }
      } catch (thrown) {
        if (!isRetriable(thrown)) throw thrown;
        error = thrown;
        left.push(...of);
      }
    });
    // Waits for all of them: none may still be in flight when it is resent.
    await Promise.allSettled(sends);
    await Promise.all(sends);
    return { answers, left, error };
  }

  return {
    async send(identity: ProducerIdentity, records: ReadonlyMap<string, readonly OutRecord[]>): Promise<SendAnswer[]> {
      if (failure !== undefined) throw failure;
      try {
        let left: readonly Batch[] = splitByPartition(records).map(({ topic, partition, list }) => {
          const sequence = sequences.get(`${topic}/${partition}`) ?? 0;
          const bytes = encodeBatch(list, { identity, sequence, isTransactional: transactionalId !== null });
          return { topic, partition, records: list, bytes };
        });
        for (const batch of left) advance(sequences, batch);
        const answers: SendAnswer[] = [];
        await retrying(
          async () => {
            const sent = await sendOnce(left);
            answers.push(...sent.answers);
            left = sent.left;
            if (left.length > 0) throw sent.error;
          },
          () => cluster.forget([...records.keys()]),
        );
        return answers;
      } catch (error) {
        failure = error;
        throw error;
      }
    },
  };
}

function advance(sequences: Map<string, number>, { topic, partition, records }: Batch): void {
  const key = `${topic}/${partition}`;
  sequences.set(key, ((sequences.get(key) ?? 0) + records.length) % SEQUENCES);
}

function splitByPartition(records: ReadonlyMap<string, readonly OutRecord[]>) {
  const found: { topic: string; partition: number; list: OutRecord[] }[] = [];
  for (const [topic, all] of records) {
    const lists = new Map<number, OutRecord[]>();
    for (const record of all) {
      const list = lists.get(record.partition);
      if (list === undefined) lists.set(record.partition, [record]);
      else list.push(record);
    }
    for (const [partition, list] of lists) found.push({ topic, partition, list });
  }
  return found;
}

/** Producer id and epoch without transactions. */
export async function identify(cluster: Cluster): Promise<ProducerIdentity> {
  return retrying(async () => {
    const { code, identity } = await cluster.askAny(initProducerId, { transactionalId: null, timeoutMs: 60_000 });
    assertDone(code);
    return identity;
  });
}

/** A transactional writer, as LogWriter describes. */
export function createDirectLogWriter(cluster: Cluster, transactionalId: string, timeoutMs: number): LogWriter {
  const sender = createSender(cluster, transactionalId);
  let coordinator: number | null = null;
  let identity: ProducerIdentity | null = null;
  let isOpen = false;
  /** Partitions of the open transaction. */
  let added = new Map<string, TopicPartition>();

  async function ask<A, R>(api: Api<A, R>, asked: A, assert: (answer: R) => void): Promise<R> {
    return retrying(
      async () => {
        coordinator ??= await cluster.findCoordinator('transaction', transactionalId);
        const answer = await cluster.ask(coordinator, api, asked, { lane: 'transaction' });
        assert(answer);
        return answer;
      },
      (error) => {
        if (typeOf(error) !== 'CONCURRENT_TRANSACTIONS') coordinator = null;
      },
    );
  }

  function open(): ProducerIdentity {
    if (!isOpen || identity === null) throw new Error('no open Kafka transaction');
    return identity;
  }

  async function add(of: ProducerIdentity, records: ReadonlyMap<string, readonly OutRecord[]>): Promise<void> {
    const missing = new Map<string, TopicPartition>();
    for (const [topic, list] of records)
      for (const { partition } of list) {
        const key = `${topic}/${partition}`;
        if (!added.has(key)) missing.set(key, { topic, partition });
      }
    if (missing.size === 0) return;
    const topics = groupByTopic(
      [...missing.values()],
      ({ topic }) => topic,
      ({ partition }) => partition,
    );
    await ask(addPartitions, { transactionalId, identity: of, topics }, (results) => {
      // If one is rejected, the others are "not attempted".
      const refused = results.filter(({ code }) => code !== 0 && code !== OPERATION_NOT_ATTEMPTED);
      for (const { code, topic } of refused) assertDone(code, topic);
    });
    for (const [key, place] of missing) added.set(key, place);
  }

  async function end(isCommit: boolean): Promise<TopicPartition[]> {
    const of = open();
    const ended = [...added.values()];
    if (added.size > 0)
      await ask(endTransaction, { transactionalId, identity: of, isCommit }, ({ code }) => assertDone(code));
    isOpen = false;
    added = new Map();
    return ended;
  }

  return {
    async begin() {
      if (identity === null) {
        const answer = await ask(initProducerId, { transactionalId, timeoutMs }, ({ code }) => assertDone(code));
        identity = answer.identity;
      }
      isOpen = true;
    },
    async send(records) {
      const of = open();
      await add(of, records);
      return sender.send(of, records);
    },
    commit: () => end(true),
    abort: async () => {
      if (isOpen) await end(false);
    },
    close: async () => cluster.close(),
  };
}

const OPERATION_NOT_ATTEMPTED = 55;
