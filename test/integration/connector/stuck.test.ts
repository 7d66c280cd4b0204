// A failure that comes back without any progress ends the process, and is not retried for ever; what waiting heals goes on waiting. The last resort passes over what cannot be sent.
import { afterEach, expect, test } from 'vitest';
import { requestResnapshot } from '../../../connectors/resnapshot.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { startCli } from '../../support/connector-process.ts';

let rig: ConnectorRig;
afterEach(() => rig?.drop());

const SCHEMA = `CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 50) i`;

test('an unexpected failure at one place of the stream ends with exit code 2 and one line', async () => {
  rig = await createConnectorRig('stuck', { tables: ['t'], schema: SCHEMA });
  const first = rig.run();
  await rig.untilCaughtUp();
  await first.stop();
  await rig.legacy.query(`UPDATE t SET v = 'y' WHERE id = 1`);
  const poisoned = startCli(['connect'], { ...rig.env, CROSSWALK_FAULTS: 'kafka_commit.before=break' });
  expect(await poisoned.ended).toBe(2);
  const lines = poisoned.stderr().trim().split('\n');
  expect(lines.filter((line) => line.startsWith('crosswalk connect: '))).toEqual([
    expect.stringMatching(
      /^crosswalk connect: .*: 6 times without getting any further, at LSN [0-9A-F]+\/[0-9A-F]+\. .*docs\/operations\.md, "Stuck"\.$/,
    ),
  ]);
  const said = lines.find((line) => line.startsWith('crosswalk connect: '))!.slice('crosswalk connect: '.length);
  const status = startCli(['status'], rig.env);
  expect(await status.ended).toBe(1);
  expect(status.stdout()).toContain(said);
  const next = rig.run();
  await rig.untilCaughtUp();
  expect((await rig.readCheckedLog()).differences).toEqual([]);
  await next.stop();
}, 120_000);

test('the last resort: passes over what the server cannot send, and reads every table again', async () => {
  rig = await createConnectorRig('skip', {
    tables: ['t', 'u'],
    schema: `${SCHEMA}; CREATE TABLE u (id integer PRIMARY KEY)`,
  });
  const first = rig.run();
  await rig.untilCaughtUp();
  await first.stop();
  await rig.legacy.query(
    `UPDATE t SET v = 'passed over' WHERE id < 10; DELETE FROM t WHERE id = 11; INSERT INTO u VALUES (1)`,
  );
  const before = (await rig.readPosition())!;
  await requestResnapshot(rig.config, {
    ...{ tables: [], accept: false, skip: true, log: createLog('silent'), signal: new AbortController().signal },
  });
  const after = (await rig.readPosition())!;
  expect(after.lsn).toBeGreaterThan(before.lsn);
  const { rows } = await rig.legacy.query(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [rig.config.slot],
  );
  expect(rows).toEqual([{ lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) }]);
  const next = rig.run();
  await rig.untilCaughtUp();
  const { log, differences } = await rig.readCheckedLog();
  // A row that was deleted meanwhile has no event: verification names it, and its repair deletes it.
  expect(differences).toEqual(['t {"id":"11"}: only in the log']);
  expect(log.some(({ value }) => value?.op === 'u' || value?.op === 'c')).toBe(false);
  await next.stop();
}, 120_000);
