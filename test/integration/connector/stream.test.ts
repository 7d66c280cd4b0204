import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import type { CrosswalkError } from '../../../runtime/errors.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('the sample under live traffic', () => {
  let rig: ConnectorRig;
  beforeAll(async () => {
    rig = await createConnectorRig('stream');
  });
  afterAll(() => rig?.drop());

  test('initial load and traffic at the same time: the log, replayed, is the legacy database', async () => {
    const url = rig.env.LEGACY_DATABASE_URL!;
    await loadSample(url, { seed: 'stream', contacts: 2000, quotes: 1500 });
    const connector = rig.run();
    await waitUntil('it streams', () => connector.status.state === 'streaming');
    const traffic = startTraffic({ url, seed: 'stream', changesPerSecond: 800, largestTransaction: 300 });
    await rig.untilCaughtUp();
    await waitUntil('there was traffic', () => traffic.progress().rowChanges > 1500);
    const report = await traffic.stop();
    await rig.untilCaughtUp();
    const { log, differences, faults } = await rig.readCheckedLog();
    expect(differences).toEqual([]);
    expect(faults).toEqual([]);
    const read = log.filter((record) => record.value?.op === 'r');
    expect(read.length).toBeGreaterThan(3000);
    expect(new Set(read.map((record) => record.value?.source.table))).toContain('campaign_subscribers');
    const streamed = log.filter((record) => record.value?.transaction != null);
    expect(streamed.length).toBeGreaterThanOrEqual(report.rowChanges);
    expect(new Set(streamed.map((record) => record.value?.op))).toEqual(new Set(['c', 'u', 'd']));
    await connector.stop();
  });
});

const OWN_TABLES = `
  CREATE TABLE docs (id integer PRIMARY KEY, label text, body text);
  ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
  CREATE TABLE words (word text COLLATE "unicode" PRIMARY KEY, n integer);
  CREATE TABLE codes (code character(6), flags bit(4), n numeric(12,2), PRIMARY KEY (code, flags));
  CREATE TABLE pairs (a text COLLATE "unicode", b integer, t timestamptz, PRIMARY KEY (b, a));`;
/** Several kilobytes, other ones for each id: stored outside of the row. */
const BODY = `(SELECT string_agg(md5(i::text || n::text), '') FROM generate_series(1, 120) n)`;

