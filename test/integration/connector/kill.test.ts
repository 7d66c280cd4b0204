import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLsn, toLsnText } from '../../../changes/lsn.ts';
import { decodePosition } from '../../../connectors/position.ts';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import { positionTopicOf } from '../../../runtime/config.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

const KILLS = Number(process.env.CROSSWALK_KILLS ?? 6);
const SEED = process.env.CROSSWALK_SEED ?? String(Date.now() % 1_000_000);

let rig: ConnectorRig;
let connector: CliProcess | undefined;
beforeAll(async () => {
  rig = await createConnectorRig('kill', { env: { CROSSWALK_CHUNK_ROWS: '50', LOG_LEVEL: 'info' } });
});
afterAll(async () => {
  if (connector?.isRunning()) connector.child.kill('SIGKILL');
  await connector?.ended;
  await rig?.drop();
});

/** The server keeps the changes from here on: what lies before it must be covered by a stored position. */
async function readConfirmed(): Promise<bigint> {
  const { rows } = await rig.legacy.query<{ lsn: string | null }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [rig.config.slot],
  );
  return parseLsn(rows[0]?.lsn ?? '0/0');
}

/**
 * The position of all that has been written by now. Kafka answers a commit once it is decided, before readers see it: what is written behind it shows where it ends, and is seen
 * once every transaction before it has ended.
 */
async function readDecidedPosition(): Promise<bigint> {
  const topic = positionTopicOf(rig.config);
  const kafka = createKafka(rig.config.kafka(), createLog('silent'));
  const end = await kafka.append(topic, { key: Buffer.from('end'), value: Buffer.from('{}') });
  await waitUntil(
    'every transaction has ended',
    async () => (await kafka.fetchOffsets([topic])).get(topic)![0]!.high > end,
    60_000,
  );
  let lsn = 0n;
  await kafka.readAll(topic, ({ key, value, offset }) => {
    if (BigInt(offset) < end && key?.toString() === rig.config.slot && value != null) lsn = decodePosition(value).lsn;
  });
  return lsn;
}

test(
  `killed ${KILLS} times during load and traffic: nothing is lost, nothing is twice (CROSSWALK_SEED=${SEED})`,
  async () => {
    console.log(`CROSSWALK_SEED=${SEED}`);
    const random = createRandom(SEED);
    const url = rig.env.LEGACY_DATABASE_URL!;
    await loadSample(url, { seed: SEED, contacts: 2000, quotes: 1000 });
    const traffic = startTraffic({ url, seed: SEED, changesPerSecond: 400, largestTransaction: 400 });
    let behind: string | null = null;
    let watching = true;
    // Confirmed first, then the position: it can only have moved on in between.
    const watch = (async () => {
      while (watching && behind === null) {
        const confirmed = await readConfirmed();
        const position = await rig.readPosition();
        if (position !== null && position.lsn < confirmed) {
          const decided = await readDecidedPosition();
          if (decided < confirmed) behind = `stored ${toLsnText(decided)}, confirmed ${toLsnText(confirmed)}`;
        }
        await sleep(100);
      }
    })();
    watch.catch(() => undefined);
    for (let kill = 1; kill <= KILLS; kill++) {
      connector = startCli(['connect'], rig.env);
      // Half of them while it starts, half while it streams.
      if (random.fraction() < 0.5) await connector.untilSaid('"streaming"', 30_000);
      await sleep(random.fraction() * 1500);
      connector.child.kill('SIGKILL');
      expect(await connector.ended).toBe('SIGKILL');
    }
    const last = startCli(['connect'], rig.env);
    connector = last;
    await last.untilSaid('"streaming"', 30_000);
    const died = last.ended.then((code) => {
      throw new Error(`the last connector ended with ${code}: ${last.stderr()}`);
    });
    died.catch(() => undefined);
    const caughtUp = () =>
      Promise.race([rig.untilCaughtUp(), died]).catch((error: Error) => {
        throw new Error(`${error.message}; the last connector said: ${last.stderr()}`);
      });
    await caughtUp();
    const report = await traffic.stop();
    await caughtUp();
    watching = false;
    await watch;
    expect(behind).toBeNull();
    expect(report.rowChanges).toBeGreaterThan(100 * KILLS);
    const { differences, faults } = await rig.readCheckedLog();
    expect(differences).toEqual([]);
    expect(faults).toEqual([]);
  },
  120_000 + KILLS * 10_000,
);

test('SIGTERM under traffic: exit code 0 within 10 s, and readers of committed records see the end at once', async () => {
  const traffic = startTraffic({
    url: rig.env.LEGACY_DATABASE_URL!,
    seed: SEED,
    changesPerSecond: Number.POSITIVE_INFINITY,
    stopAfter: { changes: 20_000 },
  });
  const before = (await rig.readPosition())!.lsn;
  await waitUntil('changes are on their way', async () => (await rig.readPosition())!.lsn > before + 200_000n);
  const atMs = performance.now();
  connector!.child.kill('SIGTERM');
  expect(await connector!.ended).toBe(0);
  expect(performance.now() - atMs).toBeLessThan(10_000);
  await traffic.stop();
  const { faults } = await rig.readCheckedLog(5000);
  expect(faults).toEqual([]);
});
