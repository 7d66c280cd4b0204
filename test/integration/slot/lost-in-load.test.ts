// The server gives the slot up in the middle of the initial load: under a connector that is frozen, and so under one that would go on with the load.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COULD_NOT_RUN } from '../../../runtime/error-codes/policy.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';
import { waitUntil } from '../../support/wait-until.ts';

let own: OwnPostgres;
let rig: ConnectorRig;
let frozen: CliProcess | undefined;
beforeAll(async () => {
  own = await startOwnPostgres();
  rig = await createConnectorRig('lost', {
    legacyUrl: own.url,
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text); INSERT INTO docs SELECT i, 'loaded' FROM generate_series(1, 500) i`,
    env: { CROSSWALK_CHUNK_ROWS: '10' },
  });
});
afterAll(async () => {
  if (frozen?.isRunning()) frozen.child.kill('SIGKILL');
  await frozen?.ended;
  await rig?.drop();
  await own?.close();
});

const readSlot = async () =>
  (
    await rig.legacy.query<{ wal_status: string; active: string }>(
      'SELECT wal_status, active FROM pg_replication_slots WHERE slot_name = $1',
      [rig.config.slot],
    )
  ).rows[0];

test('it stops, at every start, makes no other slot and reads no further chunk', async () => {
  await own.admin(`ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'`, 'SELECT pg_reload_conf()');
  frozen = startCli(['connect'], {
    NODE_NO_WARNINGS: '1',
    ...rig.env,
    CROSSWALK_FAULTS: 'watermark.before=freeze@20',
  });
  await frozen.untilSaid('fault injected');
  await rig.legacy.query(`UPDATE docs SET label = 'changed' WHERE id <= 10`);
  await waitUntil('the slot is lost', async () => {
    await own.admin(`SELECT pg_logical_emit_message(false, 'test', 'x')`, 'SELECT pg_switch_wal()', 'CHECKPOINT');
    return (await readSlot())?.wal_status === 'lost';
  });
  frozen.child.kill('SIGCONT');
  expect(await frozen.ended, frozen.stderr()).toBe(COULD_NOT_RUN);
  expect(frozen.stderr()).toMatch(/^crosswalk connect: .*"A lost slot"\.$/m);
  const stored = await rig.readPosition();
  expect(stored?.snapshot.docs).toMatchObject({ done: false });
  for (let start = 0; start < 2; start++) {
    expect(await rig.run().ended).toMatchObject({
      code: 'slot_invalid',
      message: expect.stringContaining('invalidated'),
    });
    expect(await readSlot()).toMatchObject({ wal_status: 'lost' });
  }
  expect(await rig.readPosition()).toEqual(stored);
});
