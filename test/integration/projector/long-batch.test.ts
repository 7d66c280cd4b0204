// One fetch that takes longer to apply than Kafka waits for a sign of life: the projector gives one in between, or it would lose its partitions with every such fetch.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const ROWS = 500;
const BATCHES = 10;
/** Much longer than a loaded machine delays anything. */
const SESSION_MS = 10_000;

let rig: ConnectorRig;
let target: pg.Client;
let projector: CliProcess | undefined;
beforeAll(async () => {
  rig = await createConnectorRig('long_batch', {
    env: {
      CROSSWALK_PARTITIONS: '1',
      CROSSWALK_BATCH_ROWS: String(ROWS / BATCHES),
      CROSSWALK_SESSION_TIMEOUT_MS: String(SESSION_MS),
    },
  });
  await rig.legacy.query(
    `INSERT INTO workspaces (id, name) SELECT 'w' || i, 'name ' || i FROM generate_series(1, ${ROWS}) i`,
  );
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  const connector = rig.run();
  await rig.untilCaughtUp();
  await connector.stop();
});
afterAll(async () => {
  if (projector?.isRunning()) projector.child.kill('SIGKILL');
  await projector?.ended;
  await target?.end();
  await rig?.drop();
});

test('it keeps its partition all the way through', async () => {
  const held = (SESSION_MS * 1.5) / BATCHES;
  projector = startCli(['project', 'workspaces'], {
    NODE_NO_WARNINGS: '1',
    ...rig.env,
    LOG_LEVEL: 'info',
    CROSSWALK_FAULTS: Array.from({ length: BATCHES }, (_, at) => `target_commit.before=stall:${held}@${at + 1}`).join(),
  });
  await waitUntil('all of it is applied', async () => {
    const { rows } = await target.query<{ n: string }>(`SELECT count(*) AS n FROM crm.tenants WHERE origin = 'cdc'`);
    return rows[0]!.n === String(ROWS);
  });
  const lines = projector.stderr().split('\n');
  expect(lines.filter((line) => line.includes('fault injected'))).toHaveLength(BATCHES);
  // Whoever has lost its place in the group learns of it at the next sign of life, and joins anew.
  await rig.legacy.query(`INSERT INTO workspaces (id, name) VALUES ('last', 'last')`);
  const connector = rig.run();
  await waitUntil('a later change is applied', async () => {
    const { rows } = await target.query(`SELECT FROM crm.tenants WHERE id = 'last'`);
    return rows.length === 1;
  });
  await connector.stop();
  expect(projector.stderr().match(/partitions assigned/g)).toHaveLength(1);
  projector.child.kill('SIGTERM');
  expect(await projector.ended, projector.stderr()).toBe(0);
});
