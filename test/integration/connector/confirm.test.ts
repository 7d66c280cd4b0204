// What is confirmed to the server, and what a connector does that goes on where another was killed at exactly the wrong moment.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parseLsn } from '../../../changes/lsn.ts';
import { mark } from '../../../projectors/mark.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
const processes: CliProcess[] = [];
let nextId = 1;
beforeAll(async () => {
  rig = await createConnectorRig('confirm', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY, label text); CREATE TABLE not_captured (id integer)',
    env: { LOG_LEVEL: 'info' },
  });
});
afterEach(async () => {
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
  processes.length = 0;
});
afterAll(() => rig?.drop());

function start(env: Readonly<Record<string, string>>): CliProcess {
  const connector = startCli(['connect'], { ...rig.env, ...env });
  processes.push(connector);
  return connector;
}

const run = (): RunningConnector => rig.run({ LOG_LEVEL: 'warn' });

async function runOnce(): Promise<void> {
  const connector = run();
  await rig.untilCaughtUp();
  await connector.stop();
}

async function write(): Promise<bigint> {
  const id = nextId++;
  await rig.legacy.query(`INSERT INTO docs VALUES (${id}, 'new'), (${-id}, 'new')`);
  await rig.legacy.query(`UPDATE docs SET label = 'changed' WHERE id = ${id}`);
  await rig.legacy.query(`DELETE FROM docs WHERE id = ${-id}`);
  return readServerLsn();
}

async function readServerLsn(): Promise<bigint> {
  const { rows } = await rig.legacy.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return parseLsn(rows[0]!.lsn);
}

async function readConfirmed(): Promise<bigint> {
  const { rows } = await rig.legacy.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [rig.config.slot],
  );
  return parseLsn(rows[0]!.lsn);
}

/** A connector that is refused, because more is confirmed than is stored, is an error here. */
async function expectWholeLog(): Promise<void> {
  await runOnce();
  const { differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });
}

test('nothing is confirmed that Kafka does not hold', async () => {
  const connector = start({ CROSSWALK_FAULTS: 'kafka_commit.before=stall:20000@6' });
  await connector.untilSaid('fault injected', 60_000);
  // For longer than any timer of the connector, the server sends what Kafka has not committed.
  for (let round = 0; round < 15; round++) {
    await write();
    await sleep(150);
  }
  connector.child.kill('SIGKILL');
  await connector.ended;
  await expectWholeLog();
});

test('killed between Kafka’s commit and the confirmation, or before either: all is in the log, once', async () => {
  await runOnce();
  // A commit may be without events: the second time another one is hit.
  for (const fault of ['acknowledge.before=kill', 'acknowledge.before=kill@2', 'kafka_commit.before=kill']) {
    await write();
    const killed = start({ CROSSWALK_FAULTS: fault });
    expect(await killed.ended, killed.stderr()).toBe('SIGKILL');
  }
  await expectWholeLog();
});

test('taken over from one that is killed between Kafka’s commit and the confirmation: all is in the log, once', async () => {
  const killed = start({ CROSSWALK_FAULTS: 'acknowledge.before=kill@5', CROSSWALK_HEARTBEAT_MS: '60000' });
  await killed.untilSaid('"streaming"', 30_000);
  const other = start({});
  await other.untilSaid('standing by', 30_000);
  while (killed.isRunning()) {
    await write();
    await sleep(50);
  }
  const lsn = await write();
  await waitUntil('the other one goes on', async () => {
    expect(other.isRunning(), other.stderr()).toBe(true);
    return ((await rig.readPosition())?.lsn ?? 0n) >= lsn;
  });
  other.child.kill('SIGTERM');
  expect(await other.ended).toBe(0);
  await expectWholeLog();
});

test('a transaction that began before the stored position and commits behind it is not passed over', async () => {
  const connector = run();
  const writer = await connect(rig.env.LEGACY_DATABASE_URL!, 'writer');
  try {
    // A slot would only be made once every older transaction has ended.
    await waitUntil('it streams', () => connector.status.state === 'streaming');
    await writer.query('BEGIN');
    await writer.query(`INSERT INTO docs VALUES (1000, 'began early')`);
    const lsn = await write();
    await waitUntil('the position is past it', () => connector.status.lsn >= lsn);
    await connector.stop();
    await writer.query(`INSERT INTO docs VALUES (1001, 'began early')`);
    await writer.query('COMMIT');
  } finally {
    await writer.end();
  }
  await expectWholeLog();
});

test('an idle source’s position moves, and is confirmed', async () => {
  const connector = run();
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  await rig.legacy.query('INSERT INTO not_captured SELECT generate_series(1, 1000)');
  const lsn = await readServerLsn();
  await waitUntil('what nobody captures is confirmed', async () => (await readConfirmed()) >= lsn, 20_000);
  await connector.stop();
});

test('a mark in an idle source does not wait for the next heartbeat', async () => {
  const connector = rig.run({ CROSSWALK_HEARTBEAT_MS: '600000' });
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  // The first one may be stored together with what the start has to store.
  for (let nth = 0; nth < 2; nth += 1) {
    const lsn = await mark(rig.legacy);
    await waitUntil('its position is stored', async () => ((await rig.readPosition())?.lsn ?? 0n) >= lsn, 20_000);
  }
  await connector.stop();
});
