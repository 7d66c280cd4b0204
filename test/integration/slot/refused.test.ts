import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodePosition } from '../../../connectors/position.ts';
import { positionTopicOf, topicOf } from '../../../runtime/config.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { untilSlotIsFree } from '../../support/slot.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
const others: string[] = [];
const newName = () => {
  const name = `other_${randomBytes(4).toString('hex')}`;
  others.push(name);
  return name;
};
const kafka = () =>
  new kafkajs.Kafka({ brokers: stackAddresses().kafkaBrokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
const quoted = () => pg.escapeLiteral(rig.config.slot);

/** Runs beside the other tests: most of it is waiting. */
let afterDeletedTopic: ReturnType<typeof deleteDataTopic>;
beforeAll(async () => {
  afterDeletedTopic = deleteDataTopic();
  afterDeletedTopic.catch(() => undefined);
  rig = await createConnectorRig('slot', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY); INSERT INTO docs SELECT generate_series(1, 20)',
  });
});
afterAll(async () => {
  await afterDeletedTopic?.catch(() => undefined);
  for (const name of others)
    await rig.legacy.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active',
      [name],
    );
  await rig?.drop();
});

const refusal = async (overrides: Readonly<Record<string, string>> = {}) => {
  const error = (await rig.run(overrides).ended) as Error & { code: string; remedy: string };
  return { code: error.code, text: `${error.message} ${error.remedy}` };
};
const isFailoverSlot = async (slot: string) =>
  (
    await rig.legacy.query<{ failover: string }>('SELECT failover FROM pg_replication_slots WHERE slot_name = $1', [
      slot,
    ])
  ).rows[0]?.failover;

/** Runs it until all is in the log, then has it leave a change for the next one. */
async function runOnce(): Promise<void> {
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
  await rig.legacy.query('INSERT INTO docs SELECT max(id) + 1 FROM docs');
}

test('a new slot, and one of before, is kept on standbys', async () => {
  await rig.legacy.query(`SELECT pg_create_logical_replication_slot(${quoted()}, 'pgoutput')`);
  expect(await isFailoverSlot(rig.config.slot)).toBe('f');
  await runOnce();
  expect(await isFailoverSlot(rig.config.slot)).toBe('t');
  const slot = newName();
  const connector = rig.run({ CROSSWALK_SLOT: slot, CROSSWALK_TOPIC_PREFIX: slot });
  await waitUntil('there is a new slot', async () => (await isFailoverSlot(slot)) === 't');
  await connector.stop().catch(() => undefined);
});

test.each([
  ['physical', 'SELECT pg_create_physical_replication_slot($1)', /is a physical one.*CROSSWALK_SLOT/],
  [
    'of another plugin',
    `SELECT pg_create_logical_replication_slot($1, 'test_decoding')`,
    /uses test_decoding.*CROSSWALK_SLOT/,
  ],
  [
    'of another database',
    `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`,
    /belongs to database \w+_legacy, this is postgres.*LEGACY_DATABASE_URL/,
  ],
])('a slot of this name that is %s is refused', async (kind, statement, expected) => {
  const slot = newName();
  await rig.legacy.query(statement, [slot]);
  const overrides: Record<string, string> = { CROSSWALK_SLOT: slot };
  if (kind === 'of another database') {
    const url = new URL(rig.env.LEGACY_DATABASE_URL!);
    url.pathname = '/postgres';
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    const [schema, table] = [newName(), 'docs'];
    try {
      await client.query(`CREATE SCHEMA ${schema} CREATE TABLE ${table} (id integer PRIMARY KEY)`);
      await client.query(`ALTER TABLE ${schema}.${table} REPLICA IDENTITY FULL`);
      await client.query(`CREATE PUBLICATION ${schema} FOR TABLE ${schema}.${table}`);
      Object.assign(overrides, {
        LEGACY_DATABASE_URL: url.href,
        CROSSWALK_LEGACY_SCHEMA: schema,
        CROSSWALK_PUBLICATION: schema,
      });
      expect(await refusal(overrides)).toMatchObject({ code: 'slot_invalid', text: expect.stringMatching(expected) });
    } finally {
      await client.query(`DROP SCHEMA ${schema} CASCADE`);
      await client.query(`DROP PUBLICATION ${schema}`);
      await client.end();
    }
    return;
  }
  expect(await refusal(overrides)).toMatchObject({ code: 'slot_invalid', text: expect.stringMatching(expected) });
});

