// A projector process that is frozen in the middle of its target transaction, as a machine that swaps or is suspended would freeze it.
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { compareRows } from '../../support/compare-rows.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { openWriteJournal, type WriteJournal } from '../../support/write-journal.ts';

const CONTACTS = 1500;

let rig: ConnectorRig;
let connector: RunningConnector;
let target: pg.Client;
let journal: WriteJournal;
const processes: CliProcess[] = [];

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): CliProcess {
  const started = startCli(args, { NODE_NO_WARNINGS: '1', LOG_LEVEL: 'info', ...rig.env, ...env });
  processes.push(started);
  return started;
}

beforeAll(async () => {
  rig = await createConnectorRig('frozen', {
    env: { CROSSWALK_SESSION_TIMEOUT_MS: '3000', CROSSWALK_BATCH_ROWS: '100', LOG_LEVEL: 'info' },
  });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'frozen', contacts: CONTACTS, quotes: 100 });
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  journal = await openWriteJournal(target);
  connector = rig.run({ LOG_LEVEL: 'warn' });
  await rig.untilCaughtUp();
});
afterEach(async () => {
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
  processes.length = 0;
});
afterAll(async () => {
  await connector?.stop();
  await target?.end();
  await rig?.drop();
});

/** Starts a projector whose sessions on the target have this name. */
function startProjector(name: 'frozen' | 'other', faults = ''): CliProcess {
  const url = new URL(rig.env.TARGET_DATABASE_URL!);
  url.searchParams.set('application_name', name);
  return start(['project'], { TARGET_DATABASE_URL: url.href, CROSSWALK_FAULTS: faults });
}

/** How many transactions the frozen process has open. */
const countHeld = async () =>
  (
    await target.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% frozen' AND state = 'idle in transaction'`,
    )
  ).rows.length;
/** How many of the other one's wait for the offsets that it holds. */
const countWaiting = async () =>
  (
    await target.query(
      `SELECT FROM pg_stat_activity o WHERE o.datname = current_database() AND o.application_name LIKE '% other' AND o.query LIKE '%consumer_offset%FOR UPDATE%'
         AND EXISTS (SELECT FROM pg_stat_activity f WHERE f.pid = ANY (pg_blocking_pids(o.pid)) AND f.application_name LIKE '% frozen')`,
    )
  ).rows.length;
const isFrozen = ({ child }: CliProcess) => /\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'));

/** Two projectors share the partitions; one stops itself in the middle of what `mark` changes. Resolves once it stands still, its transaction open. */
async function freezeOne(mark: string): Promise<[frozen: CliProcess, other: CliProcess]> {
  const other = startProjector('other');
  await untilApplied();
  const frozen = startProjector('frozen', 'target_commit.before=freeze@3');
  await frozen.untilSaid(/"projections":"contacts [^"]*","partitions":[12],/);
  await change(mark);
  // The server gives it 15 s from here.
  await frozen.untilSaid('target_commit.before');
  await waitUntil('it stands still', () => isFrozen(frozen));
  expect(await countHeld()).toBeGreaterThan(0);
  return [frozen, other];
}

async function untilApplied(): Promise<void> {
  const wait = start(['wait', '--timeout', '100']);
  expect(await wait.ended, wait.stderr()).toBe(0);
}

const change = (mark: string) =>
  rig.legacy.query(`UPDATE contacts SET firstname = concat(firstname, ' ', $1::text)`, [mark]);

async function expectOnce(): Promise<void> {
  await untilApplied();
  expect(
    await compareRows({ legacyUrl: rig.env.LEGACY_DATABASE_URL!, targetUrl: rig.env.TARGET_DATABASE_URL! }),
  ).toEqual([]);
  expect(await journal.findDoubles()).toEqual([]);
  const left = await target.query('SELECT FROM crosswalk.dead_letter UNION ALL SELECT FROM crosswalk.parked_change');
  expect(left.rows).toEqual([]);
}

/** Ends the others; what was frozen then has to go on with new changes alone. */
async function expectGoesOn(woken: CliProcess, others: readonly CliProcess[]): Promise<void> {
  for (const { child } of others) child.kill('SIGTERM');
  for (const { ended, stderr } of others) expect(await ended, stderr()).toBe(0);
  expect(woken.isRunning(), woken.stderr()).toBe(true);
  await change('after');
  await expectOnce();
  woken.child.kill('SIGTERM');
  expect(await woken.ended, woken.stderr()).toBe(0);
}

test('the server frees what it holds, another one takes over and applies all; woken up, it writes nothing twice and goes on', async () => {
  const [frozen, other] = await freezeOne('frozen');
  await untilApplied();
  expect(isFrozen(frozen)).toBe(true);
  expect(await countHeld()).toBe(0);
  const moves = await journal.countMoves();
  const said = frozen.stderr().length;
  frozen.child.kill('SIGCONT');
  await waitUntil('it is back in the group', () => frozen.stderr().slice(said).includes('partitions assigned'));
  expect(await journal.countMoves()).toBe(moves);
  await expectOnce();
  await expectGoesOn(frozen, [other]);
}, 300_000);

test('woken up while another one waits for its locks, it commits, and the other one notices', async () => {
  const [frozen, other] = await freezeOne('held');
  await waitUntil('the other one waits for what it holds', async () => (await countWaiting()) > 0);
  const said = frozen.stderr().length;
  frozen.child.kill('SIGCONT');
  await other.untilSaid('another projector has moved this partition');
  await waitUntil('it is back in the group', () => frozen.stderr().slice(said).includes('partitions assigned'));
  await expectOnce();
  await expectGoesOn(frozen, [other]);
}, 300_000);
