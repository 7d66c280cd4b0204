// Reading parts of partitions: committed records between two offsets, and nothing else.
import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKafka, type Kafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { kafkaSettings } from '../support/kafka-client.ts';
import { stackAddresses } from '../support/stack.ts';
import { waitUntil } from '../support/wait-until.ts';

const topic = `ranges_${randomBytes(4).toString('hex')}`;
let kafka: Kafka;
let ends: readonly bigint[];

beforeAll(async () => {
  const { kafkaBrokers } = stackAddresses();
  kafka = createKafka(kafkaSettings(kafkaBrokers), createLog('silent'));
  await kafka.ensureTopics([{ topic, partitions: 3, replicationFactor: -1, config: {} }]);
  await waitUntil('the topic is there', () =>
    kafka.fetchOffsets([topic]).then(
      (found) => found.has(topic),
      () => false,
    ),
  );
  const writer = await kafka.createLogWriter(topic, 60_000);
  const transaction = async (name: string, outcome: 'commit' | 'abort') => {
    await writer.begin();
    const record = (partition: number, index: number) => ({
      ...{ partition, key: Buffer.from(`${name}${index}`), value: Buffer.from(name), timestampMs: '1000' },
    });
    await writer.send(new Map([[topic, [0, 1, 2, 3].flatMap((index) => [record(1, index), record(2, index)])]]));
    await writer[outcome]();
  };
  await transaction('a', 'commit');
  await transaction('b', 'abort');
  await transaction('c', 'commit');
  await transaction('d', 'abort');
  await writer.close();
  ends = (await kafka.fetchOffsets([topic])).get(topic)!.map(({ high }) => high);
});
afterAll(async () => {
  const admin = new kafkajs.Kafka({ brokers: kafka.brokers.split(','), logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
});

async function read(ranges: readonly (readonly [number, bigint, bigint])[], most = Number.POSITIVE_INFINITY) {
  const found = new Map<number, string[]>();
  await kafka.readRanges(topic, new Map(ranges.map(([partition, from, to]) => [partition, { from, to }])), {
    signal: new AbortController().signal,
    onBatch: ({ partition, records }) => {
      const known = found.get(partition) ?? [];
      found.set(partition, [...known, ...records.map(({ offset, key }) => `${key}@${offset}`)]);
      return known.length < most;
    },
  });
  return Object.fromEntries(found);
}

test('committed records of the partitions asked for, each once and in order, up to an end behind aborted ones', async () => {
  const all = ['a0@0', 'a1@1', 'a2@2', 'a3@3', 'c0@10', 'c1@11', 'c2@12', 'c3@13'];
  expect(await read([[1, 0n, ends[1]!]])).toEqual({ 1: all });
  expect(
    await read([
      [2, 0n, ends[2]!],
      [1, 2n, 12n],
      [0, 0n, 0n],
    ]),
  ).toEqual({ 1: ['a2@2', 'a3@3', 'c0@10', 'c1@11'], 2: all });
  // From within aborted records to their end.
  expect(await read([[1, 5n, 9n]])).toEqual({});
  expect(await read([[1, 7n, 7n]])).toEqual({});
  expect(await read([[1, 3n, 4n]])).toEqual({ 1: ['a3@3'] });
});

test('an answer of false ends a partition, an error and the signal end it all', async () => {
  const ended = await read(
    [
      [1, 0n, ends[1]!],
      [2, 0n, ends[2]!],
    ],
    0,
  );
  expect(ended[1]![0]).toBe('a0@0');
  const ranges = new Map([[1, { from: 0n, to: ends[1]! }]]);
  const { signal } = new AbortController();
  const failing = () => {
    throw new Error('enough');
  };
  await expect(kafka.readRanges(topic, ranges, { signal, onBatch: failing })).rejects.toThrow('enough');
  const stopping = new AbortController();
  const stop = () => {
    stopping.abort(new Error('stopped'));
    return true;
  };
  // Behind the end nothing comes that would end it.
  const beyond = new Map([[1, { from: 0n, to: ends[1]! + 5n }]]);
  await expect(kafka.readRanges(topic, beyond, { signal: stopping.signal, onBatch: stop })).rejects.toThrow('stopped');
  await expect(kafka.readRanges(topic, ranges, { signal: stopping.signal, onBatch: stop })).rejects.toThrow('stopped');
});

test('the offsets of a time come before every record of that time', async () => {
  expect((await kafka.fetchOffsetsAt(topic, 1000))[1]).toBe(0n);
  // The first marker was written long after the records' time.
  expect((await kafka.fetchOffsetsAt(topic, 1001))[1]).toBe(4n);
  expect(await kafka.fetchOffsetsAt(topic, Date.now() + 3_600_000)).toEqual(ends);
});
