// Rows that change while the chunk that holds them is on its way from the table to its place in the stream.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCatalog } from '../../../connectors/catalog.ts';
import { readChunk } from '../../../connectors/snapshot/chunks.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';

let rig: ConnectorRig;
beforeAll(async () => {
  rig = await createConnectorRig('watermark', {
    tables: ['docs', 'parent'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text, big text STORAGE EXTERNAL);
      INSERT INTO docs SELECT i, 'old', CASE WHEN i % 50 = 3 THEN repeat(md5(i::text), 200) END FROM generate_series(1, 200) i;
      CREATE TABLE parent (id integer PRIMARY KEY, label text);
      INSERT INTO parent VALUES (1, 'own'), (3, 'own')`,
    // With one connection the second marker is that of the first chunk.
    env: { LOG_LEVEL: 'info', CROSSWALK_CHUNK_ROWS: '100', CROSSWALK_SNAPSHOT_CONNECTIONS: '1' },
  });
});
afterAll(() => rig?.drop());

test('what was read of them does not overwrite the change', async () => {
  // The first marker stands before the first chunk, the second one behind it: the chunk is read, and waits.
  const connector = startCli(['connect'], { ...rig.env, CROSSWALK_FAULTS: 'watermark.before=stall:3000@2' });
  try {
    await connector.untilSaid('fault injected', 60_000);
    for (const statement of [
      `UPDATE docs SET label = 'new' WHERE id = 1`,
      'DELETE FROM docs WHERE id = 2',
      'UPDATE docs SET id = 1003 WHERE id = 3',
      'DELETE FROM docs WHERE id = 4',
      `INSERT INTO docs VALUES (4, 'again')`,
      'UPDATE docs SET id = -150 WHERE id = 150',
      // Out of line and unchanged: the server leaves the value out of the new row, and no chunk will read it at its new place.
      'UPDATE docs SET id = -153 WHERE id = 153',
      `UPDATE docs SET label = 'new' WHERE id = 53`,
    ])
      await rig.legacy.query(statement);
    const { rows: connections } = await rig.legacy.query(
      `SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'crosswalk-%' AND application_name <> 'crosswalk-test'`,
    );
    expect(connections.length).toBeLessThanOrEqual(4);
    await rig.untilCaughtUp();
  } finally {
    connector.child.kill('SIGKILL');
    await connector.ended;
  }
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  const moved = log.filter(({ key, value }) => key === '{"id":"-153"}' && value !== null);
  expect(moved.map(({ value }) => [value!.op, value!.after!.big?.length])).toEqual([['c', 6400]]);
  // The changes did come first.
  const places = log.flatMap(({ value }) =>
    value?.source.table === 'docs' ? [{ op: value.op, lsn: value.source.commitLsn }] : [],
  );
  const reads = places.filter(({ op }) => op === 'r').map(({ lsn }) => lsn);
  expect(reads.length).toBeGreaterThanOrEqual(194);
  for (const { op, lsn } of places) if (op !== 'r') expect(reads.every((read) => read > lsn)).toBe(true);
});

test('a chunk holds the rows of its table alone, and not those of inheriting ones', async () => {
  const [relation] = await readCatalog(rig.legacy, { schema: 'public', tables: ['parent'], publication: 'crosswalk' });
  // A connector that starts would refuse it; one that runs goes on.
  await rig.legacy.query(`CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (2, 'not its own')`);
  const { rows, isLast } = await readChunk(rig.legacy, relation!, null, 10);
  expect({ rows, isLast }).toEqual({
    rows: [
      ['1', 'own'],
      ['3', 'own'],
    ],
    isLast: true,
  });
});
