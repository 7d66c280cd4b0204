import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLsn } from '../../../changes/lsn.ts';
import { topicOf } from '../../../runtime/config.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { findDifferences } from '../../support/check-log.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { readLog } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
beforeAll(async () => {
  rig = await createConnectorRig('truncate', {
    tables: ['docs', 'lines', 'big'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text);
      CREATE TABLE lines (id integer PRIMARY KEY, doc integer REFERENCES docs);
      CREATE TABLE big (id integer PRIMARY KEY, label text);
      INSERT INTO docs SELECT i, 'x' FROM generate_series(1, 20) i;
      INSERT INTO lines SELECT i, i FROM generate_series(1, 20) i;
      INSERT INTO big SELECT i, 'x' FROM generate_series(1, 2000) i`,
    env: { LOG_LEVEL: 'silent', CROSSWALK_CHUNK_ROWS: '10' },
  });
});
afterAll(() => rig?.drop());

const IGNORE = { CROSSWALK_ON_TRUNCATE: 'ignore' };
const readTables = async (...tables: string[]) => {
  const log = await readLog(
    stackAddresses(),
    tables.map((table) => topicOf(rig.config, table)),
  );
  return { log, differences: await findDifferences(rig.legacy, log, tables) };
};
const readLsn = async () => {
  const { rows } = await rig.legacy.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return parseLsn(rows[0]!.lsn);
};

test('inside the initial load it halts; ignored, nothing that was read before it follows it into the log', async () => {
  const reached = (connector: RunningConnector) => Number(connector.status.snapshot.big?.lastKey?.[0] ?? 0);
  const first = rig.run();
  await waitUntil('the load is under way', () => reached(first) > 20, 60_000, 1);
  await rig.legacy.query('TRUNCATE big');
  expect(await first.ended).toMatchObject({ code: 'truncated' });
  expect((await rig.readPosition())!.snapshot.big?.done ?? false).toBe(false);
  await rig.legacy.query(`INSERT INTO big SELECT i, 'old' FROM generate_series(1, 5000) i`);
  const second = rig.run(IGNORE);
  // The first chunks of a session come after what it catches up with.
  const from = reached(second);
  await waitUntil('the load goes on', () => reached(second) > Math.max(from, 40), 60_000, 1);
  await rig.legacy.query(`BEGIN; INSERT INTO docs VALUES (1000, 'marks it'); TRUNCATE big; COMMIT`);
  expect(second.status.snapshot.big?.done).toBe(false);
  await rig.legacy.query(`INSERT INTO big SELECT i, 'new' FROM generate_series(1, 5000, 500) i`);
  await rig.untilCaughtUp();
  await second.stop();
  await rig.legacy.query('DELETE FROM docs WHERE id = 1000');
  const { log, differences } = await readTables('big', 'docs');
  const mark = log.find(({ value }) => value?.after?.label === 'marks it')!.value!.source;
  const late = log.filter(({ value }) => value?.source.table === 'big' && value.source.commitLsn > mark.commitLsn);
  expect(new Set(late.map(({ value }) => value!.after!.label))).toEqual(new Set(['new']));
  expect(differences.filter((text) => text.startsWith('big') && !text.endsWith('only in the log'))).toEqual([]);
});

test('CASCADE halts at every start, before the TRUNCATE; ignored for one run, it never comes back', async () => {
  const first = rig.run();
  await rig.untilCaughtUp();
  await rig.legacy.query(`INSERT INTO docs VALUES (21, 'before')`);
  await rig.legacy.query(`BEGIN; INSERT INTO docs VALUES (22, 'gone'); TRUNCATE docs CASCADE; COMMIT`);
  const after = await readLsn();
  await rig.legacy.query(`INSERT INTO docs VALUES (1, 'new'), (23, 'new')`);
  for (const connector of [first, rig.run(), rig.run()]) {
    const error = (await connector.ended) as CrosswalkError;
    expect(error).toMatchObject({ code: 'truncated' });
    expect(toErrorLine(error)).toMatch(/^TRUNCATE of docs, lines at .*"TRUNCATE".*CROSSWALK_ON_TRUNCATE=ignore/);
    expect((await rig.readPosition())!.lsn).toBeLessThan(after);
  }
  const second = rig.run(IGNORE);
  await rig.untilCaughtUp();
  await second.stop();
  const { differences } = await readTables('docs', 'lines');
  // What the TRUNCATE removed stays; what was written before and after it is there.
  expect(differences.filter((text) => text.startsWith('docs')).sort()).toEqual(
    Array.from({ length: 21 }, (_, i) => i + 2)
      .map((id) => `docs {"id":"${id}"}: only in the log`)
      .sort(),
  );
  expect(differences.filter((text) => text.startsWith('lines'))).toHaveLength(20);
  const third = rig.run();
  await rig.legacy.query(`INSERT INTO docs VALUES (24, 'later')`);
  await rig.untilCaughtUp();
  await third.stop();
});
