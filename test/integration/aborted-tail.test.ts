// Records of an aborted transaction at the end of a partition never reach a handler of the client library: whoever reads to the end must not wait for them.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKafka, type LogWriter } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { kafkaSettings } from '../support/kafka-client.ts';
import { stackAddresses } from '../support/stack.ts';

const topic = `aborted_${randomBytes(4).toString('hex')}`;
const kafka = () => createKafka(kafkaSettings(stackAddresses().kafkaBrokers), createLog('silent'));
let writer: LogWriter;
beforeAll(async () => {
  await kafka().ensureTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
  writer = await kafka().createLogWriter(topic, 60_000);
});
afterAll(() => writer?.close());

async function write(values: readonly string[], end: 'commit' | 'abort'): Promise<void> {
  await writer.begin();
  const records = values.map((value) => ({
    partition: 0,
    key: Buffer.from('slot'),
    value: Buffer.from(value),
    timestampMs: '0',
  }));
  await writer.send(new Map([[topic, records]]));
  await writer[end]();
}

test('a topic whose end was aborted is read to its last committed record, and no further', async () => {
  await write(['first', 'second'], 'commit');
  await write(
    Array.from({ length: 50 }, (_, index) => `aborted ${index}`),
    'abort',
  );
  expect((await kafka().readLast(topic, 'slot'))?.value?.toString()).toBe('second');
  const all: string[] = [];
  await kafka().readAll(topic, ({ value }) => all.push(value!.toString()));
  expect(all).toEqual(['first', 'second']);
  await write(['third'], 'commit');
  await write(['aborted again'], 'abort');
  expect((await kafka().readLast(topic, 'slot'))?.value?.toString()).toBe('third');
});
