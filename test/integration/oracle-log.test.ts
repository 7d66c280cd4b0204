import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { startTraffic } from '../../pipelines/crm/sample/traffic.ts';
import { topicOf } from '../../runtime/config.ts';
import { connect } from '../../runtime/postgres.ts';
import { createSecondSlot, type History, startRecorder } from '../oracle/log-history.ts';
import { compareLog } from '../oracle/log-history-compare.ts';
import { type ConnectorRig, createConnectorRig } from '../support/connector.ts';
import { startCli } from '../support/connector-process.ts';
import { startOwnPostgres } from '../support/own-postgres.ts';
import { type LogRecord, readLog } from '../support/read-log.ts';
import { stackAddresses } from '../support/stack.ts';
import { waitUntil } from '../support/wait-until.ts';

const NONE = { lost: 0, doubled: 0, disordered: 0, invented: 0, differing: 0, first: [] };
const readLogOf = (rig: ConnectorRig) =>
  readLog(
    stackAddresses(),
    rig.config.tables.map((table) => topicOf(rig.config, table)),
  );

describe('the log and the database’s own history', () => {
  let rig: ConnectorRig;
  beforeAll(async () => {
    rig = await createConnectorRig('history', { env: { LOG_LEVEL: 'info' } });
  });
  afterAll(() => rig?.drop());

  test('are the same under traffic, with a connector that is killed', async () => {
    const { legacy, config } = rig;
    const url = rig.env.LEGACY_DATABASE_URL!;
    await loadSample(url, { seed: 'history', contacts: 300, quotes: 300 });
    const slot = `${config.slot}_2`;
    await createSecondSlot(legacy, slot);
    const captured = { schema: config.legacySchema, tables: config.tables };
    const recorder = await startRecorder({ url, slot, captured, everyMs: 200 });
    const traffic = startTraffic({ url, seed: 'history', changesPerSecond: 600, largestTransaction: 200 });
    const first = startCli(['connect'], rig.env);
    let second: ReturnType<typeof startCli> | undefined;
    try {
      await first.untilSaid('"streaming"', 30_000);
      // Both slots exist: what commits from here on is in both.
      const from = await recorder.mark();
      const changesAt = traffic.progress().rowChanges;
      await waitUntil('there was traffic', () => traffic.progress().rowChanges > changesAt + 600);
      first.child.kill('SIGKILL');
      await first.ended;
      second = startCli(['connect'], rig.env);
      await waitUntil('there was more traffic', () => traffic.progress().rowChanges > changesAt + 1200);
      await traffic.stop();
      await rig.untilCaughtUp();
      const history = await recorder.stop();
      const comparison = await compareLog(history, await readLogOf(rig), { from });
      expect(comparison).toMatchObject(NONE);
      expect(comparison.changes).toBeGreaterThan(1000);
      expect(comparison.records).toBe(comparison.changes);
      expect(recorder.failures()).toBe(0);
    } finally {
      for (const connector of [first, second]) connector?.child.kill('SIGKILL');
      await Promise.all([first.ended, second?.ended]);
      await traffic.stop();
      await recorder.discard();
    }
  });
});

const ODD_TABLES = `
  CREATE TYPE "mo ]:d" AS ENUM ('a b', 'c]:''');
  CREATE TABLE odd (n integer, "key ]:""" text, label text, big text, mood "mo ]:d", tags text[], ok boolean, bits bit(4), price numeric, at timestamptz,
    bytes bytea, span interval, "old-key:" text, doubled integer GENERATED ALWAYS AS (n * 2) STORED, PRIMARY KEY ("key ]:""", n));
  ALTER TABLE odd ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE plain (id integer PRIMARY KEY, label text);
  CREATE TABLE not_captured (id integer PRIMARY KEY);`;
const BIG = `(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 120) n)`;

