// Rebuilds as processes that are paused, killed and frozen, in mid replay and around the merge: the live tables are as they were or wholly merged, and another process goes on.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { createRebuildRig, type RebuildRig, type RunningProjectors, touchedRows } from '../../support/rebuild-rig.ts';
import { waitUntil } from '../../support/wait-until.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
console.log(`CROSSWALK_SEED=${seed}`);
let rig: RebuildRig;
let projectors: RunningProjectors;
const started: CliProcess[] = [];
/** Rows as they were before somebody changed some, and after. */
let right: Awaited<ReturnType<RebuildRig['rows']>>;
let wrong: Awaited<ReturnType<RebuildRig['rows']>>;

beforeAll(async () => {
  rig = await createRebuildRig('rebuild_interrupted', {
    ...{ seed, rows: 200 },
    env: { CROSSWALK_BATCH_ROWS: '50', CROSSWALK_SESSION_TIMEOUT_MS: '12000' },
  });
  projectors = rig.project();
  await rig.untilApplied();
}, 180_000);
beforeEach(async () => {
  const { owner } = rig;
  right = await rig.rows();
  await owner.query(
    `UPDATE crm.quotes_new SET total = coalesce(total, 0) + 1 WHERE id IN (SELECT id FROM crm.quotes_new WHERE deleted_at IS NULL ORDER BY id LIMIT 30)`,
  );
  await owner.query(
    `DELETE FROM crm.quote_items_new WHERE id IN (SELECT id FROM crm.quote_items_new WHERE origin = 'cdc' ORDER BY id LIMIT 30)`,
  );
  wrong = await rig.rows();
});
afterAll(async () => {
  for (const { child, isRunning } of started) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(started.map(({ ended }) => ended));
  await rig?.drop();
});

function start(args: readonly string[], env: Record<string, string> = {}): CliProcess {
  const running = startCli(['rebuild', 'all', ...args], { NODE_NO_WARNINGS: '1', ...rig.env, ...env });
  started.push(running);
  return running;
}

/** Offsets that the shadow has passed, in all. */
async function passed(): Promise<number> {
  if (!(await rig.shadows()).includes('crosswalk_shadow_all')) return 0;
  const { rows } = await rig.owner.query<{ sum: string }>(
    'SELECT sum(next_offset)::text AS sum FROM crosswalk_shadow_all.consumer_offset',
  );
  return Number(rows[0]!.sum);
}

/** Goes on in another process, and sees that everything is merged once. */
async function resumeAndMerge(): Promise<{ records: number }> {
  const resumed = start(['--resume', '--yes', '--json']);
  expect(`${await resumed.ended} ${resumed.stderr()}`).toBe('0 ');
  const result = JSON.parse(resumed.stdout()) as {
    state: string;
    merged: Record<string, unknown>;
    replay: { records: number };
  };
  expect(result.state).toBe('merged');
  await expectMerged();
  return result.replay;
}

async function expectMerged(): Promise<void> {
  const merged = await rig.rows();
  expect([...merged.keys()].sort()).toEqual([...right.keys()].sort());
  expect(touchedRows(right, merged)).toHaveLength(60);
  expect(await rig.differences()).toEqual([]);
  expect(await rig.shadows()).toEqual([]);
}

test('Ctrl-C in mid replay pauses it, and another process goes on from there', async () => {
  const paused = start(['--yes', '--max-rate', '200']);
  await waitUntil('a part is replayed', async () => (await passed()) > 200);
  paused.child.kill('SIGINT');
  expect(await paused.ended).toBe(1);
  expect(paused.stdout()).toContain('crosswalk rebuild all --resume');
  const reached = await passed();
  expect(touchedRows(wrong, await rig.rows())).toEqual([]);
  const { records } = await resumeAndMerge();
  const { rows } = await rig.owner.query<{ sum: string }>(
    'SELECT sum(next_offset)::text AS sum FROM crosswalk.consumer_offset',
  );
  // What was replayed before is not replayed again: the log has a record for each offset, and a marker for each transaction.
  expect(records).toBeLessThanOrEqual(Number(rows[0]!.sum) - reached);
}, 120_000);

