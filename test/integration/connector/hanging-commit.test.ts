import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { requestSnapshot } from '../../../connectors/snapshot/request.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';
import { waitUntil } from '../../support/wait-until.ts';

let server: OwnPostgres;
let rig: ConnectorRig;
let writer: pg.Client;
/** Never waits for a standby. */
let watcher: pg.Client;
let connector: RunningConnector;
/** The snapshot that was asked for; null: initial load. */
let request: string | null;
let tests = 0;

beforeAll(async () => {
  server = await startOwnPostgres();
});
afterAll(() => server?.close());
afterEach(async () => {
  await releaseCommits();
  await writer?.end();
  await watcher?.end();
  await rig?.drop();
});

/** A connector in the midst of the initial load, or of a snapshot that was asked for after it. */
async function start(isRequested: boolean, env: Readonly<Record<string, string>> = {}): Promise<void> {
  await startConnector(env);
  if (isRequested) {
    await rig.untilCaughtUp();
    await ask();
  }
  await waitUntil('it is under way', () => readLoaded() > 20, 20_000, 1);
}

async function startConnector(env: Readonly<Record<string, string>> = {}): Promise<void> {
  const table = `docs_${++tests}`;
  rig = await createConnectorRig('hanging', {
    legacyUrl: server.url,
    tables: [table],
    schema: `CREATE TABLE ${table} (id integer PRIMARY KEY, label text);
      INSERT INTO ${table} SELECT i, 'old' FROM generate_series(1, 1500) i;
      CREATE FUNCTION paced_${table}() RETURNS boolean STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN true; END'`,
    env: {
      ...{ CROSSWALK_CHUNK_ROWS: '10', CROSSWALK_HEARTBEAT_MS: '50', CROSSWALK_PUBLICATION: table },
      ...{ CROSSWALK_SNAPSHOT_CONNECTIONS: '1', ...env },
    },
  });
  writer = await connect(server.url, 'writer');
  watcher = await connect(server.url, 'watcher', '-c synchronous_commit=local');
  connector = rig.run();
  request = null;
}

/** Asks for all rows, slowly read. */
async function ask(): Promise<void> {
  const kafka = createKafka(rig.config.kafka(), createLog('silent'));
  const table = rig.config.tables[0]!;
  request = await requestSnapshot(rig.config, kafka, { table, where: `public.paced_${table}()` });
}

/** Key of the last row that is in the log. */
function readLoaded(): number {
  const { snapshot, signals } = connector.status;
  const lastKey =
    request === null
      ? snapshot[rig.config.tables[0]!]?.lastKey
      : signals?.requests.find(({ id }) => id === request)?.lastKey;
  return Number(lastKey?.[0] ?? 0);
}

function isDone(): boolean {
  const { snapshot, signals } = connector.status;
  if (request === null) return snapshot[rig.config.tables[0]!]?.done ?? false;
  return signals?.finished.some(({ id }) => id === request) ?? false;
}

async function hangCommits(): Promise<void> {
  await server.admin(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, 'SELECT pg_reload_conf()');
  await waitUntil('commits wait for a standby', async () => {
    const { rows } = await writer.query<{ value: string }>(
      `SELECT current_setting('synchronous_standby_names') AS value`,
    );
    return rows[0]?.value === 'nobody';
  });
}

async function releaseCommits(): Promise<void> {
  await server.admin('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');
}

