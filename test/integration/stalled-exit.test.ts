// A process that has work and does not get on with it, for a reason that it cannot see: it ends with a code of its own, and the next one goes on where it was.
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { STALLED } from '../../runtime/error-codes/policy.ts';
import { compareRows } from '../support/compare-rows.ts';
import { type ConnectorRig, createConnectorRig } from '../support/connector.ts';
import { type CliProcess, startCli } from '../support/connector-process.ts';
import { openTarget } from '../support/target-database.ts';

/** Longer than the process rests at any point of the test: it does not end. */
const FOR_EVER = 'stall:999999';

let rig: ConnectorRig;
let target: pg.Client;
const processes: CliProcess[] = [];

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): CliProcess {
  const started = startCli(args, { NODE_NO_WARNINGS: '1', ...rig.env, ...env });
  processes.push(started);
  return started;
}

beforeAll(async () => {
  rig = await createConnectorRig('stalled_exit', { env: { CROSSWALK_SESSION_TIMEOUT_MS: '6000' } });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'stalled-exit', contacts: 300, quotes: 100 });
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
});
afterEach(async () => {
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
  processes.length = 0;
});
afterAll(async () => {
  await target?.end();
  await rig?.drop();
});

/** What a stalled process says last: cause and next step in one line. */
const lastLine = ({ stderr }: CliProcess) => stderr().trim().split('\n').at(-1);

test('a connector, then a projector: each ends with 3 and says why; those that follow apply all', async () => {
  const connector = start(['connect'], {
    CROSSWALK_STALL_SECONDS: '3',
    CROSSWALK_FAULTS: `kafka_commit.before=${FOR_EVER}@2`,
  });
  expect(await connector.ended, connector.stderr()).toBe(STALLED);
  expect(lastLine(connector)).toMatch(
    /^crosswalk connect: Stalled: no position written for \d+ s\. It ends, so that a restart heals it\.$/,
  );
  const running = start(['connect']);
  await rig.untilCaughtUp();
  const { differences, faults } = await rig.readCheckedLog();
  expect({ differences, faults }).toEqual({ differences: [], faults: [] });

  const projector = start(['project'], {
    CROSSWALK_STALL_SECONDS: '3',
    CROSSWALK_FAULTS: `offset_move.before=${FOR_EVER}@2`,
  });
  expect(await projector.ended, projector.stderr()).toBe(STALLED);
  expect(lastLine(projector)).toMatch(
    /^crosswalk project: Stalled: .*\w+: behind, and nothing applied for \d+ s.*\. It ends, so that a restart heals it\.$/,
  );
  const next = start(['project']);
  const wait = start(['wait', '--timeout', '100']);
  expect(await wait.ended, wait.stderr()).toBe(0);
  expect(
    await compareRows({ legacyUrl: rig.env.LEGACY_DATABASE_URL!, targetUrl: rig.env.TARGET_DATABASE_URL! }),
  ).toEqual([]);
  for (const { child } of [running, next]) child.kill('SIGTERM');
  for (const { ended, stderr } of [running, next]) expect(await ended, stderr()).toBe(0);
}, 240_000);
