// The target database behind a network that stands still, or has lost one side of its connections, in the middle of a load.
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import type { Health } from '../../../monitor/health.ts';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { STALLED } from '../../../runtime/error-codes/policy.ts';
import { compareRows } from '../../support/compare-rows.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { openTarget } from '../../support/target-database.ts';
import { openTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { openWriteJournal, type WriteJournal } from '../../support/write-journal.ts';

const CONTACTS = 3000;
/** Bytes of a column of each contact that nothing reads: 90 MB go through the log. */
const FILLER_BYTES = 30_000;
const STALL_SECONDS = 15;

let rig: ConnectorRig;
let connector: RunningConnector;
let proxy: TcpProxy;
let url: string;
let httpPort: number;
/** Past the proxy. */
let target: pg.Client;
let journal: WriteJournal;
const processes: CliProcess[] = [];

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): CliProcess {
  const started = startCli(args, { NODE_NO_WARNINGS: '1', ...rig.env, ...env });
  processes.push(started);
  return started;
}

/** A projector that reaches its target through the proxy, and holds a transaction open for a while before it commits. */
function startProjector(nth: number): CliProcess {
  return start(['project'], {
    TARGET_DATABASE_URL: url,
    CROSSWALK_HTTP_PORT: String(httpPort),
    CROSSWALK_STALL_SECONDS: String(STALL_SECONDS),
    CROSSWALK_FAULTS: `target_commit.before=stall:3000@${nth}`,
  });
}

beforeAll(async () => {
  rig = await createConnectorRig('stalled_target', {
    env: { CROSSWALK_SESSION_TIMEOUT_MS: '6000' },
  });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'stalled', contacts: CONTACTS, quotes: 300 });
  await rig.legacy.query(`ALTER TABLE contacts ADD COLUMN filler text;
    UPDATE contacts SET filler = (SELECT string_agg(md5(id::text || i), '') FROM generate_series(1, ${Math.ceil(FILLER_BYTES / 32)}) i)`);
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  journal = await openWriteJournal(target);
  const direct = new URL(rig.env.TARGET_DATABASE_URL!);
  proxy = await openTcpProxy(Number(direct.port));
  direct.host = `127.0.0.1:${proxy.port}`;
  url = direct.href;
  httpPort = await findFreePort();
  connector = rig.run();
  await rig.untilCaughtUp();
});
afterEach(async () => {
  proxy.resume();
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
  processes.length = 0;
});
afterAll(async () => {
  await connector?.stop();
  await target?.end();
  await rig?.drop();
  await proxy?.close();
});

async function changeSome(mark: string): Promise<void> {
  await rig.legacy.query(
    `UPDATE contacts SET firstname = concat(firstname, ' ', $1::text) WHERE id IN (SELECT id FROM contacts ORDER BY id LIMIT 300)`,
    [mark],
  );
  await rig.untilCaughtUp();
}

const readHealth = async (path: '/healthz' | '/readyz'): Promise<Health & { status: number }> => {
  const response = await fetch(`http://127.0.0.1:${httpPort}${path}`);
  return { status: response.status, ...((await response.json()) as Health) };
};
const heldMb = async () => {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const read = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)![1]);
  return (read('nodejs_heap_size_used_bytes') + read('nodejs_external_memory_bytes')) / 1024 / 1024;
};
const readOffsets = async () =>
  (
    await target.query(
      'SELECT projection, partition, next_offset FROM crosswalk.consumer_offset ORDER BY projection, partition',
    )
  ).rows;
/** Projectors' transactions that are open on the server. */
const countOpen = async () =>
  (
    await target.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crosswalk-projector' AND state LIKE '%in transaction%'`,
    )
  ).rows.length;

async function expectEqualRows(): Promise<void> {
  const wait = start(['wait', '--timeout', '100']);
  expect(await wait.ended, wait.stderr()).toBe(0);
  expect(
    await compareRows({ legacyUrl: rig.env.LEGACY_DATABASE_URL!, targetUrl: rig.env.TARGET_DATABASE_URL! }),
  ).toEqual([]);
  expect(await journal.findDoubles()).toEqual([]);
  const left = await target.query('SELECT FROM crosswalk.dead_letter UNION ALL SELECT FROM crosswalk.parked_change');
  expect(left.rows).toEqual([]);
}

async function end(...running: CliProcess[]): Promise<void> {
  for (const { child } of running) child.kill('SIGTERM');
  for (const { ended, stderr } of running) expect(await ended, stderr()).toBe(0);
}

test('silent for a while: nothing is fetched, the server frees what is locked, health and status name it; then it goes on by itself', async () => {
  const projector = startProjector(4);
  await projector.untilSaid('target_commit.before');
  proxy.stall();
  const offsets = await readOffsets();
  const moves = await journal.countMoves();
  const heldAtFirst = await heldMb();
  const address = `target database 127.0.0.1:${proxy.port}`;
  await waitUntil('it is not ready, and says why', async () => {
    const { status, sign, reason } = await readHealth('/readyz');
    return status === 503 && sign === 'waiting' && reason.includes(address);
  });
  // Alive: a restart would not help.
  expect(await readHealth('/healthz')).toMatchObject({ status: 200, live: true });
  const status = start(['status'], { TARGET_DATABASE_URL: url });
  expect(await status.ended).toBe(1);
  expect(status.stdout()).toContain(`failing: ${address}`);

  expect(await countOpen()).toBeGreaterThan(0);
  await waitUntil('the server has given up the transactions', async () => (await countOpen()) === 0);
  const { live, sign } = await readHealth('/healthz');
  expect({ live, sign }).toEqual({ live: true, sign: 'waiting' });
  expect(await readOffsets()).toEqual(offsets);
  // What one fetch brings, and what is left of making rows of it; the log holds twice as much.
  expect((await heldMb()) - heldAtFirst).toBeLessThan(50);

  proxy.resume();
  await expectEqualRows();
  expect(await journal.countMoves()).toBeGreaterThan(moves);
  await waitUntil('it says that all is well', async () => (await readHealth('/readyz')).sign === 'healthy');
  await end(projector);
}, 240_000);

test('SIGTERM while it is silent: the projector ends in time, and what it had not committed is applied by the next one', async () => {
  await changeSome('term');
  const projector = startProjector(1);
  await projector.untilSaid('target_commit.before');
  proxy.stall();
  const atMs = performance.now();
  projector.child.kill('SIGTERM');
  expect(await projector.ended, projector.stderr()).toBe(0);
  expect(performance.now() - atMs).toBeLessThan(10_000);
  proxy.resume();
  const next = startProjector(1);
  await expectEqualRows();
  await end(next);
}, 240_000);

test('a server that does not know that its client is gone: its locks are freed in time, and the projector goes on by itself', async () => {
  await changeSome('half');
  const projector = startProjector(1);
  await projector.untilSaid('target_commit.before');
  expect(proxy.halfOpen('server')).toBeGreaterThan(0);
  expect(await countOpen()).toBeGreaterThan(0);
  await expectEqualRows();
  await end(projector);
}, 240_000);

test('a client that does not know that its server is gone ends as stalled, and the next process goes on', async () => {
  await changeSome('open');
  const projector = startProjector(1);
  await projector.untilSaid('target_commit.before');
  expect(proxy.halfOpen('client')).toBeGreaterThan(0);
  expect(await projector.ended, projector.stderr()).toBe(STALLED);
  expect(projector.stderr()).toMatch(/crosswalk project: Stalled: .*behind, and nothing applied for/);
  const next = startProjector(1);
  await expectEqualRows();
  await end(next);
}, 240_000);
