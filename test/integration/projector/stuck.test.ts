// A projector that fails at one place without getting any further ends, says so once, and `status` has its words.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCli } from '../../support/connector-process.ts';
import { createVerifyRig, type VerifyRig } from '../../support/verify-rig.ts';

let pipeline: VerifyRig;
beforeAll(async () => {
  pipeline = await createVerifyRig('stuckp', { seed: 'stuck', contacts: 20, quotes: 20 });
  await pipeline.stopProjectors();
});
afterAll(() => pipeline?.drop());

test('exit code 2 and one line, the words of which status repeats until it gets further', async () => {
  const { rig } = pipeline;
  await rig.legacy.query(`UPDATE workspaces SET name = name || '!'`);
  await rig.untilCaughtUp();
  const broken = startCli(['project', 'workspaces'], { ...rig.env, CROSSWALK_FAULTS: 'target_commit.before=break' });
  expect(await broken.ended).toBe(2);
  const lines = broken
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('crosswalk project: '));
  expect(lines).toEqual([
    expect.stringMatching(
      /^crosswalk project: projection workspaces: .*: 6 times without getting any further, at 0 records of .*\. See the log.*"Stuck"\.$/,
    ),
  ]);
  const status = startCli(['status', '--json'], rig.env);
  await status.ended;
  const { findings } = JSON.parse(status.stdout()) as { findings: { level: string; what: string }[] };
  expect(findings).toContainEqual(
    expect.objectContaining({
      level: 'failing',
      what: expect.stringContaining(lines[0]!.slice('crosswalk project: '.length)),
    }),
  );
  pipeline.startProjectors();
  await pipeline.untilApplied();
  const after = startCli(['status', '--json'], rig.env);
  await after.ended;
  expect(after.stdout()).not.toContain('without getting any further');
  expect((await pipeline.verify()).ok).toBe(true);
}, 120_000);
