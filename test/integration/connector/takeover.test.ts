import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parseLsn } from '../../../changes/lsn.ts';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
const processes: CliProcess[] = [];
beforeAll(async () => {
  rig = await createConnectorRig('takeover', { env: { LOG_LEVEL: 'info' } });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'takeover', contacts: 300, quotes: 200 });
});
afterEach(async () => {
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
  processes.length = 0;
});
afterAll(() => rig?.drop());

function start(env: Readonly<Record<string, string>> = {}): CliProcess {
  const connector = startCli(['connect'], { ...rig.env, ...env });
  processes.push(connector);
  return connector;
}

async function startPair(env: Readonly<Record<string, string>> = {}): Promise<[CliProcess, CliProcess]> {
  const active = start(env);
  await active.untilSaid('"streaming"', 30_000);
  const other = start();
  await other.untilSaid('standing by', 30_000);
  return [active, other];
}

/** How long until a change of now, which only the other one can have written, is in the log, readable. */
async function measureUntilReadable(): Promise<number> {
  const atMs = performance.now();
  await rig.legacy.query(`UPDATE workspaces SET name = name || '.'`);
  const { rows } = await rig.legacy.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  const lsn = parseLsn(rows[0]!.lsn);
  await waitUntil('it is in the log', async () => ((await rig.readPosition())?.lsn ?? 0n) >= lsn, 60_000, 10);
  return performance.now() - atMs;
}

const traffic = () =>
  startTraffic({
    url: rig.env.LEGACY_DATABASE_URL!,
    seed: 'takeover',
    changesPerSecond: 200,
    largestTransaction: 50,
  });

async function expectWholeLog(): Promise<void> {
  await rig.untilCaughtUp();
  const { differences, faults } = await rig.readCheckedLog();
  expect(differences).toEqual([]);
  expect(faults).toEqual([]);
}

test('one works, the other stands by and does it no harm; killed, it is replaced within seconds', async () => {
  const [active, other] = await startPair();
  const writes = traffic();
  const before = (await rig.readPosition())!.lsn;
  await sleep(1500);
  await waitUntil('it goes on', async () => (await rig.readPosition())!.lsn > before);
  // Neither was disturbed: no warning.
  expect(active.stderr()).not.toMatch(/"level":"(warn|error|fatal)"/);
  expect(other.stderr()).not.toMatch(/"level":"(warn|error|fatal)"|"streaming"/);
  active.child.kill('SIGKILL');
  await active.ended;
  const tookMs = await measureUntilReadable();
  console.log(`taken over after SIGKILL: ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(15_000);
  await writes.stop();
  await expectWholeLog();
});

test('one that is woken up between the look at the position and the first transaction of the next one writes nothing', async () => {
  const writes = traffic();
  const frozen = start({ CROSSWALK_FAULTS: 'kafka_commit.before=freeze@20' });
  await frozen.untilSaid('kafka_commit.before', 60_000);
  const next = start({ CROSSWALK_FAULTS: 'position.after=stall:3000' });
  await next.untilSaid('position.after', 60_000);
  frozen.child.kill('SIGCONT');
  await next.untilSaid('"streaming"', 60_000);
  frozen.child.kill('SIGKILL');
  await writes.stop();
  await expectWholeLog();
});

test('frozen with a transaction about to commit, it is replaced; woken up, it writes nothing and stands by', async () => {
  const writes = traffic();
  const [frozen, other] = await startPair({ CROSSWALK_FAULTS: 'kafka_commit.before=freeze@30' });
  await frozen.untilSaid('kafka_commit.before', 60_000);
  const tookMs = await measureUntilReadable();
  console.log(`taken over after SIGSTOP: ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(30_000);
  expect(other.stderr()).toContain('"streaming"');
  const said = frozen.stderr().length;
  frozen.child.kill('SIGCONT');
  await waitUntil('the woken one stands by', () => frozen.stderr().slice(said).includes('standing by'), 60_000);
  await writes.stop();
  await expectWholeLog();
  expect(other.stderr()).not.toMatch(/"level":"(warn|error|fatal)"/);
});
