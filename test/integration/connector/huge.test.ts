import { readFileSync } from 'node:fs';
import kafkajs from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readSourceDeadLetters } from '../../../connectors/dead-letters.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

const MB = 1024 * 1024;
/** As large as a value gets on a server that the test shares, and larger than the longest string. */
const HUGE_MB = 530;

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
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, n integer, body text);
      INSERT INTO docs VALUES (1, 0, 'small'), (2, 0, repeat('x', ${HUGE_MB * MB})), (3, 0, 'small')`,
    env: { LOG_LEVEL: 'info', CROSSWALK_STALL_SECONDS: '60' },
  });
  try {
    let connector = await start(rig);
    await untilCaughtUp(rig, connector);
    expect(await openLetters(rig)).toEqual([`2 r ${HUGE_MB}`]);
    const loadMb = readPeakMb(connector.child.pid!);
    await rig.legacy.query('BEGIN');
    await rig.legacy.query('INSERT INTO docs VALUES (4, 0, $1)', ['before']);
    await rig.legacy.query('INSERT INTO docs SELECT 5, n, body FROM docs WHERE id = 2');
    await rig.legacy.query('INSERT INTO docs VALUES (6, 0, $1)', ['behind']);
    await rig.legacy.query('COMMIT');
    await untilCaughtUp(rig, connector);
    expect(await openLetters(rig)).toEqual([`2 r ${HUGE_MB}`, `5 c ${HUGE_MB}`]);
    const streamMb = readPeakMb(connector.child.pid!);
    console.log(`a row of ${HUGE_MB} MB: peak ${loadMb} MB to load it, ${streamMb} MB to stream it`);
    expect(loadMb).toBeLessThan(400);
    // The client library gathers a message in one buffer, that it doubles.
    expect(streamMb).toBeLessThan(2000);
    await stop(connector);
    connector = await start(rig);
    await rig.legacy.query(`UPDATE docs SET body = 'fits' WHERE id = 5`);
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

test('a change that PostgreSQL itself cannot send stops the connector, and says where it is and what helps', async () => {
  const rig = await createConnectorRig('unsendable', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY, bytes bytea)',
    env: { LOG_LEVEL: 'silent' },
  });
  try {
    const connector = rig.run();
    await rig.untilCaughtUp();
    // As text twice as long.
    await rig.legacy.query(`INSERT INTO docs VALUES (1, convert_to(repeat('x', ${520 * MB}), 'UTF8'))`);
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
