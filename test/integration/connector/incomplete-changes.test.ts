// Changes that the stream does not tell whole: the connector stops for a person, and what it says to do makes the log whole, with such changes still in the stream.
import { afterEach, expect, test } from 'vitest';
import { requestResnapshot } from '../../../connectors/resnapshot.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { untilSlotIsFree } from '../../support/slot.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
afterEach(() => rig?.drop());

const BIG = `(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i)`;

async function start(tables: readonly string[], schema: string, env: Readonly<Record<string, string>> = {}) {
  rig = await createConnectorRig('incomplete', { tables, schema, env: { LOG_LEVEL: 'silent', ...env } });
  const connector = rig.run();
  await rig.untilCaughtUp();
  return connector;
}

/** It stops so, at every start, and `status` says it in the same words. */
async function expectStop(connector: RunningConnector, line: RegExp): Promise<void> {
  for (let ending = connector; ; ending = rig.run()) {
    const stopped = (await ending.ended) as CrosswalkError;
    expect(toErrorLine(stopped)).toMatch(line);
    const status = startCli(['status', '--json'], rig.env);
    await status.ended;
    const { findings } = JSON.parse(status.stdout()) as { findings: { what: string }[] };
    expect(findings.map(({ what }) => what)).toContainEqual(expect.stringContaining(toErrorLine(stopped)));
    if (ending !== connector) return;
  }
}

const resnapshot = (table: string) =>
  requestResnapshot(rig.config, {
    ...{ tables: [table], accept: false, log: createLog('silent'), signal: new AbortController().signal },
  });

async function expectWhole(differences: string[] = []): Promise<void> {
  await rig.untilCaughtUp();
  expect((await rig.readCheckedLog()).differences.sort()).toEqual(differences);
}

test('a partition without its own identity: rows whose large values were not sent', async () => {
  const connector = await start(
    ['ev', 'other'],
    `CREATE TABLE ev (id integer PRIMARY KEY, body text, note text) PARTITION BY RANGE (id);
     CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (100);
     CREATE TABLE other (id integer PRIMARY KEY, v text);
     INSERT INTO ev SELECT i, ${BIG}, 'x' FROM generate_series(1, 20) i`,
  );
  // A new partition has an identity of its own. While it has no rows a connector goes on.
  await rig.legacy.query(`CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM (100) TO (200);
    ALTER TABLE ev ALTER body SET STORAGE EXTERNAL; ALTER TABLE ev_2 ALTER body SET STORAGE EXTERNAL`);
  await rig.legacy.query(`UPDATE ev SET note = 'y' WHERE id < 5`);
  await expectWhole();
  await rig.legacy.query(`INSERT INTO ev SELECT i, ${BIG}, 'x' FROM generate_series(101, 120) i`);
  await rig.legacy.query(
    `UPDATE ev SET body = 'small' WHERE id BETWEEN 100 AND 105; UPDATE ev SET id = 150 WHERE id = 120; DELETE FROM ev WHERE id = 119; UPDATE ev SET note = 'changed' WHERE id = 110`,
  );
  await rig.legacy.query(`INSERT INTO other VALUES (1, 'behind it')`);
  await expectStop(
    connector,
    /^(public\.ev: changes of its partition public\.ev_2 were sent without old rows, under REPLICA IDENTITY DEFAULT\. .*`crosswalk resnapshot ev`|Partitions are not REPLICA IDENTITY FULL, .*ALTER TABLE public\.ev_2 REPLICA IDENTITY FULL;)/,
  );
  await rig.legacy.query('ALTER TABLE ev_2 REPLICA IDENTITY FULL');
  await expectStop(rig.run(), /^public\.ev: changes of its partition public\.ev_2 were sent without old rows/);
  await resnapshot('ev');
  const next = rig.run();
  await expectWhole();
  expect(next.status.passedOver).toBeGreaterThan(0);
  const { log } = await rig.readCheckedLog();
  // The server calls the key an old row, and it is none: neither its nulls nor what they would fill in are told.
  const of = (id: number) => log.filter(({ key, value }) => key === `{"id":"${id}"}` && value !== null);
  expect(of(119).map(({ value }) => [value!.op, value!.before])).toEqual([
    ['c', null],
    ['d', null],
  ]);
  expect(of(150).map(({ value }) => [value!.op, value!.after?.body?.length])).toEqual([['r', 9600]]);
  await rig.legacy.query(`UPDATE ev SET note = 'last' WHERE id = 110`);
  await expectWhole();
  await next.stop();
  // Nothing of it is kept.
  expect(await rig.readPosition()).not.toHaveProperty('reread');
}, 180_000);