describe('odd rows', () => {
  let rig: ConnectorRig;
  let history: History;
  let log: LogRecord[];
  let discard: () => Promise<void>;
  beforeAll(async () => {
    rig = await createConnectorRig('odd', { tables: ['odd', 'plain'], schema: ODD_TABLES });
    const { legacy, config } = rig;
    const slot = `${config.slot}_2`;
    await legacy.query(`INSERT INTO plain VALUES (-1, 'before all')`);
    await createSecondSlot(legacy, slot);
    const url = rig.env.LEGACY_DATABASE_URL!;
    const captured = { schema: config.legacySchema, tables: config.tables };
    const recorder = await startRecorder({ url, slot, captured, everyMs: 100 });
    discard = () => recorder.discard();
    const connector = rig.run();
    await rig.untilCaughtUp();
    const transaction = async (...statements: string[]) => {
      for (const statement of ['BEGIN', ...statements, 'COMMIT']) await legacy.query(statement);
    };
    await legacy.query(
      `INSERT INTO odd VALUES (1, 'it''s ' || chr(8232) || chr(10) || ' new-tuple: x[text]:', 'l', ${BIG}, 'c]:''', '{"a ]",null}', true, '1010', 'NaN', now(), '\\x00ff', '1 mon -3 d', 'o')`,
    );
    await legacy.query(
      `INSERT INTO odd VALUES (2, 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '')`,
    );
    await transaction(
      `UPDATE odd SET label = 'with an unchanged value'`,
      'UPDATE odd SET n = n + 10',
      'INSERT INTO not_captured VALUES (1)',
      'SAVEPOINT s',
      'DELETE FROM odd',
      'ROLLBACK TO s',
      `UPDATE odd SET label = NULL, "old-key:" = 'null'`,
      `INSERT INTO plain SELECT i, 'many' FROM generate_series(1, 5000) i`,
    );
    await transaction('DELETE FROM odd WHERE n = 12', 'DELETE FROM plain WHERE id = 4', 'TRUNCATE not_captured');
    await transaction(`INSERT INTO plain VALUES (4, 'again')`, `UPDATE plain SET label = 'once more' WHERE id = 4`);
    await rig.untilCaughtUp();
    await connector.stop();
    history = await recorder.stop();
    log = await readLogOf(rig);
  });
  afterAll(async () => {
    await discard?.();
    await rig?.drop();
  });

  test('are the same in both', async () => {
    const comparison = await compareLog(history, log);
    expect(comparison).toMatchObject(NONE);
    // The move of a key counts twice; the read of the initial load does not.
    expect(comparison).toMatchObject({ changes: 2 + 2 + 4 + 2 + 5000 + 2 + 2, records: 5014 });
    expect(await compareLog(history, log, { tables: ['odd'] })).toMatchObject({ ...NONE, changes: 11, records: 11 });
  });

  const indexOf = (test: (value: NonNullable<LogRecord['value']>) => boolean) =>
    log.findIndex(({ value }) => value !== null && test(value));
  const edit = (at: number, change: (value: NonNullable<LogRecord['value']>) => Partial<LogRecord['value']>) =>
    log.with(at, { ...log[at]!, value: { ...log[at]!.value!, ...change(log[at]!.value!) } });
  const many = () => indexOf(({ op, after }) => op === 'c' && after?.label === 'many');

  test('one left out is lost', async () => {
    const comparison = await compareLog(history, log.toSpliced(many(), 1));
    expect(comparison).toMatchObject({
      ...NONE,
      lost: 1,
      first: [expect.stringMatching(/^lost: c public\.plain \{"id":/)],
    });
  });

  test('a transaction left out is lost', async () => {
    const commit = log[many()]!.value!.source.commitLsn;
    const rest = log.filter(({ value }) => value?.source.commitLsn !== commit);
    expect(await compareLog(history, rest)).toMatchObject({ lost: 5000 + 2 + 4 + 2, invented: 0, differing: 0 });
  });

  test('one twice is doubled', async () => {
    const comparison = await compareLog(history, [...log, log[many()]!]);
    expect(comparison).toMatchObject({ ...NONE, doubled: 1, first: [expect.stringMatching(/^doubled: /)] });
  });

  test('two that changed places are out of order', async () => {
    const later = indexOf(({ op, after }) => op === 'u' && after?.label === 'once more');
    const earlier = indexOf(({ op, after }) => op === 'c' && after?.label === 'again');
    const swapped = log.with(later, log[earlier]!).with(earlier, log[later]!);
    expect(await compareLog(history, swapped)).toMatchObject({
      ...NONE,
      disordered: 1,
      first: [expect.stringMatching(/^disordered: .*"4"/)],
    });
  });

  test('one in another partition than its key is out of order', async () => {
    const at = indexOf(({ op, after }) => op === 'u' && after?.label === 'once more');
    const moved = log.with(at, { ...log[at]!, partition: (log[at]!.partition + 1) % 3 });
    expect((await compareLog(history, moved)).disordered).toBeGreaterThan(0);
  });

  test.each([
    [
      'a transaction that was never committed',
      (value: NonNullable<LogRecord['value']>) => ({
        source: { ...value.source, commitLsn: value.source.commitLsn - 0x10000n },
      }),
      1,
    ],
    [
      'another transaction’s id',
      (value: NonNullable<LogRecord['value']>) => ({ source: { ...value.source, txId: 3 } }),
      1,
    ],
  ])('%s is invented, and what it stands for lost', async (_, change, lost) => {
    const at = indexOf(({ op, source }) => op === 'c' && source.table === 'odd');
    expect(await compareLog(history, edit(at, change))).toMatchObject({ invented: 1, lost });
  });

  test('a change too many in a transaction is invented', async () => {
    const at = indexOf(({ op, source }) => op === 'c' && source.table === 'odd');
    const extra = edit(at, ({ source }) => ({ source: { ...source, ordinal: 99 } }))[at]!;
    expect(await compareLog(history, log.toSpliced(at + 1, 0, extra))).toMatchObject({
      ...NONE,
      invented: 1,
      first: [expect.any(String)],
    });
  });

  test.each([
    ['after', 'big'],
    ['before', 'label'],
    ['after', 'old-key:'],
    ['before', 'bits'],
  ] as const)('one cell that changed is named: %s.%s', async (side, column) => {
    const at = indexOf(({ op, before, source }) => op === 'u' && source.table === 'odd' && before?.label === 'l');
    const doctored = edit(at, (value) => ({ [side]: { ...value[side], [column]: 'other' } }));
    const comparison = await compareLog(history, doctored);
    expect(comparison).toMatchObject({ ...NONE, differing: 1, first: [expect.any(String)] });
    expect(comparison.first[0]).toMatch(new RegExp(`: ${side}\\.${column}$`));
  });

  test.each([
    ['op', { op: 'c' }, /op c$/],
    ['old row', { before: null }, /before$/],
  ] as const)('another %s is named', async (_, change, expected) => {
    const at = indexOf(({ op, source }) => op === 'u' && source.table === 'odd');
    const comparison = await compareLog(
      history,
      edit(at, () => change),
    );
    expect(comparison).toMatchObject({ differing: 1, first: [expect.stringMatching(expected)] });
  });
});

test('a recorder outlives crashes and restarts of the server, and counts nothing twice', async () => {
  const server = await startOwnPostgres();
  try {
    await server.admin(
      'CREATE TABLE docs (id serial PRIMARY KEY, label text)',
      'ALTER TABLE docs REPLICA IDENTITY FULL',
    );
    const client = await connect(server.url, 'test');
    await createSecondSlot(client, 'second');
    await client.end();
    const captured = { schema: 'public', tables: ['docs'] };
    const recorder = await startRecorder({ url: server.url, slot: 'second', captured, everyMs: 20 });
    let rows = 0;
    for (const stop of [() => server.crash(), () => server.restart(), () => server.crash()]) {
      for (let write = 0; write < 40; write++) {
        await server.admin(`INSERT INTO docs (label) SELECT 'w' FROM generate_series(1, 5)`);
        rows += 5;
      }
      await stop();
    }
    const history = await recorder.stop();
    expect(recorder.failures()).toBeGreaterThan(0);
    const keys: string[] = [];
    for await (const change of history.changes()) keys.push(change.key);
    expect(keys).toHaveLength(rows);
    expect(new Set(keys).size).toBe(rows);
    await recorder.discard();
  } finally {
    await server.close();
  }
});
