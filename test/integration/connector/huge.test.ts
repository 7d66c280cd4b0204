import { readFileSync } from 'node:fs';
import kafkajs from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readSourceDeadLetters } from '../../../connectors/dead-letters.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { readLog } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import { openTcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

const MB = 1024 * 1024;
/** So many times 80 MB of text, made and stored in no time: a bit takes one character. */
const bits = (times: number) =>
  `(SELECT ${Array.from({ length: times }, () => 'part').join(' || ')} FROM (SELECT B'0'::bit(${80 * MB})::bit varying AS part) AS parts)`;
/** Larger than the longest string. */
const HUGE_MB = 7 * 80;

const processes: CliProcess[] = [];
afterEach(async () => {
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
});

const openLetters = async (rig: ConnectorRig) =>
  (await readSourceDeadLetters(createKafka(rig.config.kafka(), createLog('silent')), rig.config)).map(
    ({ key, op, bytes }) => `${key} ${op} ${Math.floor(bytes / MB)}`,
  );
/** Most memory that a process ever had, in MB. */
const readPeakMb = (pid: number) =>
  Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024);

async function start(rig: ConnectorRig): Promise<CliProcess> {
  const connector = startCli(['connect'], rig.env);
  processes.push(connector);
  await connector.untilSaid('"streaming"');
  return connector;
}

/** Until everything is in the log, unless the connector ends first. */
function untilCaughtUp(rig: ConnectorRig, connector: CliProcess): Promise<void> {
  const died = connector.ended.then((code) => {
    throw new Error(`the connector ended with ${code}: ${connector.stderr().slice(-3000)}`);
  });
  return Promise.race([rig.untilCaughtUp(240_000), died]);
}

async function stop(connector: CliProcess): Promise<void> {
  connector.child.kill('SIGTERM');
  expect(await connector.ended).toBe(0);
}

async function createSmallTopics(rig: ConnectorRig, limit: number): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: stackAddresses().kafkaBrokers.split(',') }).admin();
  await admin.connect();
  const configEntries = [{ name: 'max.message.bytes', value: String(limit) }];
  const topics = rig.config.tables.map((table) => ({
    ...{ topic: topicOf(rig.config, table), numPartitions: 3, replicationFactor: 1, configEntries },
  }));
  await admin.createTopics({ waitForLeaders: true, topics });
  await admin.disconnect();
}

