import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { connectorHealth } from '../../../monitor/health.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { type OwnKafka, startOwnKafka } from '../../support/own-kafka.ts';
import { createDatabases } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

let kafka: OwnKafka;
let rig: ConnectorRig;
let connector: RunningConnector;
beforeAll(async () => {
  kafka = await startOwnKafka();
  rig = await createConnectorRig('stalled', {
    kafkaBrokers: kafka.brokers,
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, body text)`,
    env: { LOG_LEVEL: 'warn' },
  });
});
afterEach(async () => {
  kafka.server.resume();
  await connector.stop();
});
afterAll(async () => {
  await rig?.drop();
  await kafka?.close();
});

interface Slot {
  active_pid: string | null;
  wal_status: string;
}
const readSlot = async (): Promise<Slot> => {
  const { rows } = await rig.legacy.query<Slot>(
    'SELECT active_pid, wal_status FROM pg_replication_slots WHERE slot_name = $1',
    [rig.config.slot],
  );
  return rows[0]!;
};

test('while Kafka stands still the source keeps what is written, memory stays flat, the slot stays held; then all arrives, once', async () => {
  connector = rig.run();
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  await rig.legacy.query(`INSERT INTO docs SELECT i, 'before' FROM generate_series(1, 100) i`);
  await rig.untilCaughtUp();
  const { active_pid: reader } = await readSlot();
  const heldMb = () => {
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / 1024 / 1024;
  };
  kafka.server.pause();
  const pausedAtMs = performance.now();
  const heldAtFirst = heldMb();
  // 120 MB, far more than is read ahead.
  await rig.legacy.query('INSERT INTO docs SELECT i, repeat(md5(i::text), 320) FROM generate_series(1000, 12999) i');
  await waitUntil('it says that it is blocked', () => connectorHealth(connector.status, rig.config).sign === 'blocked');
  // The server gives a reader up that is silent for 5 s.
  await sleep(Math.max(0, 10_000 - (performance.now() - pausedAtMs)));
  expect(connectorHealth(connector.status, rig.config)).toMatchObject({ live: true, sign: 'blocked' });
  expect(await readSlot()).toMatchObject({ active_pid: reader, wal_status: 'reserved' });
  expect(heldMb() - heldAtFirst).toBeLessThan(60);
  kafka.server.resume();
  await rig.untilCaughtUp();
  expect(connectorHealth(connector.status, rig.config)).toMatchObject({ live: true, sign: 'healthy' });
  const { differences, faults } = await rig.readCheckedLog();
  expect(differences).toEqual([]);
  expect(faults).toEqual([]);
});

test('a source that is idle on a busy server holds no log back', async () => {
  connector = rig.run();
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  const other = await createDatabases('busy');
  const writer = await connect(other.legacyUrl, 'writer');
  try {
    await writer.query('CREATE TABLE noise (body text)');
    for (let round = 1; round <= 3; round++) {
      await writer.query(`INSERT INTO noise SELECT repeat(md5(i::text), 100) FROM generate_series(1, 5000) i`);
      const { rows } = await rig.legacy.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      await waitUntil('the slot has let go of it', async () => {
        const { rows: slots } = await rig.legacy.query(
          'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn AND restart_lsn >= $2::pg_lsn - 16777216::numeric',
          [rig.config.slot, rows[0]!.lsn],
        );
        return slots.length === 1;
      });
    }
  } finally {
    await writer.end();
    await other.drop();
  }
});
