// A change without events stops the connector, at once or at its next start, and the remedy that it names makes the log whole again.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestResnapshot } from '../../../connectors/resnapshot.ts';
import { topicOf, transactionTopicOf } from '../../../runtime/config.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { findDifferences, findFaults } from '../../support/check-log.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { readBoundaries, readLog } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
beforeAll(async () => {
  rig = await createConnectorRig('silent', {
    tables: ['docs', 'other', 'parts', 'late'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text, n integer);
      CREATE TABLE other (id integer PRIMARY KEY, label text);
      CREATE TABLE late (id integer PRIMARY KEY, label text);
      CREATE TABLE parts (id integer PRIMARY KEY, label text) PARTITION BY RANGE (id);
      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
      CREATE TABLE outside (id integer PRIMARY KEY, label text); ALTER TABLE outside REPLICA IDENTITY FULL;
      INSERT INTO docs SELECT i, 'x', i FROM generate_series(1, 300) i;
      INSERT INTO other SELECT i, 'x' FROM generate_series(1, 10) i;
      INSERT INTO parts SELECT i, 'x' FROM generate_series(1, 20) i;
      INSERT INTO outside SELECT i, 'x' FROM generate_series(101, 120) i`,
    env: { LOG_LEVEL: 'silent', CROSSWALK_CHUNK_ROWS: '100' },
  });
  await rig.legacy.query('ALTER PUBLICATION crosswalk DROP TABLE late');
});
afterAll(() => rig?.drop());

/** Until `late` is captured. */
const EARLY = { CROSSWALK_TABLES: 'docs,other,parts' };
const earlyConfig = () => ({ ...rig.config, tables: ['docs', 'other', 'parts'] });
const resnapshot = (tables: string[] = [], accept = false) =>
  requestResnapshot(earlyConfig(), {
    tables,
    accept,
    log: createLog('silent'),
    signal: new AbortController().signal,
  });

async function untilEarlyCaughtUp(connector: RunningConnector): Promise<void> {
  const { rows } = await rig.legacy.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() - $1 AS lsn', ['0/0']);
  const lsn = BigInt(rows[0]!.lsn);
  let ended: unknown = null;
  void connector.ended.then((error) => {
    ended = error;
  });
  await waitUntil('the log is caught up', () => {
    if (ended !== null) throw ended;
    const { snapshot } = connector.status;
    return connector.status.lsn >= lsn && ['docs', 'other', 'parts'].every((table) => snapshot[table]?.done === true);
  });
}

async function expectStop(connector: RunningConnector, line: RegExp): Promise<void> {
  const error = (await connector.ended) as CrosswalkError;
  expect(error).toMatchObject({ code: 'source_changed' });
  expect(toErrorLine(error)).toMatch(line);
}

async function differences(tables = ['docs', 'other', 'parts']): Promise<string[]> {
  const log = await readLog(
    stackAddresses(),
    tables.map((table) => topicOf(rig.config, table)),
  );
  expect(findFaults(log, await readBoundaries(stackAddresses(), transactionTopicOf(rig.config)))).toEqual([]);
  return findDifferences(rig.legacy, log, tables);
}

test('while it runs: ADD COLUMN DEFAULT stops it, also after a restart; resnapshot reads the values', async () => {
  const first = rig.run(EARLY);
  await untilEarlyCaughtUp(first);
  expect((await rig.readPosition())!.source!.tables).toHaveProperty('docs');
  await rig.legacy.query(`ALTER TABLE docs ADD extra text DEFAULT 'y'`);
  await expectStop(
    first,
    /public\.docs: rows were given a value in new columns \(extra\)\. Run `crosswalk resnapshot docs`/,
  );
  await expectStop(rig.run(EARLY), /docs: rows were given a value/);
  expect(await resnapshot()).toMatchObject({ tables: ['docs'] });
  const second = rig.run(EARLY);
  await untilEarlyCaughtUp(second);
  expect(await differences()).toEqual([]);
  await second.stop();
});

test('while it is down: ALTER TYPE USING and ATTACH PARTITION are found at the next start, and no table is left out', async () => {
  await rig.legacy.query('ALTER TABLE docs ALTER n TYPE integer USING n * 2');
  await rig.legacy.query('ALTER TABLE parts ATTACH PARTITION outside FOR VALUES FROM (100) TO (200)');
  await expectStop(rig.run(EARLY), /docs: the table was rewritten.*\(n\); public\.parts: a partition was attached/);
  await expect(resnapshot(['docs'])).rejects.toThrow('Also changed without an event: parts');
  await expect(resnapshot(['nowhere'])).rejects.toThrow('Not captured: nowhere');
  expect(await resnapshot(['docs', 'parts'])).toMatchObject({ tables: ['docs', 'parts'] });
  const connector = rig.run(EARLY);
  await untilEarlyCaughtUp(connector);
  await rig.legacy.query(`UPDATE parts SET label = 'moved' WHERE id IN (3, 105)`);
  await untilEarlyCaughtUp(connector);
  expect(await differences()).toEqual([]);
  await connector.stop();
});

test('a rewrite that may have changed values, and has not, is accepted without reading', async () => {
  await rig.legacy.query('ALTER TABLE other ALTER label SET NOT NULL');
  await rig.legacy.query('VACUUM FULL other');
  await expectStop(rig.run(EARLY), /other: the table was rewritten and columns changed \(label\)/);
  const before = (await rig.readPosition())!.snapshot;
  expect(await resnapshot([], true)).toMatchObject({ tables: ['other'] });
  expect((await rig.readPosition())!.snapshot).toEqual(before);
  const connector = rig.run(EARLY);
  await untilEarlyCaughtUp(connector);
  await connector.stop();
  expect(await resnapshot()).toEqual({ tables: [], changes: [] });
});

test('changes lost between DROP and CREATE PUBLICATION are read again; rows deleted meanwhile stay in the log', async () => {
  const first = rig.run(EARLY);
  await untilEarlyCaughtUp(first);
  await rig.legacy.query('DROP PUBLICATION crosswalk');
  await rig.legacy.query(`UPDATE docs SET label = 'lost' WHERE id < 50`);
  await rig.legacy.query(`INSERT INTO other VALUES (1000, 'lost')`);
  await rig.legacy.query('DELETE FROM docs WHERE id = 300');
  await rig.legacy.query(
    'CREATE PUBLICATION crosswalk FOR TABLE docs, other, parts WITH (publish_via_partition_root = true)',
  );
  expect(await first.ended).toMatchObject({ code: expect.stringMatching(/^(publication_missing|source_changed)$/) });
  await expectStop(
    rig.run(EARLY),
    /docs, public\.other, public\.parts: the publication was dropped and created again.*resnapshot docs other parts`.*`crosswalk verify` names them/,
  );
  expect(await resnapshot()).toMatchObject({ tables: ['docs', 'other', 'parts'] });
  const second = rig.run(EARLY);
  await untilEarlyCaughtUp(second);
  expect(await differences()).toEqual(['docs {"id":"300"}: only in the log']);
  await rig.legacy.query(`INSERT INTO docs VALUES (300, 'back', 1)`);
  await second.stop();
});

test('a table that was not captured for a while is read again from its beginning', async () => {
  const offsets = (await rig.readPosition())!.offsets[topicOf(rig.config, 'other')];
  const without = rig.run({ CROSSWALK_TABLES: 'docs,parts' });
  const { rows } = await rig.legacy.query<{ lsn: string }>(
    `WITH w AS (UPDATE other SET label = 'unwatched' RETURNING 1) SELECT pg_current_wal_insert_lsn() - '0/0' AS lsn, count(*) FROM w`,
  );
  await waitUntil('the change has passed unwatched', () => without.status.lsn > BigInt(rows[0]!.lsn) + 1000n);
  await without.stop();
  expect((await rig.readPosition())!.offsets[topicOf(rig.config, 'other')]).toEqual(offsets);
  const connector = rig.run(EARLY);
  await untilEarlyCaughtUp(connector);
  expect(await differences()).toEqual([]);
  await connector.stop();
});

test('a table that is added is complete, with a writer open across ALTER PUBLICATION', async () => {
  const writer = await connect(rig.env.LEGACY_DATABASE_URL!, 'writer');
  await writer.query('BEGIN');
  await writer.query(`INSERT INTO late VALUES (1, 'before the publication')`);
  await rig.legacy.query('ALTER PUBLICATION crosswalk ADD TABLE late');
  const connector = rig.run();
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  const { kafkaTransactions } = connector.status;
  await waitUntil(
    'it had the time to load without the writer',
    () => connector.status.kafkaTransactions > kafkaTransactions + 5 || connector.status.snapshot.late?.done === true,
  );
  await writer.query(`INSERT INTO late VALUES (2, 'after it')`);
  await writer.query('COMMIT');
  await writer.end();
  await rig.untilCaughtUp();
  expect(await differences([...rig.config.tables])).toEqual([]);
  await connector.stop();
});
