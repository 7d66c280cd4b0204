// Every named point of connector and projector: killed there, failed there, with traffic at work. In the end the log is whole, nothing in it is twice, and every row is equal.
// CROSSWALK_KILLS=100 adds as many kills of a connector and of a projector at random points.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { createRandom } from '../../pipelines/crm/sample/random.ts';
import { startTraffic, type Traffic } from '../../pipelines/crm/sample/traffic.ts';
import { connectorPoints, type FaultPoint, projectorPoints } from '../../runtime/faults.ts';
import { connect } from '../../runtime/postgres.ts';
import { createSecondSlot, readHistory } from '../oracle/log-history.ts';
import { compareLog } from '../oracle/log-history-compare.ts';
import { compareRows } from '../support/compare-rows.ts';
import { type ConnectorRig, createConnectorRig } from '../support/connector.ts';
import { type CliProcess, startCli } from '../support/connector-process.ts';

const SEED = process.env.CROSSWALK_SEED ?? String(Date.now() % 1_000_000);
const KILLS = Number(process.env.CROSSWALK_KILLS ?? 0);
const HISTORY = 'faults_history';

let rig: ConnectorRig;
let historySlot: string;
let traffic: Traffic;
const processes: CliProcess[] = [];

function start(args: readonly string[], env: Record<string, string> = {}): CliProcess {
  const started = startCli(args, { NODE_NO_WARNINGS: '1', ...rig.env, ...env });
  processes.push(started);
  return started;
}

async function end(...running: CliProcess[]): Promise<void> {
  for (const { child } of running) child.kill('SIGTERM');
  for (const { ended, stderr } of running) expect(await ended, stderr()).toBe(0);
}

/** Runs a command that is to be killed by itself at the point; answers once it is. */
async function untilKilledAt(command: string, point: FaultPoint, nth: number): Promise<void> {
  const victim = start([command], { CROSSWALK_FAULTS: `${point}=kill@${nth}` });
  const reached = victim.untilSaid('fault injected', 90_000);
  await reached;
  expect(await victim.ended, victim.stderr()).toBe('SIGKILL');
}

describe(`faults at named points, CROSSWALK_SEED=${SEED}`, () => {
  const random = createRandom(SEED);

  beforeAll(async () => {
    rig = await createConnectorRig('faults', {
      env: { CROSSWALK_CHUNK_ROWS: '50', CROSSWALK_SESSION_TIMEOUT_MS: '2000', LOG_LEVEL: 'info' },
    });
    historySlot = `${rig.config.slot}_${HISTORY}`;
    await createSecondSlot(rig.legacy, historySlot);
    // So that nothing is committed before the connector's slot is there as well: the log holds the whole history.
    await rig.legacy.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [rig.config.slot]);
    const url = rig.env.LEGACY_DATABASE_URL!;
    await loadSample(url, { seed: SEED, contacts: 1500, quotes: 1500 });
    const migrate = start(['migrate', 'up']);
    expect(await migrate.ended, migrate.stderr()).toBe(0);
    traffic = startTraffic({ url, seed: SEED, changesPerSecond: 150, largestTransaction: 100 });
  });
  afterAll(async () => {
    await traffic?.stop().catch(() => undefined);
    for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    await rig?.drop();
  });

  test('the connector is killed at each of its points, during the initial load and the stream', async () => {
    for (const point of connectorPoints)
      await untilKilledAt('connect', point, point.startsWith('position') ? 1 : random.int(1, 3));
  }, 180_000);

  test('the projector is killed at each of its points', async () => {
    const connector = start(['connect']);
    for (const point of projectorPoints) {
      if (point !== 'rebalance.before') {
        await untilKilledAt('project', point, random.int(1, 3));
        continue;
      }
      const victim = start(['project'], { CROSSWALK_FAULTS: `${point}=kill` });
      // Another member that comes makes the group share anew.
      await victim.untilSaid('partitions assigned', 60_000);
      const other = start(['project']);
      expect(await victim.ended, victim.stderr()).toBe('SIGKILL');
      await end(other);
    }
    await end(connector);
  }, 240_000);

  test('what fails at a point is done again', async () => {
    const failures = (points: readonly FaultPoint[]) => points.map((point) => `${point}=fail@2`).join(',');
    const connector = start(['connect'], {
      CROSSWALK_FAULTS: failures(connectorPoints.filter((point) => !point.startsWith('position'))),
    });
    const projector = start(['project'], {
      CROSSWALK_FAULTS: failures(projectorPoints.filter((point) => !point.startsWith('rebalance'))),
    });
    await connector.untilSaid('fault injected', 60_000);
    await projector.untilSaid('fault injected', 60_000);
    const before = traffic.progress().rowChanges;
    while (traffic.progress().rowChanges < before + 200) await sleep(50);
    await end(connector, projector);
  }, 180_000);

  // Only when asked for.
  if (KILLS > 0)
    test(`${KILLS} kills of a connector and of a projector at random moments`, async () => {
      const lane = async (command: string) => {
        for (let kill = 0; kill < KILLS; kill++) {
          const victim = start([command]);
          await sleep(800 + random.fraction() * 3000);
          victim.child.kill('SIGKILL');
          expect(await victim.ended, victim.stderr()).toBe('SIGKILL');
        }
      };
      await Promise.all([lane('connect'), lane('project')]);
    }, 3_600_000);

  test('after all of it the log is the history of the database, and every row is equal', async () => {
    await traffic.stop();
    const running = [start(['connect']), start(['project'])];
    const wait = start(['wait', '--timeout', '300']);
    expect(await wait.ended, wait.stderr()).toBe(0);
    const { log, differences, faults } = await rig.readCheckedLog(60_000);
    expect({ differences, faults }).toEqual({ differences: [], faults: [] });
    const captured = { schema: rig.config.legacySchema, tables: rig.config.tables };
    const history = await readHistory(rig.env.LEGACY_DATABASE_URL!, historySlot, captured);
    const compared = await compareLog(history, log);
    expect(compared.first).toEqual([]);
    expect(compared.changes).toBeGreaterThan(traffic.progress().rowChanges / 2);

    const differing = await compareRows({
      legacyUrl: rig.env.LEGACY_DATABASE_URL!,
      targetUrl: rig.env.TARGET_DATABASE_URL!,
    });
    expect(differing).toEqual([]);
    const target = await connect(rig.env.TARGET_DATABASE_URL!, 'test');
    const left = await target
      .query('SELECT FROM crosswalk.dead_letter UNION ALL SELECT FROM crosswalk.parked_change')
      .finally(() => target.end());
    expect(left.rows).toEqual([]);
    await end(...running);
  }, 420_000);
});