test('a position that was copied from another Kafka cluster, database or server is refused', async () => {
  const position = (await rig.readPosition())!;
  const producer = kafka().producer();
  await producer.connect();
  const store = async (bound: typeof position.bound) => {
    const value = encodePosition({ ...position, bound });
    await producer.send({
      topic: positionTopicOf(rig.config),
      messages: [{ key: rig.config.slot, value, partition: 0 }],
    });
  };
  try {
    for (const [field, label] of [
      ['clusterId', 'Kafka cluster'],
      ['systemId', 'system identifier'],
      ['database', 'database'],
    ] as const) {
      await store({ ...position.bound, [field]: 'another' });
      expect(await refusal()).toMatchObject({
        code: 'position_mismatch',
        text: expect.stringMatching(
          new RegExp(`reached with ${label} another, this is .*"Another source or another Kafka"`),
        ),
      });
    }
    await store(position.bound);
  } finally {
    await producer.disconnect();
  }
  await runOnce();
});

test('a slot that something else has read is refused', async () => {
  const position = (await rig.readPosition())!;
  await untilSlotIsFree(rig.legacy, rig.config.slot);
  await rig.legacy.query(
    `SELECT pg_logical_slot_get_binary_changes(${quoted()}, NULL, NULL, 'proto_version', '1', 'publication_names', 'crosswalk')`,
  );
  const refused = {
    code: 'position_mismatch',
    text: expect.stringMatching(/confirmed up to \w+\/\w+, past the stored position.*"A lost slot"/),
  };
  expect(await refusal()).toMatchObject(refused);
  expect((await rig.readPosition())!.lsn).toBe(position.lsn);
});

test('a slot that was dropped and made again is refused, at every start', async () => {
  await untilSlotIsFree(rig.legacy, rig.config.slot);
  await rig.legacy.query(`SELECT pg_drop_replication_slot(${quoted()})`);
  await rig.legacy.query(`SELECT pg_create_logical_replication_slot(${quoted()}, 'pgoutput')`);
  const refused = { code: 'position_mismatch', text: expect.stringMatching(/confirmed up to .*"A lost slot"/) };
  expect(await refusal()).toMatchObject(refused);
  expect(await refusal()).toMatchObject(refused);
});

test('a deleted data topic is refused', async () => {
  // The start makes the topic again, and is not fooled by that.
  const error = await afterDeletedTopic;
  expect(error).toMatchObject({ code: 'position_mismatch' });
  expect(`${error.message} ${error.remedy}`).toMatch(
    /ends before the stored position.*"Another source or another Kafka"/,
  );
});

/** What a start after the deletion of the data topic ends with: it gives Kafka time to settle first. */
async function deleteDataTopic(): Promise<Error & { remedy: string }> {
  const own = await createConnectorRig('topic', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY); INSERT INTO docs SELECT generate_series(1, 20)',
  });
  try {
    const connector = own.run();
    await own.untilCaughtUp();
    await connector.stop();
    const admin = kafka().admin();
    await admin.connect();
    const topic = topicOf(own.config, 'docs');
    await admin.deleteTopics({ topics: [topic] });
    await waitUntil('the topic is gone', async () => !(await admin.listTopics()).includes(topic));
    await admin.disconnect();
    return (await own.run().ended) as Error & { remedy: string };
  } finally {
    await own.drop();
  }
}
