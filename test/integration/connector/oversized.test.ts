import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSourceDeadLetters } from '../../../connectors/dead-letters.ts';
import { deadLetterTopicOf, topicOf } from '../../../runtime/config.ts';
import type { CrosswalkError } from '../../../runtime/errors.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { readCommitted } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

const MB = 1024 * 1024;
/** Text that hardly compresses and stands out in whatever holds it. */
const bodyOf = (bytes: number) =>
  randomBytes(Math.ceil((bytes * 3) / 4))
    .toString('base64')
    .slice(0, bytes);
const openLetters = (rig: ConnectorRig) =>
  readSourceDeadLetters(createKafka(rig.config.kafka(), createLog('silent')), rig.config);

describe('rows around the limit of 16 MiB', () => {
  let rig: ConnectorRig;
  const insert = (id: number, bytes: number) =>
    rig.legacy.query(`INSERT INTO docs VALUES ($1, 'as inserted', $2)`, [String(id), bodyOf(bytes)]);
  const openKeys = async () => (await openLetters(rig)).map(({ key }) => key);
  beforeAll(async () => {
    rig = await createConnectorRig('oversized', {
      tables: ['docs'],
      schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text, body text); ALTER TABLE docs ALTER body SET STORAGE EXTERNAL`,
      env: { CROSSWALK_ON_TRUNCATE: 'stop', LOG_LEVEL: 'silent' },
    });
  });
  afterAll(() => rig?.drop());

  test('10 MB pass, 20 MB are dead letters with their key, and whatever makes the row fit again settles them', async () => {
    const { legacy } = rig;
    // Read by the initial load.
    await insert(1, 100);
    await insert(2, 10 * MB);
    await insert(3, 20 * MB);
    let connector = rig.run();
    await rig.untilCaughtUp();
    expect(await openLetters(rig)).toEqual([
      {
        ...{ topic: topicOf(rig.config, 'docs'), table: 'public.docs', key: '3', op: 'r', xid: null },
        // Its place in its chunk.
        ordinal: expect.any(Number),
        bytes: expect.toSatisfy((bytes: number) => bytes > 20 * MB && bytes < 20 * MB + 1000),
        limit: expect.toSatisfy((limit: number) => limit > 15.9 * MB && limit < 16 * MB),
        commitLsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
        committedMicros: expect.stringMatching(/^\d{16}$/),
      },
    ]);
    // Streamed.
    await insert(4, 15.9 * MB);
    await legacy.query(`UPDATE docs SET label = 'old and new row are too large together' WHERE id = 4`);
    await legacy.query('UPDATE docs SET body = $1 WHERE id = 2', [bodyOf(17 * MB)]);
    await insert(5, 17 * MB);
    await legacy.query('UPDATE docs SET id = 6 WHERE id = 5');
    await legacy.query('BEGIN');
    await legacy.query(`UPDATE docs SET label = 'before it' WHERE id = 1`);
    await insert(7, 17 * MB);
    await legacy.query(`UPDATE docs SET label = 'after it' WHERE id = 1`);
    await legacy.query('COMMIT');
    await rig.untilCaughtUp();
    expect((await openLetters(rig)).map(({ key, op, ordinal }) => [key, op, ordinal])).toEqual([
      ['3', 'r', expect.any(Number)],
      ['2', 'u', 0],
      ['6', 'c', 1],
      ['7', 'c', 1],
    ]);
    expect(connector.status).toMatchObject({ deadLetters: 5, deadLettersOpen: 4 });
    const { log, differences, faults } = await rig.readCheckedLog();
    expect(differences.sort()).toEqual([
      'docs {"id":"2"}: column body differs',
      ...['3', '6', '7'].map((id) => `docs {"id":"${id}"}: not in the log`),
    ]);
    // The place of a dead letter in its transaction stays empty.
    expect(faults).toEqual([expect.stringMatching(/: ordinals are not 0 to 1$/)]);
    const ofKey = (id: number) => log.filter(({ key }) => key === `{"id":"${id}"}`).map(({ value }) => value);
    expect(ofKey(4).map((value) => [value?.op, value?.before, value?.after?.label])).toEqual([
      ['c', null, 'as inserted'],
      ['u', null, 'old and new row are too large together'],
    ]);
    expect(ofKey(5).map((value) => value?.op)).toEqual(['d', undefined]);
    expect(ofKey(1).map((value) => value?.before?.label)).toEqual([undefined, 'as inserted', 'before it']);
    // The next connector still knows them.
    await connector.stop();
    connector = rig.run();
    await legacy.query(`UPDATE docs SET body = 'small again' WHERE id IN (2, 3)`);
    await rig.untilCaughtUp();
    expect(await openKeys()).toEqual(['6', '7']);
    await legacy.query('DELETE FROM docs WHERE id = 6');
    await legacy.query(`UPDATE docs SET id = 8, body = 'small' WHERE id = 7`);
    await rig.untilCaughtUp();
    expect(await openKeys()).toEqual([]);
    expect(connector.status.deadLettersOpen).toBe(0);
    expect((await rig.readCheckedLog()).differences).toEqual([]);
    await connector.stop();
    const written = await readCommitted(rig.env.KAFKA_BROKERS!, [deadLetterTopicOf(rig.config)]);
    expect(written.map(({ message }) => message.value === null)).toContain(true);
    for (const { message } of written) {
      expect(message.value?.length ?? 0).toBeLessThan(400);
      expect(message.value?.toString() ?? '').not.toContain('as inserted');
    }
  }, 240_000);
});

describe('topics that hold less', () => {
  let rig: ConnectorRig;
  beforeAll(async () => {
    rig = await createConnectorRig('small', {
      tables: ['docs'],
      schema: `CREATE TABLE docs (id integer PRIMARY KEY, body text);
        INSERT INTO docs SELECT i, repeat('x', CASE WHEN i % 2 = 0 THEN 700 ELSE 10 END) FROM generate_series(1, 100) i`,
      env: { LOG_LEVEL: 'silent' },
    });
    const admin = new kafkajs.Kafka({ brokers: stackAddresses().kafkaBrokers.split(',') }).admin();
    await admin.connect();
    const configEntries = [{ name: 'max.message.bytes', value: '1600' }];
    const topic = { topic: topicOf(rig.config, 'docs'), numPartitions: 3, replicationFactor: 1, configEntries };
    await admin.createTopics({ waitForLeaders: true, topics: [topic] });
    await admin.disconnect();
  });
  afterAll(() => rig?.drop());

  test('are filled as they are set, and too many rows that do not fit stop the connector with a remedy', async () => {
    const connector = rig.run();
    await rig.untilCaughtUp();
    expect((await rig.readCheckedLog()).differences).toEqual([]);
    // An update's old and new row do not fit together.
    await rig.legacy.query(`UPDATE docs SET body = body || 'y'`);
    await rig.untilCaughtUp();
    expect(connector.status).toMatchObject({ deadLetters: 0 });
    await rig.legacy.query(`UPDATE docs SET body = repeat(body, 3) WHERE id <= 10`);
    await rig.untilCaughtUp();
    expect(await openLetters(rig)).toHaveLength(5);
    const [status, doctor] = [startCli(['status', '--json'], rig.env), startCli(['doctor', '--json'], rig.env)];
    await Promise.all([status.ended, doctor.ended]);
    const said = '5 legacy rows are too large for their topics: the log lacks their last version';
    const finding = { what: said, remedy: expect.stringContaining('`crosswalk dlq list`') };
    expect(JSON.parse(status.stdout())).toMatchObject({
      findings: expect.arrayContaining([{ level: 'warning', about: 'dead letters', ...finding }]),
      connector: { deadLetters: 5 },
    });
    expect(JSON.parse(doctor.stdout()).checks).toContainEqual({
      ...{ area: 'pipeline', name: 'dead letters', state: 'warning' },
      ...finding,
    });
    await rig.legacy.query(`INSERT INTO docs SELECT i, repeat('z', 1200) FROM generate_series(1001, 11001) i`);
    const stopped = (await connector.ended) as CrosswalkError;
    expect(stopped).toMatchObject({ code: 'rows_too_large' });
    expect(`${stopped.message} ${stopped.remedy}`).toMatch(/public\.docs.*max\.message\.bytes/);
    await waitUntil('nothing of it is in the log', async () => (await openLetters(rig)).length === 5);
  });
});
