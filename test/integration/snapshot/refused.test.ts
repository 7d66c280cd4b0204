// Requests that cannot be followed, some of them hostile: each fails alone with a reason, and the stream goes on.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { requestSnapshot, waitForSnapshot } from '../../../connectors/snapshot/request.ts';
import { signalTopicOf } from '../../../runtime/config.ts';
import { createKafka, type Kafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';

const SCHEMA = `CREATE TABLE docs (id integer PRIMARY KEY, label text, at timestamptz DEFAULT now());
  INSERT INTO docs SELECT i, 'secret' || i FROM generate_series(1, 50) i;
  CREATE TABLE written (id integer);
  CREATE FUNCTION writes() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.written VALUES (1); RETURN true; END';
  CREATE FUNCTION writes_secretly() RETURNS boolean STABLE LANGUAGE sql AS 'SELECT public.writes()';
  CREATE FUNCTION sleeps() RETURNS boolean STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1000); RETURN true; END';
  CREATE FUNCTION asks_for_nothing(integer) RETURNS boolean STABLE LANGUAGE plpgsql AS
    'DECLARE found boolean; BEGIN EXECUTE ''SELECT no_such_column FROM public.docs'' INTO found; RETURN found; END'`;

const CONDITIONS: readonly [where: string, reason: string | RegExp][] = [
  ['id = 1; DELETE FROM public.docs', 'the condition cannot be used: it holds a ;'],
  ['id = 1) OR (true', 'the condition cannot be used: a ) in it closes nothing'],
  ['id = 1) UNION SELECT * FROM public.docs WHERE (true', 'the condition cannot be used: a ) in it closes nothing'],
  ['id = 1 --', 'the condition cannot be used: it holds a comment'],
  ['id = $1', 'the condition cannot be used: it holds a $ outside of quotes'],
  [' ', 'the condition cannot be used: it is empty'],
  ['EXISTS (WITH gone AS (DELETE FROM public.docs RETURNING 1) SELECT FROM gone)', /data-modifying statement/],
  ['EXISTS (SELECT FROM public.docs FOR UPDATE)', 'cannot execute SELECT FOR UPDATE in a read-only transaction'],
  ['public.writes()', 'the condition calls writes: volatile functions are not allowed'],
  ['public.writes_secretly()', 'cannot execute INSERT in a read-only transaction'],
  ['pg_sleep(1000) IS NOT NULL', 'the condition calls pg_sleep: volatile functions are not allowed'],
  ['"pg_catalog" . "pg_sleep" (1000) IS NOT NULL', 'the condition calls pg_sleep: volatile functions are not allowed'],
  [
    `set_config('DateStyle', 'German', false) IS NOT NULL`,
    'the condition calls set_config: volatile functions are not allowed',
  ],
  [
    'pg_terminate_backend(pg_backend_pid())',
    'the condition calls pg_terminate_backend: volatile functions are not allowed',
  ],
  ['public.sleeps()', 'a statement took longer than 2 s, or was cancelled'],
  [
    '(SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b) > 0',
    'a statement took longer than 2 s, or was cancelled',
  ],
  ['1 / (id - 33) <> 7', 'division by zero'],
  ['no_such_column = 1', 'column "no_such_column" does not exist'],
  ['public.asks_for_nothing(id)', 'column "no_such_column" does not exist'],
  ['id', 'argument of WHERE must be type boolean, not type integer'],
  ['max(id) > 1', 'aggregate functions are not allowed in WHERE'],
  ['id = ', /syntax error/],
  // What a value holds is nobody's business.
  ['label::integer > 0', 'PostgreSQL cannot compute a value in it (SQLSTATE 22P02)'],
];

let rig: ConnectorRig;
let kafka: Kafka;
let connector: RunningConnector;
beforeAll(async () => {
  rig = await createConnectorRig('refused', {
    tables: ['docs'],
    schema: SCHEMA,
    env: { CROSSWALK_CHUNK_ROWS: '10', CROSSWALK_SNAPSHOT_TIMEOUT_SECONDS: '2', LOG_LEVEL: 'error' },
  });
  kafka = createKafka(rig.config.kafka(), createLog('silent'));
  connector = rig.run();
  await rig.untilCaughtUp();
});
afterAll(() => rig?.drop());
/** The session must stay one and the same: what was said of a reset connection would be lost. */
let events = 0;
beforeEach(() => {
  events = connector.status.events;
});

const end = (id: string) =>
  waitForSnapshot(rig.config, kafka, id, { signal: new AbortController().signal, timeoutMs: 60_000 });

test.each(CONDITIONS)('%s', async (where, reason) => {
  const { rows: sessions } = await rig.legacy.query(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'crosswalk-snapshot' AND datname = current_database()`,
  );
  const id = randomUUID();
  const signal = {
    v: 1,
    id,
    kind: 'snapshot',
    table: 'docs',
    where,
    keys: null,
    repair: false,
    hints: null,
    by: 'test',
    at: '',
  };
  await kafka.append(signalTopicOf(rig.config), {
    key: Buffer.from(rig.config.slot),
    value: Buffer.from(JSON.stringify(signal)),
  });
  const result = await end(id);
  expect(result.state).toBe('failed');
  if (typeof reason === 'string') expect(result.reason).toBe(reason);
  else expect(result.reason).toMatch(reason);
  expect(result.reason).not.toContain('secret');
  await rig.legacy.query(`UPDATE docs SET label = label || '.' WHERE id = 1`);
  await rig.untilCaughtUp();
  expect(connector.status.events).toBeGreaterThan(events);
  const { rows: after } = await rig.legacy.query(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'crosswalk-snapshot' AND datname = current_database()`,
  );
  expect(after).toEqual(sessions);
});

test('afterwards rows are read, and nothing was written', async () => {
  const signal = { table: 'docs', where: `label LIKE 'secret%' AND (id < 11 OR "at" > '2000-01-01')` };
  expect(await end(await requestSnapshot(rig.config, kafka, signal))).toMatchObject({ state: 'done', rows: 50 });
  const { differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
  expect((await rig.legacy.query('SELECT FROM written')).rowCount).toBe(0);
  await connector.stop();
});

test('what the connector would refuse is refused before it is asked', async () => {
  const ask = (request: Parameters<typeof requestSnapshot>[2]) => requestSnapshot(rig.config, kafka, request);
  await expect(ask({ table: 'elsewhere' })).rejects.toMatchObject({ code: 'table_missing' });
  for (const [where] of CONDITIONS.slice(0, 6))
    await expect(ask({ table: 'docs', where })).rejects.toMatchObject({ code: 'config_invalid' });
  await expect(ask({ table: 'docs', keys: [] })).rejects.toMatchObject({ code: 'config_invalid' });
  await expect(ask({ table: 'docs', where: 'true', keys: [['1']] })).rejects.toMatchObject({ code: 'config_invalid' });
  const long = Array.from({ length: 1000 }, (_, at) => [`${at}${'x'.repeat(1000)}`]);
  await expect(ask({ table: 'docs', keys: long })).rejects.toThrow(/takes \d+ bytes, and a signal holds 900000/);
  await expect(ask({ table: 'docs', where: `label = '${'x'.repeat(900_000)}'` })).rejects.toThrow(/a signal holds/);
  expect((await kafka.fetchOffsets([signalTopicOf(rig.config)])).get(signalTopicOf(rig.config))![0]!.high).toBe(
    BigInt(CONDITIONS.length + 1),
  );
});
