import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLsn } from '../../../changes/lsn.ts';
import { findFailoverGaps } from '../../../connectors/slot.ts';
import { topicOf, transactionTopicOf } from '../../../runtime/config.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createSecondSlot, startRecorder } from '../../oracle/log-history.ts';
import { compareLog } from '../../oracle/log-history-compare.ts';
import { findDifferences, findFaults } from '../../support/check-log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';
import { readBoundaries, readLog } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import { openTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { type DatabaseServer, openDatabaseServer } from './database-server.ts';

let primary: DatabaseServer;
let standby: DatabaseServer;
let address: TcpProxy;
let rig: ConnectorRig;
const servers: DatabaseServer[] = [];
const open = async (...parameters: Parameters<typeof openDatabaseServer>) => {
  const server = await openDatabaseServer(...parameters);
  servers.push(server);
  return server;
};

beforeAll(async () => {
  primary = await open();
  await primary.admin(
    `SELECT pg_create_physical_replication_slot('standby')`,
    'CREATE TABLE docs (id serial PRIMARY KEY, label text)',
  );
  await primary.stop();
  const copied = primary.copy();
  await primary.start();
  const { port, password } = new URL(primary.url);
  standby = await open(copied, {
    primary_conninfo: `host=127.0.0.1 port=${port} user=postgres password=${password} dbname=legacy`,
    primary_slot_name: 'standby',
    hot_standby_feedback: 'on',
    sync_replication_slots: 'on',
  });
  address = await openTcpProxy(primary.port);
  rig = await createConnectorRig('failover', {
    tables: ['docs'],
    schema: '',
    legacyUrl: at(primary.url, address.port),
    env: { LOG_LEVEL: 'info' },
  });
});
afterAll(async () => {
  await rig?.drop();
  await address?.close();
  for (const server of servers) await server.close();
});

const at = (text: string, port: number): string => {
  const url = new URL(text);
  url.port = String(port);
  return url.href;
};
const write = (server: DatabaseServer) =>
  server.admin(
    `INSERT INTO docs (label) SELECT 'row ' || i FROM generate_series(1, 50) i`,
    `UPDATE docs SET label = label || '+' WHERE id % 3 = 0`,
    'DELETE FROM docs WHERE id % 7 = 0',
  );
const readEnd = async (server: DatabaseServer) =>
  parseLsn((await server.admin<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn'))[0]!.lsn);
const untilReached = async (server: DatabaseServer) => {
  const end = await readEnd(server);
  await waitUntil('the log has all of it', async () => ((await rig.readPosition())?.lsn ?? 0n) >= end);
};
const slotOf = async (server: DatabaseServer, slot = rig.config.slot) => {
  const [row] = await server.admin<Record<'failover' | 'synced' | 'temporary', string>>(
    `SELECT failover, synced, temporary FROM pg_replication_slots WHERE slot_name = '${slot}'`,
  );
  return row;
};
const refusal = async (url: string) => {
  const error = (await rig.run({ LEGACY_DATABASE_URL: url }).ended) as Error & { code: string; remedy: string };
  return { code: error.code, text: `${error.message} ${error.remedy}` };
};
const readLogOf = () => readLog(stackAddresses(), [topicOf(rig.config, 'docs')]);

test('what would be in the way of a failover is named', async () => {
  const client = await connect(primary.url, 'test');
  const gaps = async () => (await findFailoverGaps(client, 'old')).map(({ what, remedy }) => `${what}. ${remedy}`);
  try {
    await client.query(`SELECT pg_create_logical_replication_slot('old', 'pgoutput')`);
    expect(await gaps()).toEqual([
      expect.stringMatching(/slot old is not kept on standbys/),
      expect.stringMatching(/synchronized_standby_slots = 'standby'/),
    ]);
    await client.query(`SELECT pg_drop_replication_slot('old')`);
    await client.query(`ALTER SYSTEM SET synchronized_standby_slots = 'standby'`);
    await client.query('SELECT pg_reload_conf()');
    await waitUntil('nothing is in the way', async () => (await gaps()).length === 0);
    await standby.stop();
    await waitUntil('the standby is missed', async () => /not connected: slot standby/.test((await gaps()).join()));
    await standby.start();
  } finally {
    await client.end();
  }
});

test('a standby with the slot takes over: the connector goes on by itself, nothing is lost or doubled', async () => {
  const client = new pg.Client({ connectionString: primary.url });
  await client.connect();
  await createSecondSlot(client, 'second', true);
  await client.end();
  let serving = primary;
  const captured = { schema: 'public', tables: ['docs'] };
  const recorder = await startRecorder({ url: () => serving.url, slot: 'second', captured, everyMs: 200 });
  const connector = startCli(['connect'], rig.env);
  try {
    await connector.untilSaid('"streaming"');
    await write(primary);
    for (const slot of [rig.config.slot, 'second'])
      await waitUntil(`the standby has slot ${slot}`, async () => {
        await primary.admin('SELECT pg_log_standby_snapshot()');
        const synced = await slotOf(standby, slot);
        return synced?.synced === 't' && synced.temporary === 'f';
      });
    await write(primary);
    await untilReached(primary);
    // What is not confirmed on the standby's slot yet comes again.
    await write(primary);
    await address.close();
    await primary.stop('SIGKILL');
    address = await openTcpProxy(standby.port, address.port);
    await connector.untilSaid('the server is a standby');
    await standby.admin('SELECT pg_promote()');
    serving = standby;
    await write(standby);
    await untilReached(standby);
    await write(standby);
    await untilReached(standby);
    expect(connector.isRunning()).toBe(true);
    expect((await rig.readPosition())!.bound).toMatchObject({ timeline: 2, history: [{ timeline: 1 }] });
    connector.child.kill('SIGTERM');
    expect(await connector.ended).toBe(0);
    const log = await readLogOf();
    const boundaries = await readBoundaries(stackAddresses(), transactionTopicOf(rig.config));
    const database = await connect(standby.url, 'test');
    expect(await findDifferences(database, log, ['docs'])).toEqual([]);
    await database.end();
    expect(findFaults(log, boundaries)).toEqual([]);
    const comparison = await compareLog(await recorder.stop(), log);
    expect(comparison.first).toEqual([]);
    expect(comparison.changes).toBeGreaterThan(5 * 50);
    expect(comparison.records).toBe(comparison.changes);
    expect(new Set(log.map(({ value }) => value?.source.timeline))).toEqual(new Set([1, 2, undefined]));
  } finally {
    connector.child.kill('SIGKILL');
    await connector.ended;
    await recorder.discard();
  }
});

test('the old primary is refused', async () => {
  await primary.start();
  expect(await refusal(primary.url)).toMatchObject({
    code: 'position_mismatch',
    text: expect.stringMatching(/reached on timeline 2, and timeline 1 did not come from it.*"Failover"/),
  });
});

test('an address that moves between the look at the server and the stream is noticed', async () => {
  // Everything goes to the new primary until the stream is opened, and to the old one from then on.
  let hasMoved = false;
  const moving = createServer((client) => {
    client.once('data', (startup) => {
      hasMoved ||= startup.includes('crosswalk-connector-');
      const server = dial({ host: '127.0.0.1', port: hasMoved ? primary.port : standby.port });
      server.write(startup);
      client.pipe(server).pipe(client);
      for (const [socket, other] of [
        [client, server],
        [server, client],
      ] as const)
        socket.on('error', () => undefined).on('close', () => other.destroy());
    });
  });
  moving.listen(0, '127.0.0.1');
  await once(moving, 'listening');
  try {
    const { port } = moving.address() as AddressInfo;
    const before = await readLogOf();
    await primary.admin(`INSERT INTO docs (label) VALUES ('after the failover, on the old primary')`);
    // In plain text from the first byte: the name of a session is what tells the two apart.
    expect(await refusal(`${at(primary.url, port)}?sslmode=disable`)).toMatchObject({ code: 'position_mismatch' });
    expect(hasMoved).toBe(true);
    expect(await readLogOf()).toHaveLength(before.length);
  } finally {
    moving.close();
  }
});

test('servers that lack what the log holds are refused: a restored copy, a promoted copy, one without the slot', async () => {
  await standby.stop();
  const copied = standby.copy();
  await standby.start();
  const connector = rig.run({ LEGACY_DATABASE_URL: standby.url });
  await write(standby);
  await standby.admin(`SELECT pg_logical_emit_message(false, 'test', repeat('x', 3000000))`);
  await untilReached(standby);
  await connector.stop();
  const stored = (await rig.readPosition())!.lsn;

  const copy = await open(copied);
  const confirmed = () =>
    copy.admin<{ lsn: string }>(
      `SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = '${rig.config.slot}'`,
    );
  expect(parseLsn((await confirmed())[0]!.lsn)).toBeLessThan(stored);
  expect(await refusal(copy.url)).toMatchObject({
    code: 'position_mismatch',
    text: expect.stringMatching(/server's log ends at 0\/\w+, before the stored position 0\/\w+.*"Restoring"/),
  });

  await copy.stop();
  const behindFiles = copy.copy();
  await copy.start();

  // Once it has written more than the original had, what it sends instead gives it away.
  await copy.admin(
    `INSERT INTO docs (label) VALUES ('of the copy alone')`,
    `SELECT pg_logical_emit_message(false, 'test', repeat('x', 6000000))`,
    'CHECKPOINT',
  );
  expect(await readEnd(copy)).toBeGreaterThan(stored);
  for (let start = 1; start <= 2; start++)
    expect(await refusal(copy.url)).toMatchObject({
      code: 'position_mismatch',
      text: expect.stringMatching(/Transaction \d+:\d+ is the server's last one before .*"Restoring"/),
    });
  expect((await rig.readPosition())!.lsn).toBe(stored);

  await copy.stop();
  const behind = await open(behindFiles, { primary_conninfo: '' });
  await behind.admin('SELECT pg_promote()');
  // Far past the stored position: the history alone tells that its own changes are other ones.
  await behind.admin(`SELECT pg_logical_emit_message(false, 'test', repeat('x', 6000000))`, 'CHECKPOINT');
  expect(await readEnd(behind)).toBeGreaterThan(stored);
  const refused = {
    code: 'position_mismatch',
    text: expect.stringMatching(
      /stored position 0\/\w+ on timeline 2 lies past 0\/\w+, where timeline 3 left it.*"Failover"/,
    ),
  };
  expect(await refusal(behind.url)).toMatchObject(refused);
  expect(await refusal(behind.url)).toMatchObject(refused);
  expect((await rig.readPosition())!.lsn).toBe(stored);

  // The refused one lets go of it a moment later.
  await waitUntil('the slot is dropped', () =>
    behind.admin(`SELECT pg_drop_replication_slot('${rig.config.slot}')`).then(
      () => true,
      () => false,
    ),
  );
  expect(await refusal(behind.url)).toMatchObject({
    code: 'slot_invalid',
    text: expect.stringMatching(/not on this server of timeline 3.*timeline 2.*before it had the slot.*"Failover"/),
  });
  expect(await slotOf(behind)).toBeUndefined();
});

test('a slot that the server gave up is refused, and the reason said', async () => {
  await standby.admin(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`, 'SELECT pg_reload_conf()');
  await waitUntil('the slot is lost', async () => {
    const [row] = await standby.admin<{ status: string }>(
      'INSERT INTO docs (label) VALUES (NULL)',
      'SELECT pg_switch_wal()',
      'CHECKPOINT',
      `SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = '${rig.config.slot}'`,
    );
    return row!.status === 'lost';
  });
  const process = startCli(['connect'], { ...rig.env, LEGACY_DATABASE_URL: standby.url, LOG_LEVEL: 'silent' });
  expect(await process.ended).toBe(2);
  expect(process.stderr()).toMatch(/slot \w+ was invalidated \(wal_removed\): .*"A lost slot"/);
});
