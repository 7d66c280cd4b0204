// Kafka judges the times of records by its own clock, unless topics let it: what it refuses then, who says so, and that the remedy helps.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { examine } from '../../../cli/commands/doctor.ts';
import { topicSpecs } from '../../../connectors/topics.ts';
import { deadLetterTopicOf, signalTopicOf, topicOf, transactionTopicOf } from '../../../runtime/config.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { runCli } from '../../support/cli.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { crm } from '../../support/crm.ts';
import { type OwnKafka, startOwnKafka } from '../../support/own-kafka.ts';
import { alterTopic } from '../../support/topic-settings.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** The brokers' own coordinators, and the markers that end transactions, stay within it. */
const LIMIT_MS = 2000;
const LIMITED = { 'message.timestamp.before.max.ms': String(LIMIT_MS) };
let own: OwnKafka;
beforeAll(async () => {
  own = await startOwnKafka({
    'log.message.timestamp.before.max.ms': String(LIMIT_MS),
    'log.message.timestamp.after.max.ms': String(LIMIT_MS),
    'log.message.timestamp.type': 'CreateTime',
    'compression.type': 'gzip',
    'message.max.bytes': '200000',
  });
}, 120_000);
afterAll(() => own?.close());

const rigs: ConnectorRig[] = [];
afterAll(() => Promise.all(rigs.map((rig) => rig.drop())));