describe('tables of its own', () => {
  let rig: ConnectorRig;
  beforeAll(async () => {
    rig = await createConnectorRig('own', {
      tables: ['docs', 'words', 'codes', 'pairs'],
      schema: OWN_TABLES,
      env: { CROSSWALK_CHUNK_ROWS: '10' },
    });
    await rig.legacy.query(`INSERT INTO docs SELECT i, 'label ' || i, ${BODY} FROM generate_series(1, 1000) i`);
    await rig.legacy.query(
      `INSERT INTO words SELECT w || i, i FROM generate_series(1, 9) i, unnest(array['a', 'B', 'b', 'é', 'Z', 'z', 'ß', '-', ' ', 'A b', 'ab', '']) w`,
    );
    await rig.legacy.query(
      `INSERT INTO codes SELECT 'c' || i, (i % 16)::bit(4), i / 7.0 FROM generate_series(1, 95) i UNION ALL SELECT 'same', i::bit(4), 'NaN' FROM generate_series(0, 15) i`,
    );
    await rig.legacy.query(
      `INSERT INTO pairs SELECT w, i, 'epoch'::timestamptz + i * interval '1.000001 s' FROM generate_series(1, 30) i, unnest(array['x', 'X', 'é', 'e']) w`,
    );
  });
  afterAll(() => rig?.drop());

  test('a writer open across the start: the connector waits, can be stopped, and misses nothing', async () => {
    const writer = await connect(rig.env.LEGACY_DATABASE_URL!, 'writer');
    try {
      await writer.query('BEGIN');
      await writer.query(`INSERT INTO docs VALUES (-1, 'open across the start', 'x')`);
      const first = rig.run();
      const isCreating = async () =>
        (await rig.legacy.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active', [rig.config.slot]))
          .rows.length === 1;
      await waitUntil('the slot is being created', isCreating);
      const stoppedAtMs = performance.now();
      await first.stop();
      expect(performance.now() - stoppedAtMs).toBeLessThan(5000);
      const second = rig.run();
      await waitUntil('the second one waits', isCreating);
      await writer.query(`INSERT INTO docs VALUES (-2, 'open across the start', 'x')`);
      await writer.query('COMMIT');
      await waitUntil('it streams', () => second.status.state === 'streaming');
      await moveKeysDuringTheLoad(rig, second);
      await rig.untilCaughtUp();
      const { log, differences, faults } = await rig.readCheckedLog();
      expect(differences).toEqual([]);
      expect(faults).toEqual([]);
      expect(log.filter((record) => record.key === '{"id":"-1"}')).toHaveLength(1);
      expect(log.filter((record) => record.key === '{"id":"-2"}')).toHaveLength(1);
      await second.stop();
    } finally {
      await writer.end();
    }
  });

  test('changes while it was down, unchanged values outside of the row, key moves, rollbacks', async () => {
    const { legacy } = rig;
    await legacy.query(`UPDATE docs SET label = 'changed alone' WHERE id BETWEEN 100 AND 120`);
    await legacy.query(`UPDATE docs SET id = id + 100000 WHERE id BETWEEN 121 AND 130`);
    await legacy.query('DELETE FROM docs WHERE id BETWEEN 131 AND 135');
    await legacy.query(`INSERT INTO docs VALUES (131, 'again', NULL)`);
    const connector = rig.run();
    await legacy.query('BEGIN');
    await legacy.query('DELETE FROM docs');
    await legacy.query('ROLLBACK');
    await legacy.query('BEGIN');
    await legacy.query(`UPDATE docs SET label = 'outer' WHERE id = 200`);
    await legacy.query('SAVEPOINT s');
    await legacy.query(`UPDATE docs SET label = 'lost' WHERE id BETWEEN 200 AND 205`);
    await legacy.query('ROLLBACK TO s');
    await legacy.query('SAVEPOINT s');
    await legacy.query(`UPDATE docs SET label = 'kept' WHERE id = 201`);
    await legacy.query('RELEASE s');
    await legacy.query('COMMIT');
    await rig.untilCaughtUp();
    const { log, differences, faults } = await rig.readCheckedLog();
    expect(differences).toEqual([]);
    expect(faults).toEqual([]);
    const update = log.find((record) => record.value?.after?.label === 'changed alone')!.value!;
    expect(update.after!.body!.length).toBe(3840);
    expect(update.before).toMatchObject({ label: expect.stringMatching(/^label /), body: update.after!.body });
    expect(log.some((record) => record.value?.after?.label === 'lost')).toBe(false);
    await connector.stop();
  });

  test('a transaction of 50,000 rows arrives whole and once', async () => {
    const connector = rig.run();
    await rig.untilCaughtUp();
    await rig.legacy.query(
      `INSERT INTO docs SELECT i, 'big', repeat('x', 100) FROM generate_series(1000001, 1050000) i`,
    );
    await rig.untilCaughtUp();
    const { log, differences, faults } = await rig.readCheckedLog();
    expect(differences).toEqual([]);
    expect(faults).toEqual([]);
    const big = log.filter((record) => record.value?.after?.label === 'big');
    expect(big).toHaveLength(50_000);
    expect(new Set(big.map((record) => record.value!.transaction!.id)).size).toBe(1);
    // In one Kafka transaction: the end of one takes an offset.
    for (const records of Map.groupBy(big, ({ partition }) => partition).values())
      expect(records.at(-1)!.offset - records[0]!.offset).toBe(BigInt(records.length - 1));
    await connector.stop();
  });

  test('TRUNCATE stops it, at every start, until it is told to go on', async () => {
    await rig.legacy.query('TRUNCATE words');
    await rig.legacy.query(`INSERT INTO words VALUES ('after', 1)`);
    for (let start = 1; start <= 2; start++) {
      const stopped = (await rig.run().ended) as CrosswalkError;
      expect(stopped).toMatchObject({ code: 'truncated' });
      expect(`${stopped.message} ${stopped.remedy}`).toMatch(/words.*CROSSWALK_ON_TRUNCATE=ignore/);
    }
    const connector = rig.run({ CROSSWALK_ON_TRUNCATE: 'ignore', LOG_LEVEL: 'error' });
    await rig.untilCaughtUp();
    const { log, faults } = await rig.readCheckedLog();
    expect(faults).toEqual([]);
    expect(log.filter((record) => record.key === '{"word":"after"}')).toHaveLength(1);
    await connector.stop();
  });
});

/** Moves rows behind and ahead of the chunk at hand, each while the load is known to stand between their keys. */
async function moveKeysDuringTheLoad(rig: ConnectorRig, connector: ReturnType<ConnectorRig['run']>): Promise<void> {
  const mover = await connect(rig.env.LEGACY_DATABASE_URL!, 'mover');
  try {
    await waitUntil(
      'the load is under way',
      () => Number(connector.status.snapshot.docs?.lastKey?.[0] ?? 0) > 20,
      20_000,
      1,
    );
    await mover.query('BEGIN');
    // Holds the next chunk up.
    await mover.query('LOCK TABLE docs IN ACCESS EXCLUSIVE MODE');
    const mark = Number(connector.status.snapshot.docs!.lastKey![0]);
    expect(connector.status.snapshot.docs!.done).toBe(false);
    expect(mark).toBeLessThan(900);
    await mover.query('UPDATE docs SET id = -id WHERE id BETWEEN 950 AND 960');
    await mover.query('UPDATE docs SET id = id + 2000 WHERE id BETWEEN 5 AND 9');
    await mover.query('DELETE FROM docs WHERE id BETWEEN 970 AND 975');
    await mover.query('COMMIT');
  } finally {
    await mover.end();
  }
}