/** Starts an update of every row whose commit is in the log of the server and visible to nobody. */
async function updateHanging(): Promise<{ committed: Promise<unknown> }> {
  await hangCommits();
  const update = writer.query(`UPDATE ${rig.config.tables[0]} SET label = 'new'`);
  update.catch(() => undefined);
  await waitUntil('the commit hangs', async () => {
    const { rows } = await watcher.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'crosswalk-writer' AND wait_event = 'SyncRep'`,
    );
    return rows.length === 1;
  });
  return { committed: update };
}

/** Stops a server process while it waits, since it must not hold a lock of the server meanwhile. */
async function freeze(pid: number, waitEvent: string): Promise<void> {
  await waitUntil(`process ${pid} waits for ${waitEvent}`, async () => {
    process.kill(pid, 'SIGSTOP');
    const found = watcher.query('SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event LIKE $2', [pid, waitEvent]);
    const isWaiting = await Promise.race([found.then(({ rows }) => rows.length === 1), sleep(500).then(() => false)]);
    if (!isWaiting) process.kill(pid, 'SIGCONT');
    return isWaiting;
  });
}

async function expectWholeLog(): Promise<void> {
  await waitUntil('all is read', isDone);
  await rig.untilCaughtUp();
  const { differences, faults, log } = await rig.readCheckedLog();
  const labels = new Map<string, string[]>();
  for (const { key, value } of log) labels.set(key, [...(labels.get(key) ?? []), value!.after!.label!]);
  const isBackwards = (of: readonly string[]) => of.lastIndexOf('old') > of.indexOf('new');
  expect([...labels].filter(([, of]) => isBackwards(of))).toEqual([]);
  expect(differences).toEqual([]);
  expect(faults).toEqual([]);
  await connector.stop();
}

/** `mostAhead`: rows that may have been under way. */
async function expectHangingChangeKept(mostAhead: number): Promise<void> {
  const events = connector.status.events;
  const { committed } = await updateHanging();
  await waitUntil('the change is streamed', () => connector.status.events >= events + 1500);
  // So is what was read before, with the second Kafka transaction that ends from now on. What is read now is the row of before.
  const transactions = connector.status.kafkaTransactions;
  await waitUntil('it is in the log', () => connector.status.kafkaTransactions >= transactions + 2);
  const loadedAtFirst = readLoaded();
  await sleep(1000);
  expect(isDone()).toBe(false);
  expect(readLoaded()).toBeLessThanOrEqual(loadedAtFirst + mostAhead);
  // A restart must not forget it.
  await connector.stop();
  connector = rig.run();
  await waitUntil('it streams again', () => connector.status.state === 'streaming');
  await sleep(500);
  expect(readLoaded()).toBeLessThanOrEqual(loadedAtFirst + mostAhead);
  await releaseCommits();
  await committed;
  await expectWholeLog();
}

test('by four connections: a change streamed while its commit hangs is not overwritten either', async () => {
  // Slowly, or all is read before the commit hangs.
  await start(false, { CROSSWALK_SNAPSHOT_CONNECTIONS: '4', CROSSWALK_SNAPSHOT_MAX_RATE: '300' });
  await expectHangingChangeKept(60);
});

describe.each([
  ['the initial load', false],
  ['a snapshot on request', true],
])('%s', (_, isRequested) => {
  test('a change streamed while its commit hangs is not overwritten, and the rest is read afterwards', async () => {
    await start(isRequested);
    await expectHangingChangeKept(30);
  });

  test('nor where the stream is behind: the commit is visible before the change is handled', async () => {
    await start(isRequested);
    const readPid = async (sql: string) => Number((await watcher.query<{ pid: string }>(sql)).rows[0]!.pid);
    const loader = await readPid(`SELECT pid FROM pg_stat_activity WHERE application_name = 'crosswalk-snapshot'`);
    const sender = await readPid(
      `SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = '${rig.config.slot}'`,
    );
    const frozen = new Set([loader, sender]);
    try {
      await freeze(loader, 'ClientRead');
      // What the loader has read so far passes, so that it reads on at once when it runs again.
      const lsn = connector.status.lsn;
      await waitUntil('the stream has passed it', () => connector.status.lsn > lsn + 2000n);
      await freeze(sender, 'WalSender%');
      expect(isDone()).toBe(false);
      const { committed } = await updateHanging();
      process.kill(loader, 'SIGCONT');
      frozen.delete(loader);
      await waitUntil('the loader has read ahead, and waits for the stream', async () => {
        const { rows } = await watcher.query(
          `SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'idle' AND state_change < now() - interval '300 ms'`,
          [loader],
        );
        return rows.length === 1;
      });
      await releaseCommits();
      await committed;
      // Heartbeats of now see the change.
      await sleep(300);
      process.kill(sender, 'SIGCONT');
      frozen.delete(sender);
      await expectWholeLog();
    } finally {
      for (const pid of frozen) process.kill(pid, 'SIGCONT');
    }
  });
});

test('a snapshot that is asked for while a streamed change hangs in its commit waits for it', async () => {
  await startConnector();
  await rig.untilCaughtUp();
  const events = connector.status.events;
  const { committed } = await updateHanging();
  await waitUntil('the change is streamed', () => connector.status.events >= events + 1500);
  await ask();
  await waitUntil('the request is heard', () => connector.status.signals?.requests.length === 1);
  await sleep(1000);
  expect(readLoaded()).toBe(0);
  await releaseCommits();
  await committed;
  await expectWholeLog();
});
