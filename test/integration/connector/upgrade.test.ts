// A connector that goes on where one of an earlier version stopped: from its position, in the middle of the initial load and after it, and under its schemas.
import kafkajs from 'kafkajs';
import { afterAll, afterEach, expect, test } from 'vitest';
import { positionTopicOf, topicOf } from '../../../runtime/config.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { createRegistry } from '../../../schemas/avro/registry.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { KEY_SCHEMA, POSITIONS, TABLE, VALUE_SCHEMA } from '../../support/written-before.ts';

const ROWS = 2000;
const rigs: ConnectorRig[] = [];
const registry = () => createRegistry({ baseUrl: stackAddresses().registryUrl });
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => Promise.all(rigs.map((rig) => rig.drop())));

type Raw = Record<string, unknown> & { bound: Record<string, unknown> };

/** Stores the last position again, with these fields alone. */
async function storeAs(rig: ConnectorRig, shape: (typeof POSITIONS)[number]): Promise<Raw> {
  const stored = await createKafka(rig.config.kafka(), createLog('silent')).readLast(
    positionTopicOf(rig.config),
    rig.config.slot,
  );
  const raw = JSON.parse(stored!.value!.toString()) as Raw;
  const only = (record: Record<string, unknown>, fields: readonly string[]) =>
    Object.fromEntries(Object.entries(record).filter(([field]) => fields.includes(field)));
  const older = { ...only(raw, shape.fields), bound: only(raw.bound, shape.bound) };
  const producer = new kafkajs.Kafka({ brokers: rig.env.KAFKA_BROKERS!.split(',') }).producer();
  await producer.connect();
  closing.push(() => producer.disconnect());
  await producer.send({
    topic: positionTopicOf(rig.config),
    messages: [{ key: rig.config.slot, value: JSON.stringify(older), partition: 0 }],
  });
  return older;
}

const change = async (rig: ConnectorRig, round: number) => {
  await rig.legacy.query(`UPDATE docs SET note = 'round ' || $1::text WHERE id % 7 = 0`, [String(round)]);
  await rig.legacy.query('DELETE FROM docs WHERE id % 11 = $1::int', [String(round)]);
  await rig.legacy.query(`INSERT INTO docs SELECT max(id) + 1, 'new', now(), 'NaN', 1 FROM docs`);
};

test.each(POSITIONS.map((shape, index) => [index + 1, shape] as const))(
  'from the position of version %i, nothing is lost and nothing doubled',
  async (_, shape) => {
    const rig = await createConnectorRig('upgrade', {
      tables: ['docs'],
      schema: `${TABLE}; INSERT INTO docs SELECT i, md5(i::text), to_timestamp(i), i / 7.0, i FROM generate_series(1, ${ROWS}) i`,
      env: { CROSSWALK_CHUNK_ROWS: '10' },
    });
    rigs.push(rig);
    const topic = topicOf(rig.config, 'docs');
    const schemas = registry();
    closing.push(() => schemas.close());
    const asRegistered = (schema: object) => JSON.parse(JSON.stringify(schema).replaceAll('TOPIC', topic)) as object;
    await schemas.register(`${topic}-key`, asRegistered(KEY_SCHEMA));
    const before = await schemas.register(`${topic}-value`, asRegistered(VALUE_SCHEMA));

    const first = rig.run();
    await waitUntil('it is in the middle of its load', async () => {
      const rows = (await rig.readPosition())?.snapshot.docs?.rows ?? 0;
      return rows > 100;
    });
    await first.stop();
    const older = await storeAs(rig, shape);
    expect(older).toMatchObject({ snapshot: { docs: { done: false } } });
    expect(Object.keys(older).sort()).toEqual([...shape.fields].sort());
    await change(rig, 1);
    const second = rig.run();
    await rig.untilCaughtUp();
    await change(rig, 2);
    await rig.untilCaughtUp();
    await second.stop();

    await storeAs(rig, shape);
    await change(rig, 3);
    const third = rig.run();
    await rig.untilCaughtUp();
    await third.stop();
    const { differences, faults } = await rig.readCheckedLog();
    expect({ differences, faults }).toEqual({ differences: [], faults: [] });
    // What it lacked is there again.
    expect(await rig.readPosition()).toMatchObject({ source: expect.anything(), last: expect.any(String) });
    expect(await schemas.register(`${topic}-value`, asRegistered(VALUE_SCHEMA))).toBe(before);
  },
);
