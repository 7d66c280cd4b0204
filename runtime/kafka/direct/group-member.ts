import { setTimeout as sleep } from 'node:timers/promises';
import { assertDone, isRetriable, KafkaProtocolError, typeOf } from './broker-errors.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import type { Cluster } from './cluster.ts';
import { type Api, commitOffsets, heartbeat, joinGroup, leaveGroup, type Membership, syncGroup } from './requests.ts';

/** The same name and method as in kafkajs, so that members with either client can share a group. */
const PROTOCOL = 'RoundRobinAssigner';
const REBALANCE_MS = 30_000;
/** Attempts for retriable requests, and the first pause between them. */
const TRIES = { count: 6, pauseMs: 100 };
/** Responses after which the member rejoins the group. */
const REJOIN = ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID'];

export type Assignment = Readonly<Record<string, readonly number[]>>;

/** A member of a consumer group: joins, sends heartbeats, and leaves. The leading member assigns the partitions round robin. */
export function createGroupMember(
  cluster: Cluster,
  options: { groupId: string; topics: readonly string[]; sessionTimeoutMs: number },
) {
  const { groupId, topics, sessionTimeoutMs } = options;
  let coordinator: number | null = null;
  let membership: Membership = { groupId, generation: -1, memberId: '' };

  async function ask<A, R extends { code: number }>(api: Api<A, R>, asked: () => A, timeoutMs?: number): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      try {
        coordinator ??= await cluster.findCoordinator('group', groupId);
        const timeout = timeoutMs === undefined ? {} : { timeoutMs };
        const answer = await cluster.ask(coordinator, api, asked(), { lane: 'group', ...timeout });
        if (answer.code !== 0 && new KafkaProtocolError(answer.code).retriable) assertDone(answer.code);
        return answer;
      } catch (error) {
        coordinator = null;
        if (!isRetriable(error) || attempt === TRIES.count) throw error;
        await sleep(TRIES.pauseMs * attempt);
      }
    }
  }

  async function tryJoin(): Promise<Assignment> {
    const metadata = encodeTopics(topics);
    const asked = () => ({
      ...{ groupId, sessionTimeoutMs, memberId: membership.memberId, protocol: PROTOCOL, metadata },
      rebalanceTimeoutMs: REBALANCE_MS,
    });
    // The coordinator responds once all members have joined, or their time is over.
    const joined = await ask(joinGroup, asked, REBALANCE_MS + sessionTimeoutMs + 5000);
    if (joined.memberId !== '') membership = { ...membership, memberId: joined.memberId };
    assertDone(joined.code);
    membership = { groupId, generation: joined.generation, memberId: joined.memberId };
    const isLeader = joined.leader === joined.memberId;
    const assignments = isLeader ? assign(joined.members, await countPartitions()) : [];
    const synced = await ask(syncGroup, () => ({ ...membership, assignments }), REBALANCE_MS + 5000);
    assertDone(synced.code);
    return decodeAssignment(synced.assignment);
  }

  async function countPartitions(): Promise<Map<string, number>> {
    const located = await cluster.locate(topics, { isFresh: true });
    return new Map([...located].map(([topic, partitions]) => [topic, partitions.length]));
  }

  return {
    /** Joins or rejoins; returns the partitions of this member. */
    async join(): Promise<Assignment> {
      for (;;) {
        try {
          return await tryJoin();
        } catch (error) {
          const type = typeOf(error);
          if (type === 'UNKNOWN_MEMBER_ID') membership = { ...membership, memberId: '' };
          else if (type !== 'MEMBER_ID_REQUIRED' && !REJOIN.includes(type ?? '')) throw error;
        }
      }
    },

    /** Sends a heartbeat; false if the member must rejoin. */
    async beat(): Promise<boolean> {
      const { code } = await ask(heartbeat, () => membership, Math.max(sessionTimeoutMs, 5000));
      if (code === 0) return true;
      const error = new KafkaProtocolError(code);
      if (!REJOIN.includes(error.type)) throw error;
      if (error.type === 'UNKNOWN_MEMBER_ID') membership = { ...membership, memberId: '' };
      return false;
    },

    async commit(topic: string, partition: number, next: bigint): Promise<void> {
      coordinator ??= await cluster.findCoordinator('group', groupId);
      const asked = { ...membership, topics: [{ topic, partitions: [{ partition, next }] }] };
      for (const { code } of await cluster.ask(coordinator, commitOffsets, asked, { lane: 'commit' }))
        assertDone(code, topic);
    },

    /** Leaves at once, so that the others need not wait for a timeout; failures do not matter. */
    async leave(): Promise<void> {
      if (coordinator === null || membership.memberId === '') return;
      await cluster.ask(coordinator, leaveGroup, membership, { lane: 'leave', timeoutMs: 1000 }).catch(() => undefined);
    },
  };
}

/** Partitions round robin to the members. */
function assign(members: readonly string[], partitions: ReadonlyMap<string, number>) {
  const inOrder = [...members].sort();
  const all = [...partitions].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  );
  return inOrder.map((memberId, nth) => {
    const mine = new Map<string, number[]>();
    for (const { topic, partition } of all.filter((_, at) => at % inOrder.length === nth))
      mine.set(topic, [...(mine.get(topic) ?? []), partition]);
    const writer = new ByteWriter();
    writer.int16(0);
    writer.list([...mine], ([topic, list]) => writer.text(topic).list(list, (partition) => writer.int32(partition)));
    return { memberId, assignment: toBytes(writer.int32(0)) };
  });
}

function encodeTopics(topics: readonly string[]): Buffer {
  const writer = new ByteWriter();
  writer.int16(0).list(topics, (topic) => writer.text(topic));
  return toBytes(writer.int32(0));
}

/** Without the length prefix of a request. */
const toBytes = (writer: ByteWriter) => Buffer.concat(writer.finish().slice(1));

function decodeAssignment(bytes: Buffer | null): Assignment {
  if (bytes === null || bytes.length === 0) return {};
  const reader = new ByteReader(bytes);
  reader.int16();
  return Object.fromEntries(reader.list(() => [reader.text(), reader.list(() => reader.int32())] as const));
}