test('killed in mid replay, at a commit', async () => {
  const killed = start(['--yes', '--max-rate', '500'], { CROSSWALK_FAULTS: 'target_commit.before=kill@6' });
  expect(await killed.ended).toBe('SIGKILL');
  expect(await passed()).toBeGreaterThan(0);
  expect(touchedRows(wrong, await rig.rows())).toEqual([]);
  await resumeAndMerge();
}, 120_000);

test('killed before the merge commits: everything is as it was', async () => {
  const killed = start(['--yes'], { CROSSWALK_FAULTS: 'rebuild_merge.before=kill' });
  expect(await killed.ended).toBe('SIGKILL');
  expect(touchedRows(wrong, await rig.rows())).toEqual([]);
  await resumeAndMerge();
}, 120_000);

test('killed after the merge has committed: everything is merged, and only the shadow is left', async () => {
  const killed = start(['--yes'], { CROSSWALK_FAULTS: 'rebuild_merge.after=kill' });
  expect(await killed.ended).toBe('SIGKILL');
  const merged = await rig.rows();
  expect(touchedRows(right, merged)).toHaveLength(60);
  const resumed = start(['--resume', '--yes']);
  expect(`${await resumed.ended} ${resumed.stderr()}`).toBe('0 ');
  expect(resumed.stdout()).toContain('merged already');
  expect(touchedRows(merged, await rig.rows())).toEqual([]);
  await expectMerged();
}, 120_000);

test('an error after the merge has committed: nothing is said of what was written, but that it was', async () => {
  const failed = start(['--yes', '--json'], { CROSSWALK_FAULTS: 'rebuild_merge.after=fail' });
  expect(await failed.ended).toBe(0);
  expect(JSON.parse(failed.stdout())).toMatchObject({ state: 'merged', merged: null });
  await expectMerged();
}, 120_000);

test('frozen before the merge commits: the live projectors go on without it, and nothing of it is merged', async () => {
  const frozen = start(['--yes'], { CROSSWALK_FAULTS: 'rebuild_merge.before=freeze' });
  await frozen.untilSaid('fault injected', 90_000);
  await rig.source.legacy.query(
    `UPDATE workspaces SET plan = 'while it was frozen' WHERE id = (SELECT max(id) FROM workspaces)`,
  );
  await rig.untilApplied();
  frozen.child.kill('SIGCONT');
  expect(await frozen.ended).toBe(2);
  expect(frozen.stderr()).not.toContain('merged');
  const touched = touchedRows(wrong, await rig.rows());
  expect(touched).toHaveLength(1);
  expect(touched[0]).toMatch(/^tenants /);
  right = new Map([...right, ...[...(await rig.rows())].filter(([name]) => name === touched[0])]);
  await resumeAndMerge();
}, 180_000);

test('while a merge takes seconds the live projectors neither end nor leave their groups', async () => {
  const left: string[] = [];
  const watch = setInterval(() => {
    for (const { name, state, partitions } of projectors.statuses.values())
      if (state !== 'running' || partitions.length === 0) left.push(`${name} ${state}`);
  }, 20);
  const slow = start(['--yes', '--json'], { CROSSWALK_FAULTS: 'rebuild_merge.before=stall:6000' });
  try {
    await waitUntil('the merge is under way', () => slow.stderr().includes('fault injected'), 90_000);
    await rig.source.legacy.query(
      `UPDATE workspaces SET plan = 'meanwhile' WHERE id = (SELECT min(id) FROM workspaces)`,
    );
    expect(await slow.ended).toBe(0);
    await rig.untilApplied();
  } finally {
    clearInterval(watch);
  }
  const { paused } = JSON.parse(slow.stdout()) as { paused: { mergeMs: number } };
  expect(paused.mergeMs).toBeGreaterThan(6000);
  expect(left).toEqual([]);
  expect(await rig.differences()).toEqual([]);
}, 120_000);
