// While one source transaction is written no position can be: it must not look like a stall, or the watchdog would end the connector again and again.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
let connector: RunningConnector;
beforeAll(async () => {
  rig = await createConnectorRig('long', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY, label text)',
  });
  connector = rig.run();
  await rig.untilCaughtUp();
});
afterAll(async () => {
  await connector?.stop();
  await rig?.drop();
});

test('while it is written, progress is told far more often than positions are', async () => {
  const { status } = connector;
  const before = status.transactions;
  let [longestIdleMs, longestWithoutPositionMs] = [0, 0];
  let [lsn, atMs] = [status.lsn, performance.now()];
  const timer = setInterval(() => {
    const nowMs = performance.now();
    longestIdleMs = Math.max(longestIdleMs, nowMs - status.lastProgressMs);
    longestWithoutPositionMs = Math.max(longestWithoutPositionMs, nowMs - atMs);
    if (status.lsn !== lsn) [lsn, atMs] = [status.lsn, nowMs];
  }, 10);
  try {
    await rig.legacy.query(`INSERT INTO docs SELECT i, md5(i::text) FROM generate_series(1, 150000) i`);
    await waitUntil('it is written', () => status.transactions > before && status.events >= 150_000, 100_000);
  } finally {
    clearInterval(timer);
  }
  expect(longestIdleMs).toBeLessThan(longestWithoutPositionMs / 2);
});
