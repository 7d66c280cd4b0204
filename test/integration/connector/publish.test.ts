// Events and the position that they reach are in one Kafka transaction, however many sends it takes.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Position } from '../../../connectors/position.ts';
import { createPublisher } from '../../../connectors/publish.ts';
import { createKafka, type LogWriter } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { kafkaSettings } from '../../support/kafka-client.ts';
import { readCommitted } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';

const id = `publish_${randomBytes(4).toString('hex')}`;
const [events, positions] = [`${id}.events`, `${id}.positions`];
const position: Omit<Position, 'offsets'> = {
  bound: { systemId: '', timeline: 1, database: '', slot: '', clusterId: '' },
  lsn: 100n,
  sourceMicros: 0n,
  unseenXids: [],
  snapshot: {},
};
let writer: LogWriter;
const calls: string[] = [];

beforeAll(async () => {
  const kafka = createKafka(kafkaSettings(stackAddresses().kafkaBrokers), createLog('silent'));
  await kafka.ensureTopics(
    [events, positions].map((topic) => ({ topic, partitions: 1, replicationFactor: 1, config: {} })),
  );
  writer = await kafka.createLogWriter(id, 30_000);
});
afterAll(() => writer?.close());

test('in one, with each send after the one before', async () => {
  const watched: LogWriter = {
    begin: () => {
      calls.push('begin');
      return writer.begin();
    },
    send: (records) => {
      calls.push(`send ${[...records.keys()].map((topic) => topic.split('.')[1]).join()}`);
      return writer.send(records);
    },
    commit: () => {
      calls.push('commit');
      return writer.commit();
    },
    abort: () => writer.abort(),
    close: () => writer.close(),
  };
  const publisher = createPublisher(watched, {
    positionTopic: positions,
    positionKey: 'slot',
    offsets: { [events]: ['0'] },
    limits: new Map(),
    timeoutMs: 30_000,
  });
  for (let transaction = 1; transaction <= 2; transaction++) {
    for (let record = 0; record < 3; record++) {
      const value = randomBytes(400_000);
      publisher.append(events, { partition: 0, key: Buffer.from('k'), value, timestampMs: '0' });
    }
    expect(publisher.isFull()).toBe(true);
    await publisher.flush();
    publisher.append(events, { partition: 0, key: Buffer.from('k'), value: null, timestampMs: '0' });
    const reached = await publisher.commit(position);
    // A transaction's end takes an offset as well.
    expect(reached.offsets).toEqual({ [events]: [String(4 * transaction + transaction - 1)] });
  }
  const once = ['begin', 'send events', 'send events', 'send events', 'send positions', 'commit'];
  expect(calls).toEqual([...once, ...once]);
  const offsets = (await readCommitted(stackAddresses().kafkaBrokers, [events])).map(({ message }) => message.offset);
  expect(offsets).toEqual(['0', '1', '2', '3', '5', '6', '7', '8']);
});