test('a value that no string can hold, streamed and read by the load: its row is a dead letter, and the others arrive', async () => {
  const rig = await createConnectorRig('huge', {
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, n integer, body bit varying);
      INSERT INTO docs VALUES (1, 0, B'01'), (2, 0, ${bits(7)}), (3, 0, B'')`,
    env: { LOG_LEVEL: 'info' },
  });
  try {
    let connector = await start(rig);
    await untilCaughtUp(rig, connector);
    expect(await openLetters(rig)).toEqual([`2 r ${HUGE_MB}`]);
    const loadMb = readPeakMb(connector.child.pid!);
    await rig.legacy.query('BEGIN');
    await rig.legacy.query('INSERT INTO docs VALUES (4, 0, $1)', ['100']);
    await rig.legacy.query('INSERT INTO docs SELECT 5, n, body FROM docs WHERE id = 2');
    await rig.legacy.query('INSERT INTO docs VALUES (6, 0, $1)', ['110']);
    await rig.legacy.query('COMMIT');
    await untilCaughtUp(rig, connector);
    expect(await openLetters(rig)).toEqual([`2 r ${HUGE_MB}`, `5 c ${HUGE_MB}`]);
    const streamMb = readPeakMb(connector.child.pid!);
    console.log(`a row of ${HUGE_MB} MB: peak ${loadMb} MB to load it, ${streamMb} MB to stream it`);
    expect(loadMb).toBeLessThan(400);
    expect(streamMb).toBeLessThan(600);
    await stop(connector);
    connector = await start(rig);
    await rig.legacy.query(`UPDATE docs SET body = B'101' WHERE id = 5`);
    await rig.legacy.query('DELETE FROM docs WHERE id = 2');
    await untilCaughtUp(rig, connector);
    expect(await openLetters(rig)).toEqual([]);
    expect((await rig.readCheckedLog()).differences).toEqual([]);
    await stop(connector);
    expect(connector.stderr()).not.toContain('unexpected');
  } finally {
    await rig.drop();
  }
}, 300_000);

describe('in a topic that holds 1 MB', () => {
  let rig: ConnectorRig;
  const large = (mb: number, of = 'x') => `repeat('${of}', ${mb * MB})`;
  beforeAll(async () => {
    rig = await createConnectorRig('large', {
      tables: ['docs'],
      schema: `CREATE TABLE docs (id integer PRIMARY KEY, n integer, body text, bytes bytea, doc jsonb, list text[]);
        INSERT INTO docs (id, n, body) SELECT i, 0, 'small' FROM generate_series(1, 500) i;
        UPDATE docs SET body = ${large(40)} WHERE id = 100;
        UPDATE docs SET bytes = convert_to(${large(20)}, 'UTF8') WHERE id = 200;
        UPDATE docs SET doc = jsonb_build_object('a', ${large(20)}) WHERE id = 300;
        UPDATE docs SET list = ARRAY[${large(10)}, ${large(10, '"')}] WHERE id = 400;
        UPDATE docs SET body = repeat('b', ${MB / 2}), bytes = decode(repeat('00', ${MB / 4}), 'hex') WHERE id = 500`,
      env: { LOG_LEVEL: 'info' },
    });
    await createSmallTopics(rig, MB);
  });
  afterAll(() => rig?.drop());

  test('every way that a large cell comes, stays and goes', async () => {
    const { legacy } = rig;
    let connector = await start(rig);
    await untilCaughtUp(rig, connector);
    const loaded = ['100 r 40', '200 r 20', '300 r 20', '400 r 30'];
    expect((await openLetters(rig)).sort()).toEqual(loaded);
    const differences = async () => (await rig.readCheckedLog()).differences.sort();
    expect(await differences()).toEqual(
      ['100', '200', '300', '400'].map((id) => `docs {"id":"${id}"}: not in the log`),
    );
    // Read again on request, by key and by a condition: the letter is the same, and the snapshot gets to its end.
    for (const selection of [
      ['--key', '100', '101'],
      ['--where', 'id BETWEEN 299 AND 301'],
    ]) {
      const snapshot = startCli(['snapshot', 'docs', ...selection, '--yes'], rig.env);
      processes.push(snapshot);
      expect(`${await snapshot.ended} ${snapshot.stderr()}`).toMatch(/^0 /);
    }
    await untilCaughtUp(rig, connector);
    expect((await openLetters(rig)).sort()).toEqual(loaded);
    // Streamed: put in, another column changed, replaced, its key moved, deleted.
    for (const id of [1001, 1002, 1003, 1004, 1005])
      await legacy.query(`INSERT INTO docs (id, n, body) VALUES (${id}, 0, ${large(3)})`);
    await legacy.query('UPDATE docs SET n = 1 WHERE id = 1002');
    await legacy.query(`UPDATE docs SET body = ${large(4, 'y')} WHERE id = 1003`);
    await legacy.query('UPDATE docs SET id = 2004 WHERE id = 1004');
    await legacy.query('DELETE FROM docs WHERE id = 1005');
    // Of a row that was in the log before.
    await legacy.query(`UPDATE docs SET body = ${large(5)} WHERE id IN (1, 2)`);
    await legacy.query('DELETE FROM docs WHERE id = 2');
    // Twice as long as text, and yet it fits.
    await legacy.query(`UPDATE docs SET bytes = decode(repeat('ab', ${(MB * 3) / 4}), 'hex') WHERE id = 3`);
    await legacy.query('UPDATE docs SET n = 2 WHERE id IN (100, 200, 300, 400)');
    await untilCaughtUp(rig, connector);
    expect((await openLetters(rig)).sort()).toEqual(
      ['1 u 5', '100 u 40', '1001 c 3', '1002 u 3', '1003 u 4', '200 u 20', '2004 c 3', '300 u 20', '400 u 30'].sort(),
    );
    // The old row of a delete is whole, or not there.
    const { log } = await rig.readCheckedLog();
    const deleted = log.flatMap(({ value }) => (value?.op === 'd' ? [value.before?.body] : []));
    expect(deleted).toEqual([undefined, undefined, undefined]);
    await stop(connector);
    connector = await start(rig);
    await legacy.query(`UPDATE docs SET body = 'fits', bytes = NULL, doc = NULL, list = NULL WHERE id <= 1002`);
    await legacy.query('DELETE FROM docs WHERE id >= 1003');
    await untilCaughtUp(rig, connector);
    expect(await openLetters(rig)).toEqual([]);
    expect(await differences()).toEqual([]);
    console.log(`rows of 40 MB: peak ${readPeakMb(connector.child.pid!)} MB`);
    await stop(connector);
  });
});

test('a large message that comes slowly is progress, and keeps the slot', async () => {
  const server = new URL(stackAddresses().legacyAdminUrl);
  const proxy = await openTcpProxy(Number(server.port));
  const rig = await createConnectorRig('slow', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY, body text)',
    env: { LOG_LEVEL: 'silent' },
  });
  const address = new URL(rig.env.LEGACY_DATABASE_URL!);
  address.port = String(proxy.port);
  try {
    await createSmallTopics(rig, MB);
    const connector = rig.run({ LEGACY_DATABASE_URL: address.href });
    await rig.untilCaughtUp();
    const readOwner = async () => {
      const { rows } = await rig.legacy.query<{ pid: string }>(
        'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
        [rig.config.slot],
      );
      return rows[0]!.pid;
    };
    const owner = await readOwner();
    let idleMs = 0;
    const timer = setInterval(() => {
      idleMs = Math.max(idleMs, performance.now() - connector.status.lastProgressMs);
    }, 50);
    // For longer than the server waits for a sign of life.
    proxy.slowDown(3 * MB);
    const startedAtMs = performance.now();
    await rig.legacy.query(`INSERT INTO docs VALUES (1, repeat('x', ${24 * MB}))`);
    await rig.untilCaughtUp();
    clearInterval(timer);
    expect(performance.now() - startedAtMs).toBeGreaterThan(6000);
    expect(await openLetters(rig)).toEqual(['1 c 24']);
    expect(idleMs).toBeLessThan(5000);
    expect(await readOwner()).toBe(owner);
  } finally {
    await rig.drop();
    await proxy.close();
  }
});

test('a row that PostgreSQL itself cannot send is a dead letter of the load; a change stops the connector, and says where it is and what helps', async () => {
  const rig = await createConnectorRig('unsendable', {
    tables: ['docs'],
    // A text of 1,040 MB, which PostgreSQL has no memory for.
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, a bit varying, b bit varying);
      INSERT INTO docs (id) SELECT i FROM generate_series(1, 50) i;
      UPDATE docs SET a = ${bits(13)} WHERE id = 30`,
    env: { LOG_LEVEL: 'silent' },
  });
  try {
    const connector = rig.run();
    await rig.untilCaughtUp();
    expect(await openLetters(rig)).toEqual([expect.stringMatching(/^30 r /)]);
    expect(await readLog(stackAddresses(), [topicOf(rig.config, 'docs')])).toHaveLength(49);
    await rig.legacy.query(`INSERT INTO docs VALUES (51, ${bits(7)}, ${bits(7)})`);
    const stopped = await connector.ended;
    expect(stopped).toMatchObject({ code: 'change_too_large', remedy: expect.stringContaining('resnapshot --skip') });
    expect((stopped as Error).message).toMatch(/at [0-9A-F]+\/[0-9A-F]+: .*more than 1 GB/);
    await waitUntil('the slot is free', async () => {
      const { rows } = await rig.legacy.query(
        'SELECT active::text FROM pg_replication_slots WHERE slot_name = $1 AND active',
        [rig.config.slot],
      );
      return rows.length === 0;
    });
  } finally {
    await rig.drop();
  }
});