async function createRig(name: string): Promise<ConnectorRig> {
  const rig = await createConnectorRig(name, {
    kafkaBrokers: own.brokers,
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text); ALTER TABLE docs REPLICA IDENTITY FULL;
      INSERT INTO docs SELECT i, 'row ' || i FROM generate_series(1, 300) i`,
    env: { LOG_LEVEL: 'silent' },
  });
  rigs.push(rig);
  return rig;
}

const look = (rig: ConnectorRig) =>
  examine({ pipeline: crm, config: rig.config, log: createLog('silent'), signal: new AbortController().signal });
const topicLines = async (rig: ConnectorRig) =>
  (await look(rig))
    .filter(({ area, name, state }) => area === 'Kafka' && name === 'topics' && state === 'failing')
    .map(({ what, remedy }) => `${what}. ${remedy}`);

async function isWhole(rig: ConnectorRig): Promise<void> {
  const connector = rig.run();
  await rig.legacy.query(`INSERT INTO docs SELECT max(id) + 1, 'after' FROM docs`);
  await rig.untilCaughtUp();
  await connector.stop();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  expect(log.length).toBeGreaterThan(300);
}

const alter = (rig: ConnectorRig, topic: string, changed: Readonly<Record<string, string>>) =>
  alterTopic(rig.config, own.brokers, topic, changed);

/** Carries out "kafka-configs --alter --topic … --add-config …" of a remedy, on a topic that has these settings. */
async function carryOut(rig: ConnectorRig, remedy: string, has: Readonly<Record<string, string>>): Promise<void> {
  const [, topic, added] = /kafka-configs --alter --topic (\S+) --add-config (\S+)\.$/.exec(remedy)!;
  await alter(rig, topic!, { ...has, ...Object.fromEntries(added!.split(',').map((pair) => pair.split('='))) });
}

/** Runs a statement, and waits until its commit is older than topics of these brokers let records be. */
async function commitEarly(rig: ConnectorRig, statement: string): Promise<void> {
  await rig.legacy.query(statement);
  const committedMs = Date.now();
  await waitUntil('the commit is older than the limit', () => Date.now() - committedMs > LIMIT_MS * 1.5);
}

async function load(rig: ConnectorRig): Promise<void> {
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
}

test('topics that the connector makes take records of any time, whatever the defaults of the brokers are', async () => {
  const rig = await createRig('times_fresh');
  await load(rig);
  await commitEarly(rig, `INSERT INTO docs VALUES (4000, 'committed long before it is sent')`);
  await isWhole(rig);
  expect(await topicLines(rig)).toEqual([]);
  const kafka = createKafka(rig.config.kafka(), createLog('silent'));
  const specs = topicSpecs(rig.config);
  const settings = await kafka.fetchTopicSettings(specs.map(({ topic }) => topic));
  for (const { topic, config } of specs) expect(settings.get(topic)?.config).toMatchObject(config);
  expect(specs.every(({ config }) => config['compression.type'] === 'producer')).toBe(true);
  // Signals have the time of whoever asks.
  const connector = rig.run();
  const asked = await runCli(['snapshot', 'docs', '--key', '7', '--key', '7', '--yes'], rig.env);
  expect(asked).toMatchObject({ code: 0 });
  await connector.stop();
}, 180_000);

const places: [string, (rig: ConnectorRig) => string, string][] = [
  ['events', (rig) => topicOf(rig.config, 'docs'), `INSERT INTO docs VALUES (4000, 'early')`],
  ['boundaries', (rig) => transactionTopicOf(rig.config), `INSERT INTO docs VALUES (4000, 'early')`],
  ['letters', (rig) => deadLetterTopicOf(rig.config), `INSERT INTO docs VALUES (4000, repeat('x', 17000000))`],
];
test.for(places)(
  'a topic of %s with limits: refused, named by doctor in the same words, and healed',
  {
    timeout: 180_000,
  },
  async ([name, place, statement]) => {
    const rig = await createRig(`times_${name}`);
    const topic = place(rig);
    await load(rig);
    await alter(rig, topic, LIMITED);
    await commitEarly(rig, statement);
    const refused = await runCli(['connect'], rig.env);
    expect(refused).toMatchObject({ code: 2 });
    const lines = await topicLines(rig);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`Topic ${topic} has message.timestamp.before.max.ms=${LIMIT_MS}`);
    expect(refused.stderr.trim().split('\n').at(-1)).toBe(`crosswalk connect: ${lines[0]}`);
    await carryOut(rig, lines[0]!, LIMITED);
    if (name === 'letters') await rig.legacy.query(`UPDATE docs SET label = 'small' WHERE id = 4000`);
    await isWhole(rig);
    expect(await topicLines(rig)).toEqual([]);
  },
);

test('a topic of signals with limits: whoever asks is told', async () => {
  const rig = await createRig('times_signals');
  const first = rig.run();
  await rig.untilCaughtUp();
  // Nothing is older than it is when it arrives, by less than 1 ms; what is not in a transaction has no marker that would be refused too.
  const none = { 'message.timestamp.before.max.ms': '0' };
  await alter(rig, signalTopicOf(rig.config), none);
  const refused = await runCli(['snapshot', 'docs', '--key', '1', '--yes'], rig.env);
  expect(refused).toMatchObject({ code: 2 });
  const [line] = await topicLines(rig);
  expect(refused.stderr.trim()).toBe(`crosswalk snapshot: ${line}`);
  await carryOut(rig, line!, none);
  expect(await runCli(['snapshot', 'docs', '--key', '1', '--yes'], rig.env)).toMatchObject({ code: 0 });
  await first.stop();
}, 120_000);

test('doctor names every topic that has limits, and one that takes the time of Kafka instead', async () => {
  const rig = await createRig('times_append');
  await load(rig);
  const topics = topicSpecs(rig.config).map(({ topic }) => topic);
  for (const topic of topics) await alter(rig, topic, LIMITED);
  const lines = await topicLines(rig);
  expect(lines.map((line) => /^Topic (\S+) /.exec(line)?.[1])).toEqual(topics);
  for (const line of lines) await carryOut(rig, line, LIMITED);
  expect(await topicLines(rig)).toEqual([]);

  const events = topicOf(rig.config, 'docs');
  await alter(rig, events, { ...LIMITED, 'message.timestamp.type': 'LogAppendTime' });
  await commitEarly(rig, `INSERT INTO docs VALUES (4000, 'early')`);
  await load(rig);
  const { differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({
    differences: [],
    // What looks for changes by their time relies on it.
    faults: [expect.stringMatching(/"4000".*not at its commit's time$/)],
  });
  expect(await topicLines(rig)).toEqual([]);
  const found = (await look(rig)).filter(({ what }) => what.includes('LogAppendTime'));
  expect(found).toMatchObject([
    { state: 'warning', remedy: expect.stringContaining('message.timestamp.type=CreateTime') },
  ]);
}, 120_000);
