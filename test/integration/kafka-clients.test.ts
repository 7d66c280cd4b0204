// Both Kafka clients on the same brokers: they share groups, and end each other's sessions.
import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKafka, type OutRecord } from '../../runtime/kafka.ts';
import { findBrokerError } from '../../runtime/kafka-refusals.ts';
import { createLog } from '../../runtime/log.ts';
import { kafkaSettings } from '../support/kafka-client.ts';
import { stackAddresses } from '../support/stack.ts';
import { waitUntil } from '../support/wait-until.ts';

const PARTITIONS = 4;
const { kafkaBrokers } = stackAddresses();
const open = (client: 'direct' | 'kafkajs') =>
  createKafka({ ...kafkaSettings(kafkaBrokers), client }, createLog('silent'));
const direct = open('direct');
const library = open('kafkajs');
const topic = `clients-${randomBytes(6).toString('hex')}`;
const toRecord = (value: string, partition = 0): OutRecord => ({
  ...{ partition, key: null, value: Buffer.from(value), timestampMs: '1' },
});

beforeAll(() => direct.ensureTopics([{ topic, partitions: PARTITIONS, replicationFactor: 1, config: {} }]));
afterAll(async () => {
  const admin = new kafkajs.Kafka({ brokers: kafkaBrokers.split(','), logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
});

/** A member, and what it has. */
async function join(kafka: typeof direct, groupId: string) {
  const member = { partitions: [] as readonly number[], values: [] as string[], crashes: [] as Error[] };
  const consumer = await kafka.createGroupConsumer({
    ...{ groupId, topics: [topic], concurrency: 10, sessionTimeoutMs: 10_000 },
    onAssigned: (partitions) => {
      member.partitions = partitions[topic] ?? [];
    },
    startOffset: async () => 0n,
    onBatch: async ({ records }) => {
      member.values.push(...records.map(({ value }) => String(value)));
      return null;
    },
    onCrash: (error) => member.crashes.push(error),
  });
  return Object.assign(member, { close: () => consumer.close() });
}

test('a group is shared out among members with either client, whoever leads it, and each value comes to one of them', async () => {
  const groupId = `${topic}.group`;
  const members = [await join(direct, groupId), await join(library, groupId), await join(direct, groupId)];
  const all = () => members.flatMap(({ partitions }) => partitions).sort();
  const isSharedOut = () => members.every(({ partitions }) => partitions.length > 0);
  await waitUntil('each has partitions', () => isSharedOut() && all().join() === '0,1,2,3');
  const writer = await direct.createLogWriter(`${topic}.group`, 60_000);
  await writer.begin();
  const values = Array.from({ length: PARTITIONS }, (_, partition) => `value ${partition}`);
  await writer.send(new Map([[topic, values.map(toRecord)]]));
  await writer.commit();
  const told = () => members.flatMap((member) => member.values).sort();
  await waitUntil('all is read', () => told().length >= PARTITIONS);
  expect(told()).toEqual(values);
  // The one that leads leaves: another one leads, with the other client.
  const [first, ...left] = members;
  await first!.close();
  await waitUntil('the others have all', () => left.flatMap(({ partitions }) => partitions).length === PARTITIONS);
  await Promise.all(left.map((member) => member.close()));
  expect(members.flatMap(({ crashes }) => crashes)).toEqual([]);
  await writer.close();
});

test.each([
  ['direct', 'kafkajs'],
  ['kafkajs', 'direct'],
  ['direct', 'direct'],
] as const)('what a writer (%s) has open is aborted by a later one (%s), and it can write no more', async (of, by) => {
  const id = `${topic}.${of}.${by}`;
  const older = await open(of).createLogWriter(id, 60_000);
  await older.begin();
  const [sent] = await older.send(new Map([[topic, [toRecord('lost', 1)]]]));
  const newer = await open(by).createLogWriter(id, 60_000);
  await newer.begin();
  const refused = [() => older.send(new Map([[topic, [toRecord('late', 2)]]])), () => older.commit()];
  for (const write of refused) {
    const error = await write().catch((thrown: unknown) => thrown);
    expect(findBrokerError(error)?.type).toMatch(/^(INVALID_PRODUCER_EPOCH|PRODUCER_FENCED)$/);
  }
  const [kept] = await newer.send(new Map([[topic, [toRecord('kept', 1)]]]));
  await newer.commit();
  await waitUntil(
    'it is committed',
    async () => (await direct.fetchOffsets([topic])).get(topic)![1]!.high > kept!.baseOffset,
  );
  const found: string[] = [];
  const range = { from: sent!.baseOffset, to: kept!.baseOffset + 1n };
  for (const kafka of [direct, library])
    await kafka.readRanges(topic, new Map([[1, range]]), {
      signal: new AbortController().signal,
      onBatch: ({ records }) => void found.push(...records.map(({ value }) => String(value))),
    });
  expect(found).toEqual(['kept', 'kept']);
  await older.close();
  await newer.close();
});

test('a writer that is closed gives up at once what it tries again', async () => {
  const writer = await direct.createLogWriter(`${topic}.closed`, 60_000);
  await writer.begin();
  // A topic that is not there may be there soon.
  const sent = writer.send(new Map([[`${topic}.missing`, [toRecord('x')]]]));
  const refused = expect(sent).rejects.toThrow('Closed connection');
  await writer.close();
  await refused;
}, 15_000);
