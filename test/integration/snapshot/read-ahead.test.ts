// Several connections read a table ahead of the stream: killed between chunks, overtaken by changes, held to a rate, paused.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCatalog } from '../../../connectors/catalog.ts';
import { findRange, readRange } from '../../../connectors/snapshot/chunks.ts';
import {
  controlLoad,
  controlSnapshot,
  listSnapshots,
  requestSnapshot,
  waitForSnapshot,
} from '../../../connectors/snapshot/request.ts';
import { createKafka, type Kafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

const ROWS = 400;
const SCHEMA = `CREATE TABLE docs (team text, id integer, label text, PRIMARY KEY (team, id));
  INSERT INTO docs SELECT CASE WHEN i % 10 = 0 THEN 'few' ELSE 'many' END, i, 'old' FROM generate_series(1, ${ROWS}) i`;

let rig: ConnectorRig;
let kafka: Kafka;
let child: CliProcess | undefined;
beforeEach(async () => {
  rig = await createConnectorRig('ahead', {
    tables: ['docs'],
    schema: SCHEMA,
    env: { CROSSWALK_CHUNK_ROWS: '10', CROSSWALK_HEARTBEAT_MS: '100', CROSSWALK_SNAPSHOT_CONNECTIONS: '4' },
  });
  kafka = createKafka(rig.config.kafka(), createLog('silent'));
});
afterEach(async () => {
  if (child?.isRunning()) child.child.kill('SIGKILL');
  await child?.ended;
  await rig?.drop();
});

const readTable = async () => (await rig.readPosition())?.snapshot.docs;

/** Which operations there were of each row, in order; after the log was checked. */
async function readOps(): Promise<Map<string, string>> {
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  const ops = new Map<string, string>();
  for (const { key, value } of log) if (value !== null) ops.set(key, (ops.get(key) ?? '') + value.op);
  return ops;
}

test('killed before and behind markers, it goes on where it stood, and reads every row once', async () => {
  for (const fault of ['watermark.after=kill@5', 'watermark.before=kill@9', 'kafka_commit.after=kill@4']) {
    child = startCli(['connect'], { ...rig.env, CROSSWALK_FAULTS: fault });
    expect(await child.ended).toBe('SIGKILL');
    expect((await readTable())?.done ?? false).toBe(false);
  }
  child = startCli(['connect'], rig.env);
  await rig.untilCaughtUp();
  expect(await readTable()).toMatchObject({ done: true, rows: ROWS });
  const ops = await readOps();
  expect([ops.size, new Set(ops.values())]).toEqual([ROWS, new Set(['r'])]);
});

test('rows that change after their chunk was read, and before its turn comes, are left to the stream', async () => {
  // The marker of one of the first chunks is held up: those behind it are read, have passed, and wait for it.
  child = startCli(['connect'], {
    ...rig.env,
    ...{ LOG_LEVEL: 'info', CROSSWALK_FAULTS: 'watermark.before=stall:4000@3' },
  });
  await child.untilSaid('fault injected');
  const readBusy = async () => {
    const { rows } = await rig.legacy.query<{ query: string; state: string }>(
      `SELECT query, state FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'crosswalk-snapshot%'`,
    );
    return rows;
  };
  await waitUntil('as many chunks are read as may be', async () => {
    const connections = await readBusy();
    return connections.length === 4 && connections.every(({ state }) => state === 'idle');
  });
  await rig.legacy.query(`UPDATE docs SET label = 'new' WHERE id % 7 = 1`);
  await rig.legacy.query(`DELETE FROM docs WHERE id % 7 = 2`);
  // From the end of the table to its beginning, and back.
  await rig.legacy.query(`UPDATE docs SET team = 'a' WHERE id % 7 = 3 AND team = 'many'`);
  await rig.legacy.query(`UPDATE docs SET team = 'z' WHERE id % 7 = 4 AND team = 'few'`);
  expect((await readTable())?.done ?? false).toBe(false);
  await rig.untilCaughtUp();
  const { log, differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  const last = new Map<string, string>();
  const stale: string[] = [];
  for (const { key, value } of log) {
    if (value === null) continue;
    // Changed rows are read again by later chunks, as they are then.
    if (value.op === 'r' && last.get(key) === 'u' && value.after!.label === 'old') stale.push(key);
    last.set(key, value.op);
  }
  expect(stale).toEqual([]);
  // Those of the chunks that were in hand: nothing was read of them but what the stream knows better.
  const ops = await readOps();
  expect([...ops.values()].filter((one) => one === 'u').length).toBeGreaterThan(2);
  expect(new Set([...ops.values()].filter((one) => one.includes('d')))).not.toContain('dr');
});

test('beside writers, again and again: the log ends as the table does', async () => {
  child = startCli(['connect'], rig.env);
  const stopping = new AbortController();
  const write = async () => {
    for (let at = 0; !stopping.signal.aborted; at++) {
      const id = 1 + ((at * 37) % ROWS);
      await rig.legacy.query(`UPDATE docs SET label = $1 WHERE id = $2`, [`v${at}`, id]);
      if (at % 3 === 0)
        await rig.legacy.query(
          `UPDATE docs SET team = CASE team WHEN 'many' THEN 'few' ELSE 'many' END WHERE id = $1`,
          [id],
        );
      if (at % 5 === 0) await rig.legacy.query(`DELETE FROM docs WHERE id = $1`, [id]);
      if (at % 5 === 2)
        await rig.legacy.query(
          `INSERT INTO docs SELECT 'few', $1, 'back' WHERE NOT EXISTS (SELECT FROM docs WHERE id = $1)`,
          [id],
        );
    }
  };
  const writing = write();
  try {
    await waitUntil('the table is loaded', async () => (await readTable())?.done === true);
    const { signal } = new AbortController();
    for (let round = 0; round < 3; round++) {
      const id = await requestSnapshot(rig.config, kafka, { table: 'docs' });
      expect((await waitForSnapshot(rig.config, kafka, id, { signal, timeoutMs: 60_000 })).state).toBe('done');
    }
  } finally {
    stopping.abort();
    await writing;
  }
  await rig.untilCaughtUp();
  await readOps();
});

test('no connection is kept for tables once there is nothing to read', async () => {
  const connector = rig.run();
  await rig.untilCaughtUp();
  const countReaders = async () => {
    const { rows } = await rig.legacy.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'crosswalk-snapshot-%'`,
    );
    return rows.length;
  };
  await waitUntil('one is left', async () => (await countReaders()) === 0);
  await connector.stop();
});

test('a snapshot keeps the rate it was asked for with, however many connections read', async () => {
  rig.run();
  await rig.untilCaughtUp();
  const RATE = 150;
  const startedAtMs = performance.now();
  const id = await requestSnapshot(rig.config, kafka, { table: 'docs', maxRate: RATE });
  const seen: { rows: number; mostRows: number; rate: number | undefined; left: number | null | undefined }[] = [];
  await waitUntil('it is over', async () => {
    const found = (await listSnapshots(rig.config, kafka)).find((one) => one.id === id)!;
    const mostRows = 10 + ((performance.now() - startedAtMs) * RATE) / 1000;
    const { rowsPerSecond, secondsLeft } = { rowsPerSecond: undefined, secondsLeft: undefined, ...found };
    seen.push({ rows: found.rows, mostRows, rate: rowsPerSecond, left: secondsLeft });
    return found.state === 'done';
  });
  expect(seen.filter(({ rows, mostRows }) => rows > mostRows)).toEqual([]);
  expect(seen.at(-1)!.rows).toBe(ROWS);
  // On its way it said how fast it is, and how long it takes.
  const told = seen.filter(({ rate, left }) => rate !== undefined && typeof left === 'number');
  expect(told.length).toBeGreaterThan(0);
});

test('the initial load is paused, stays so in the next session, and goes on where it stood', async () => {
  const slow = { CROSSWALK_SNAPSHOT_MAX_RATE: '40' };
  const first = rig.run(slow);
  await waitUntil('some rows are read', async () => ((await readTable())?.rows ?? 0) >= 20, 30_000, 10);
  await controlLoad(rig.config, kafka, 'pause');
  await waitUntil('it is paused', async () => (await rig.readPosition())?.signals?.isLoadPaused === true);
  const { rows } = (await readTable())!;
  expect(rows).toBeLessThan(ROWS);
  await first.stop();
  const next = rig.run();
  await rig.legacy.query(`UPDATE docs SET label = 'new' WHERE id = ${ROWS}`);
  await waitUntil('the change is streamed', () => next.status.events > 0);
  // What is asked for meanwhile is read.
  const id = await requestSnapshot(rig.config, kafka, { table: 'docs', keys: [['many', '1']] });
  const { signal } = new AbortController();
  expect(await waitForSnapshot(rig.config, kafka, id, { signal, timeoutMs: 60_000 })).toMatchObject({ state: 'done' });
  expect(await readTable()).toMatchObject({ done: false, rows });
  await controlLoad(rig.config, kafka, 'resume');
  await rig.untilCaughtUp();
  expect((await readTable())?.rows).toBe(ROWS);
  expect((await rig.readPosition())?.signals).not.toHaveProperty('isLoadPaused');
  const counts = [...(await readOps()).values()].map((ops) => ops.split('r').length - 1);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(ROWS + 1);
  await expect(controlSnapshot(rig.config, kafka, id, 'pause')).rejects.toThrow(/is over: done/);
});

test('a range of large rows holds what fits into a chunk, and rows that come into one are read apart', async () => {
  await rig.legacy.query(`CREATE TABLE large (id integer PRIMARY KEY, body text STORAGE EXTERNAL);
    ALTER TABLE large REPLICA IDENTITY FULL; ALTER PUBLICATION crosswalk ADD TABLE large;
    INSERT INTO large SELECT 10 * i, repeat('x', 1000000) FROM generate_series(1, 20) i`);
  const [relation] = await readCatalog(rig.legacy, { schema: 'public', tables: ['large'], publication: 'crosswalk' });
  const range = await findRange(rig.legacy, relation!, ['10'], 1000);
  // 8 MiB.
  expect(range).toEqual({ upTo: ['90'], found: { rows: 8, hasNoLarge: false } });
  await rig.legacy.query(`INSERT INTO large VALUES (15, 'x'), (16, 'x'), (17, 'x'); DELETE FROM large WHERE id = 90`);
  const first = await readRange(rig.legacy, relation!, { after: ['10'], ...range! }, 1000);
  expect([first.rows.map(([id]) => id), first.isLast]).toEqual([
    ['15', '16', '17', '20', '30', '40', '50', '60', '70'],
    false,
  ]);
  const rest = await readRange(rig.legacy, relation!, { after: first.lastKey, upTo: range!.upTo, found: null }, 1000);
  expect(rest.rows.map(([id]) => id)).toEqual(['80']);
  const none = await readRange(rig.legacy, relation!, { after: rest.lastKey, upTo: range!.upTo, found: null }, 1000);
  expect([none.rows, none.isLast]).toEqual([[], true]);
  const last = await findRange(rig.legacy, relation!, ['200'], 1000);
  expect(last).toBeNull();
});
