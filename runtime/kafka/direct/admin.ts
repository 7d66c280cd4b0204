import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, PartitionEnds } from '../types.ts';
import { assertDone, KafkaProtocolError } from './broker-errors.ts';
import { type Cluster, groupByTopic } from './cluster.ts';
import { createTopics, describeConfigs, listOffsets, metadata } from './requests.ts';

const END = -1n;
const BEGINNING = -2n;
/** A newly created topic has leaders within this time; until then, brokers report that it has none yet. */
const LEADERS = { tries: 50, pauseMs: 100 };
const ALREADY_EXISTS = 36;

export function createAdmin(cluster: Cluster): Admin {
  /** Offsets by topic and partition; -1 if there is no record of that time or later. */
  async function list(topics: readonly string[], timestamp: bigint): Promise<Map<string, bigint[]>> {
    if (topics.length === 0) return new Map();
    const located = await cluster.locate(topics);
    const places = [...located].flatMap(([topic, partitions]) =>
      partitions.map(({ leader }, partition) => ({ topic, partition, leader })),
    );
    const found = new Map<string, bigint[]>(topics.map((topic) => [topic, []]));
    const asking = [...Map.groupBy(places, ({ leader }) => leader)].map(async ([leader, of]) => {
      const asked = groupByTopic(
        of,
        ({ topic }) => topic,
        ({ partition }) => ({ partition, timestamp }),
      );
      for (const { topic, partition, code, offset } of await cluster.ask(leader, listOffsets, asked)) {
        if (code !== 0) cluster.forget([topic]);
        assertDone(code, topic);
        found.get(topic)![partition] = offset;
      }
    });
    // Waits for all of them, so that no rejection stays unhandled.
    await Promise.allSettled(asking);
    await Promise.all(asking);
    return found;
  }

  async function ends(topics: readonly string[]): Promise<Map<string, PartitionEnds[]>> {
    if (topics.length > 0) await cluster.locate(topics);
    const [low, high] = await Promise.all([list(topics, BEGINNING), list(topics, END)]);
    return new Map(
      topics.map((topic) => [
        topic,
        low.get(topic)!.map((first, partition) => ({ low: first, high: high.get(topic)![partition]! })),
      ]),
    );
  }

  return {
    clusterId: async () => (await cluster.askAny(metadata, [])).clusterId,
    topics: async () =>
      new Set((await cluster.fetchMetadata(null)).topics.flatMap(({ code, topic }) => (code === 0 ? [topic] : []))),
    async replicas(topics) {
      const located = await cluster.locate(topics, { isFresh: true });
      return new Map([...located].map(([topic, partitions]) => [topic, partitions.map(({ replicas }) => replicas)]));
    },
    async configs(topics, name) {
      const found = await cluster.askAny(describeConfigs, { topics, name });
      return new Map(
        found.map(({ code, message, topic, entries }) => {
          if (code !== 0) throw new KafkaProtocolError(code, { topic, message });
          return [topic, Object.fromEntries(entries.map(([key, value]) => [key, value ?? '']))];
        }),
      );
    },
    async create(topics) {
      const { controllerId } = await cluster.fetchMetadata([]);
      const results = await cluster.ask(controllerId, createTopics, topics);
      for (const { topic, code, message } of results)
        if (code !== 0 && code !== ALREADY_EXISTS) throw new KafkaProtocolError(code, { topic, message });
      const names = topics.map(({ topic }) => topic);
      for (let left = LEADERS.tries; left > 0; left--) {
        try {
          await cluster.locate(names, { isFresh: true });
          return;
        } catch (error) {
          if (!(error instanceof KafkaProtocolError) || !error.retriable) throw error;
          await sleep(LEADERS.pauseMs);
        }
      }
    },
    ends,
    async offsetsAt(topic, timestampMs) {
      const at = (await list([topic], BigInt(timestampMs))).get(topic)!;
      if (!at.includes(-1n)) return at;
      const end = (await list([topic], END)).get(topic)!;
      return at.map((offset, partition) => (offset < 0n ? end[partition]! : offset));
    },
  };
}