test('another replica identity for a while: the key of a row that moved was not sent', async () => {
  const connector = await start(
    ['t'],
    `CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL UNIQUE, v text); INSERT INTO t SELECT i, i, 'x' FROM generate_series(1, 50) i`,
  );
  await connector.stop();
  await rig.legacy.query(`ALTER TABLE t REPLICA IDENTITY USING INDEX t_n_key; UPDATE t SET id = 100 WHERE id = 1; UPDATE t SET n = 70 WHERE id = 2;
    DELETE FROM t WHERE id = 3; ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET v = 'y' WHERE id = 4`);
  await expectStop(
    rig.run(),
    /^Data may have changed without an event: public\.t: its changes were sent without old rows, under REPLICA IDENTITY USING INDEX\. Run `crosswalk resnapshot t`.*rows that are gone/,
  );
  await resnapshot('t');
  const next = rig.run();
  await expectWhole(['t {"id":"1"}: only in the log', 't {"id":"3"}: only in the log']);
  await next.stop();
}, 120_000);

test('a partition that was there for a while', async () => {
  const connector = await start(
    ['ev'],
    `CREATE TABLE ev (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (100);
     INSERT INTO ev SELECT i, 'x' FROM generate_series(1, 20) i`,
  );
  await connector.stop();
  await rig.legacy.query(
    `CREATE TABLE ev_9 PARTITION OF ev FOR VALUES FROM (900) TO (1000); INSERT INTO ev VALUES (901, 'x'); UPDATE ev SET v = 'y' WHERE id = 1; DROP TABLE ev_9`,
  );
  await expectStop(
    rig.run(),
    /^Data may have changed without an event: public\.ev: public\.ev_9 was a partition for a while, and its rows went without an event\. Run `crosswalk resnapshot ev`/,
  );
  await resnapshot('ev');
  const next = rig.run();
  await expectWhole(['ev {"id":"901"}: only in the log']);
  await next.stop();
}, 120_000);

