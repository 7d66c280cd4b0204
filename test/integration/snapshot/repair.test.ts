// Keys that are told again to repair what was made of them: rows as they are, deletes where there is none, each with what the repair is about.
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestSnapshot, type SnapshotRequest, waitForSnapshot } from '../../../connectors/snapshot/request.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createKafka, type Kafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import type { LogRecord } from '../../support/read-log.ts';

const MARK = 'crosswalk.repair';

let rig: ConnectorRig;
let kafka: Kafka;
beforeAll(async () => {
  rig = await createConnectorRig('repair', {
    tables: ['docs', 'pairs', 'names'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text);
      INSERT INTO docs SELECT i, 'old' FROM generate_series(1, 300) i;
      CREATE TABLE pairs (a integer, b text, label text, PRIMARY KEY (b, a));
      INSERT INTO pairs SELECT i, 'b' || i, 'old' FROM generate_series(1, 5) i;
      CREATE TABLE names (name text PRIMARY KEY, label text);
      INSERT INTO names VALUES ('constructor', 'old'), ('valueOf', 'old')`,
    env: { LOG_LEVEL: 'info', CROSSWALK_CHUNK_ROWS: '1000' },
  });
  kafka = createKafka(rig.config.kafka(), createLog('silent'));
});
afterAll(() => rig?.drop());

const ask = (request: SnapshotRequest) => requestSnapshot(rig.config, kafka, request);
const end = (id: string) =>
  waitForSnapshot(rig.config, kafka, id, { signal: new AbortController().signal, timeoutMs: 60_000 });

/** What the log holds behind where it ends now; and what it ends with after `work`. */
async function readSince(work: () => Promise<void>): Promise<LogRecord[]> {
  const topics = rig.config.tables.map((table) => topicOf(rig.config, table));
  const ends = await kafka.fetchOffsets(topics);
  await work();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  return log.filter(({ topic, partition, offset }) => offset >= ends.get(topic)![partition]!.high);
}

/** Records by key, shortened. */
function toText(records: readonly LogRecord[]): Record<string, string[]> {
  const found: Record<string, string[]> = Object.create(null);
  for (const { key, value, headers } of records) {
    const what = value === null ? 'tombstone' : `${value.op} ${value.after?.label ?? '-'}`;
    const texts = found[Object.values(JSON.parse(key) as object).join('/')] ?? [];
    found[Object.values(JSON.parse(key) as object).join('/')] = texts;
    texts.push(MARK in headers ? `${what} ${headers[MARK]}` : what);
  }
  return found;
}

test('each record carries its hint as it was given, and a key without a row is a delete', async () => {
  const connector = rig.run({ LOG_LEVEL: 'warn' });
  await rig.untilCaughtUp();
  const hint = { rows: { 'contacts "new"': ['7', 'ü'] }, refold: { customers: ['["a","b"]'] } };
  const records = await readSince(async () => {
    const keys = [['3'], ['999'], ['4'], ['998'], ['0003']];
    const result = await end(await ask({ table: 'docs', keys, repair: true, hints: { 3: hint, 999: hint, 5: hint } }));
    expect(result).toMatchObject({ state: 'done', rows: 4 });
    await end(await ask({ table: 'docs', keys: [['3'], ['997']] }));
    const pairs = [
      ['b1', '1'],
      ['b1', '9'],
      ['b"9,', '1'],
    ];
    await end(
      await ask({ table: 'pairs', keys: pairs, repair: true, hints: { '["b1","1"]': hint, '["b1","9"]': {} } }),
    );
    await end(await ask({ table: 'docs', where: 'id = 6', repair: true }));
    const names = [['constructor'], ['valueOf'], ['toString']];
    await end(await ask({ table: 'names', keys: names, repair: true, hints: { valueOf: hint } }));
    await rig.legacy.query(`UPDATE docs SET label = 'new' WHERE id = 4`);
    await rig.untilCaughtUp();
  });
  const text = JSON.stringify(hint);
  expect(toText(records)).toEqual({
    '3': [`r old ${text}`, 'r old'],
    '4': ['r old {}', 'u new'],
    '6': ['r old {}'],
    '998': ['d - {}', 'tombstone {}'],
    '999': [`d - ${text}`, `tombstone ${text}`],
    'b1/1': [`r old ${text}`],
    'b1/9': ['d - {}', 'tombstone {}'],
    'b"9,/1': ['d - {}', 'tombstone {}'],
    constructor: ['r old {}'],
    valueOf: [`r old ${text}`],
    toString: ['d - {}', 'tombstone {}'],
  });
  const gone = records.find(({ key, value }) => key === '{"id":"999"}' && value !== null)!;
  // Nothing but the key is known of it.
  expect(gone.value).toMatchObject({ before: null, after: null, transaction: null });
  expect(gone.value!.source).toMatchObject({ snapshot: 'incremental', txId: null });
  await connector.stop();
});

test('a key that the stream changes meanwhile is left to the stream', async () => {
  // A session that begins with no load: the second marker stands behind the chunk.
  const loading = rig.run({ LOG_LEVEL: 'warn' });
  await rig.untilCaughtUp();
  await loading.stop();
  const connector = startCli(['connect'], { ...rig.env, CROSSWALK_FAULTS: 'watermark.before=stall:3000@2' });
  try {
    await connector.untilSaid('"streaming"');
    const records = await readSince(async () => {
      const keys = ['10', '11', '12', '900', '901', '902', '13'].map((key) => [key]);
      const id = await ask({ table: 'docs', keys, repair: true });
      await connector.untilSaid('fault injected');
      for (const statement of [
        `UPDATE docs SET label = 'new' WHERE id = 10`,
        'DELETE FROM docs WHERE id = 11',
        'UPDATE docs SET id = 900 WHERE id = 12',
        `INSERT INTO docs VALUES (901, 'new')`,
        'DELETE FROM docs WHERE id = 901',
      ])
        await rig.legacy.query(statement);
      expect(await end(id)).toMatchObject({ state: 'done' });
    });
    expect(toText(records)).toEqual({
      '10': ['u new'],
      '11': ['d -', 'tombstone'],
      '12': ['d -', 'tombstone'],
      '13': ['r old {}'],
      '900': ['c old'],
      '901': ['c new', 'd -', 'tombstone'],
      '902': ['d - {}', 'tombstone {}'],
    });
  } finally {
    connector.child.kill('SIGKILL');
    await connector.ended;
  }
});

test('as many keys as a signal holds, in chunks: all of them, once', async () => {
  const connector = rig.run({ LOG_LEVEL: 'warn', CROSSWALK_CHUNK_ROWS: '70' });
  const records = await readSince(async () => {
    const keys = Array.from({ length: 1000 }, (_, at) => [String((at * 7) % 1000)]);
    const total = (await rig.legacy.query<{ count: string }>('SELECT count(*) FROM docs WHERE id < 1000')).rows[0]!;
    const result = await end(await ask({ table: 'docs', keys, repair: true }));
    expect(result).toMatchObject({ state: 'done', rows: 1000 });
    expect(Number(total.count)).toBeGreaterThan(250);
  });
  const counts = new Map<string, number>();
  for (const { key, value, headers } of records) {
    expect(headers[MARK]).toBe('{}');
    if (value !== null) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  expect(counts.size).toBe(1000);
  expect([...counts.values()].every((count) => count === 1)).toBe(true);
  const signal = { table: 'docs', keys: Array.from({ length: 1001 }, (_, at) => [String(at)]) };
  await expect(ask(signal)).rejects.toThrow('1 to 1000 keys');
  await connector.stop();
});

test('a row that does not fit into its topic together with its hint is a dead letter, and the others pass', async () => {
  const rig = await createConnectorRig('hints', {
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text);
      INSERT INTO docs SELECT i, repeat('x', 500) FROM generate_series(1, 3) i`,
    env: { LOG_LEVEL: 'silent' },
  });
  try {
    const admin = new kafkajs.Kafka({ brokers: rig.env.KAFKA_BROKERS!.split(',') }).admin();
    await admin.connect();
    const configEntries = [{ name: 'max.message.bytes', value: '2000' }];
    const topic = { topic: topicOf(rig.config, 'docs'), numPartitions: 3, replicationFactor: 1, configEntries };
    await admin.createTopics({ waitForLeaders: true, topics: [topic] });
    await admin.disconnect();
    const connector = rig.run();
    await rig.untilCaughtUp();
    const hints = { 2: { rows: { contacts: ['y'.repeat(1000)] } } };
    const id = await requestSnapshot(rig.config, kafka, {
      table: 'docs',
      keys: [['1'], ['2'], ['3']],
      repair: true,
      hints,
    });
    const signal = new AbortController().signal;
    expect(await waitForSnapshot(rig.config, kafka, id, { signal, timeoutMs: 60_000 })).toMatchObject({
      state: 'done',
    });
    expect(connector.status).toMatchObject({ state: 'streaming', deadLetters: 1 });
    const { log, differences } = await rig.readCheckedLog();
    expect(differences).toEqual([]);
    expect(
      log
        .filter(({ headers }) => MARK in headers)
        .map(({ key }) => key)
        .sort(),
    ).toEqual(['{"id":"1"}', '{"id":"3"}']);
    await connector.stop();
  } finally {
    await rig.drop();
  }
});