test('a key that is renamed: goes on under its new name, and back', async () => {
  const connector = await start(
    ['t'],
    `CREATE TABLE t (part integer, id integer, v text, PRIMARY KEY (id, part)); INSERT INTO t SELECT 1, i, 'x' FROM generate_series(1, 50) i`,
  );
  /** Rows by the values of their keys, whatever these are called. */
  const expectSame = async () => {
    await rig.untilCaughtUp();
    const { log, faults } = await rig.readCheckedLog();
    expect(faults).toEqual([]);
    const last = new Map(
      log.map(({ key, value }) => [Object.values(JSON.parse(key) as object).join(), value?.after?.v]),
    );
    const { rows } = await rig.legacy.query<{ key: string; v: string }>(
      `SELECT concat_ws(',', to_jsonb(t) ->> 'id', to_jsonb(t) ->> 'key_id', part) AS key, v FROM t ORDER BY 1`,
    );
    const told = [...last].filter(([, v]) => v !== undefined).map(([key, v]) => ({ key, v }));
    expect(told.sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual(rows.sort((a, b) => (a.key < b.key ? -1 : 1)));
  };
  await rig.legacy.query(
    `ALTER TABLE t RENAME id TO key_id; INSERT INTO t VALUES (2, 100, 'new'); UPDATE t SET v = 'y' WHERE key_id < 10; DELETE FROM t WHERE key_id = 11`,
  );
  await expectSame();
  await connector.stop();
  // Rows in between, and a start after it.
  await rig.legacy.query(
    `UPDATE t SET v = 'z' WHERE key_id = 12; ALTER TABLE t RENAME key_id TO id; UPDATE t SET v = 'back' WHERE id = 13; DELETE FROM t WHERE id = 14`,
  );
  await expectStop(
    rig.run(),
    /^Data may have changed without an event: public\.t: (names of its columns stand|columns have names again).*\(id\)/,
  );
  await resnapshot('t');
  const next = rig.run();
  await expectSame();
  await rig.legacy.query(`UPDATE t SET v = 'last' WHERE id = 15`);
  await expectSame();
  await next.stop();
}, 120_000);

test('a type that is changed and changed back, with a row in between', async () => {
  const connector = await start(
    ['t'],
    `CREATE TABLE t (id integer PRIMARY KEY, n integer, v text); INSERT INTO t SELECT i, i, 'x' FROM generate_series(1, 50) i`,
  );
  await rig.legacy.query(
    `ALTER TABLE t ALTER n TYPE text; UPDATE t SET n = 'text' WHERE id = 1; INSERT INTO t VALUES (100, 'more', 'x')`,
  );
  expect(await connector.ended).toMatchObject({
    code: expect.stringMatching(/^(schema_incompatible|source_changed)$/),
  });
  const refused = (await rig.run().ended) as CrosswalkError;
  expect(toErrorLine(refused)).toMatch(
    /^public\.t: column "n" is text now, and its events in the log are int\. .*old type back, run `crosswalk resnapshot t`/,
  );
  await rig.legacy.query(
    `UPDATE t SET n = '0' WHERE n !~ '^[0-9]+$'; ALTER TABLE t ALTER n TYPE integer USING n::integer; UPDATE t SET v = 'y' WHERE id = 2`,
  );
  await resnapshot('t');
  const next = rig.run();
  await expectWhole();
  await next.stop();
}, 120_000);

test('a table that is swapped for another one: the old one is nobody any more', async () => {
  const connector = await start(
    ['t'],
    `CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 50) i`,
  );
  await connector.stop();
  await rig.legacy.query(`UPDATE t SET v = 'before' WHERE id = 1;
    CREATE TABLE t_new (LIKE t INCLUDING ALL); ALTER TABLE t_new REPLICA IDENTITY FULL; INSERT INTO t_new SELECT * FROM t; ALTER PUBLICATION crosswalk ADD TABLE t_new`);
  await rig.legacy.query('BEGIN; ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t; COMMIT');
  await expectStop(rig.run(), /public\.t: the table was replaced by another one/);
  await resnapshot('t');
  const next = rig.run();
  await rig.legacy.query('DELETE FROM t_old');
  await rig.legacy.query(`UPDATE t SET v = 'after' WHERE id = 2`);
  await expectWhole();
  expect(next.status.passedOver).toBeGreaterThanOrEqual(50);
  await next.stop();
}, 120_000);

test('a partition that becomes one of a published table while it is captured', async () => {
  const first = await start(
    ['t'],
    `CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 50) i;
     CREATE TABLE whole (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE PUBLICATION crosswalk FOR ALL TABLES WITH (publish_via_partition_root = true)`,
  );
  await first.stop();
  // The next look at the catalog, which would see it too, is far off: rows come first.
  const connector = rig.run({ CROSSWALK_HEARTBEAT_MS: '600000' });
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  await rig.legacy.query(
    `BEGIN; ALTER TABLE whole ATTACH PARTITION t FOR VALUES FROM (0) TO (1000); UPDATE t SET v = 'unseen' WHERE id = 7; COMMIT`,
  );
  await expectStop(
    connector,
    /^Publication crosswalk sends the rows of t as rows of public\.whole.*`crosswalk resnapshot t`/,
  );
  await rig.legacy.query('ALTER PUBLICATION crosswalk SET (publish_via_partition_root = false)');
  await expectStop(rig.run(), /public\.t: the publication was altered/);
  await resnapshot('t');
  const next = rig.run();
  await expectWhole();
  await next.stop();
}, 120_000);

test('rows of tables that nobody captures are counted, and named once', async () => {
  const connector = await start(
    ['t'],
    `CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE TABLE noise (id integer PRIMARY KEY); CREATE PUBLICATION crosswalk FOR ALL TABLES`,
  );
  await rig.legacy.query('INSERT INTO noise SELECT generate_series(1, 30)');
  await rig.legacy.query(`INSERT INTO t VALUES (1, 'x')`);
  await waitUntil('they are counted', () => connector.status.passedOver === 30);
  await expectWhole();
  await connector.stop();
});

test('a type that the registry refuses, undone: rows that left a key under it are gone', async () => {
  const connector = await start(
    ['docs', 'other'],
    `CREATE TABLE docs (n integer, id integer PRIMARY KEY, v text); CREATE TABLE other (id integer PRIMARY KEY, v text);
     INSERT INTO docs SELECT i, i, 'v' FROM generate_series(1, 40) i`,
  );
  await rig.legacy.query('ALTER TABLE docs ADD late text, ALTER n TYPE bigint');
  await rig.legacy.query(`BEGIN; DELETE FROM docs WHERE id < 5; UPDATE docs SET id = id + 100 WHERE id = 10;
    UPDATE docs SET v = 'passed over' WHERE id = 20; INSERT INTO docs VALUES (50, 50, 'v'); INSERT INTO other VALUES (1, 'beside it'); COMMIT`);
  expect(await connector.ended).toMatchObject({
    code: expect.stringMatching(/^(source_changed|schema_incompatible)$/),
  });
  await rig.legacy.query('ALTER TABLE docs ALTER n TYPE integer');
  await resnapshot('docs');
  const next = rig.run();
  await expectWhole();
  expect(next.status.passedOver).toBe(4);
  const { log } = await rig.readCheckedLog();
  const left = log.filter(({ value }) => value?.op === 'd').map(({ key, value }) => [key, value!.before]);
  expect(left.sort()).toEqual([1, 10, 2, 3, 4].map((id) => [`{"id":"${id}"}`, null]));
});

test('a type that the registry refused is no obstacle where the server sends again what is in the log', async () => {
  let connector = await start(
    ['docs'],
    `CREATE TABLE docs (id integer PRIMARY KEY, n integer); INSERT INTO docs SELECT i, i FROM generate_series(1, 10) i`,
  );
  await connector.stop();
  // What a server that has crashed knows of the slot: it was confirmed less far.
  const { slot } = rig.config;
  await rig.legacy.query('SELECT pg_copy_logical_replication_slot($1, $2)', [slot, `${slot}_before`]);
  connector = rig.run();
  await rig.legacy.query('ALTER TABLE docs ALTER n TYPE bigint; UPDATE docs SET n = 0 WHERE id < 5');
  await connector.ended;
  await rig.legacy.query('ALTER TABLE docs ALTER n TYPE integer');
  await resnapshot('docs');
  connector = rig.run();
  await expectWhole();
  await waitUntil('it is read again', async () => (await rig.readPosition())?.reread === undefined);
  await connector.stop();

  await untilSlotIsFree(rig.legacy, slot);
  await rig.legacy.query('SELECT pg_drop_replication_slot($1)', [slot]);
  await rig.legacy.query('SELECT pg_copy_logical_replication_slot($1, $2)', [`${slot}_before`, slot]);
  await rig.legacy.query('SELECT pg_drop_replication_slot($1)', [`${slot}_before`]);
  connector = rig.run();
  await rig.legacy.query('UPDATE docs SET n = 7 WHERE id = 1');
  await expectWhole();
  expect(connector.status.passedOver).toBe(0);
  await connector.stop();
});
