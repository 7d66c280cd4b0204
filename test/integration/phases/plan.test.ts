// What is planned is what is done: a plain client that runs the printed SQL ends with the same catalog, and so does a run that is killed at every step.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { expectCli, runCli } from '../../support/cli.ts';
import { createPhaseRig, type PhaseRig } from '../../support/phases.ts';

const SHORT = ['--to', 'capture', '--yes', '--json'];
let expected: string[];
const rigs: PhaseRig[] = [];

async function openRig(): Promise<PhaseRig> {
  const rig = await createPhaseRig('phases');
  rigs.push(rig);
  return rig;
}

beforeAll(async () => {
  const rig = await openRig();
  await expectCli(['migrate', 'run', ...SHORT, '--backup-dir', rig.newFolder()], rig.env);
  expected = await rig.describe();
  expect(expected.length).toBeGreaterThan(1000);
});
afterAll(async () => {
  for (const rig of rigs) await rig.drop();
});

describe('a plan', () => {
  test('run by psql, or any client that sends one statement at a time, makes what a run makes', async () => {
    const rig = await openRig();
    for (const database of ['target', 'legacy'] as const) {
      const script = await expectCli(['migrate', 'plan', '--to', 'capture', '--database', database], rig.env);
      const url = rig.env[database === 'target' ? 'TARGET_DATABASE_URL' : 'LEGACY_DATABASE_URL']!;
      expect(script.match(new RegExp(`^-- section, ${database} database`, 'gm'))!.length).toBeGreaterThan(10);
      if (spawnSync('psql', ['--version']).status === 0) {
        const run = spawnSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', url], {
          input: script,
          encoding: 'utf8',
        });
        expect(`${run.status} ${run.stderr.replaceAll(/^.*NOTICE: .*\n/gm, '')}`).toBe('0 ');
      } else await runPlainly(url, script);
    }
    expect(await rig.describe()).toEqual(expected);
    expect(await expectCli(['migrate', 'up'], rig.env)).toBe(
      'the new schema is up to date\nthe legacy tables are prepared\n',
    );
    expect(await expectCli(['migrate', 'plan', '--to', 'capture'], rig.env)).toBe(
      ['prepare', 'backup', 'schema', 'capture'].map((phase) => `-- phase ${phase}: nothing to do\n`).join(''),
    );
  });

  test('of the low-level command too, section by section', async () => {
    const rig = await openRig();
    const script = await expectCli(['migrate', 'up', '--dry-run'], rig.env);
    for (const section of script.split(/^-- section, /m).slice(1))
      await runPlainly(
        rig.env[section.startsWith('target') ? 'TARGET_DATABASE_URL' : 'LEGACY_DATABASE_URL']!,
        section.replace(/.*\n/, ''),
      );
    expect(await rig.describe()).toEqual(expected);
  });

  /** A section outside of a transaction is sent statement by statement, every other one at once. */
  async function runPlainly(url: string, script: string): Promise<void> {
    const client = await connect(url, 'test');
    try {
      for (const section of script.split(/^-- section, .*\n/m))
        for (const statement of /^(CREATE|DROP).* INDEX CONCURRENTLY/m.test(section) ? section.split(/;\n/) : [section])
          await client.query(statement);
    } finally {
      await client.end();
    }
  }
});

describe('a run that is killed', () => {
  // Each is a run of its own, which is killed there and goes on where the one before it was killed.
  const KILLS = [
    ...['phase.before', 'backup_table.before', 'backup.before_rename', 'phase.worked@2', 'phase.begun@2'],
    ...['migration_step.before', 'migration_step.after@7', 'migration_step.before@9', 'migration_step.after@3'],
    ...['phase.worked@3', 'phase.begun@2', 'phase.worked@4', 'phase.after@4'],
  ];

  test('at any step is gone on with by the next one, and taken back as one', async () => {
    const rig = await openRig();
    const before = await rig.describe();
    // The same command each time.
    const folder = rig.newFolder();
    let killed = 0;
    for (const kill of KILLS) {
      const [point, nth = '1'] = kill.split('@');
      const { code, stderr } = await runCli(['migrate', 'run', ...SHORT, '--backup-dir', folder], {
        ...rig.env,
        CROSSWALK_FAULTS: `${point}=kill@${nth}`,
      });
      // A point that this run does not come to any more does not kill it.
      if (code === 'SIGKILL') killed++;
      else expect(`${kill}: ${code} ${stderr}`).toBe(`${kill}: 0 `);
    }
    expect(killed).toBeGreaterThan(9);
    await expectCli(['migrate', 'run', ...SHORT], rig.env);
    expect(await rig.describe()).toEqual(expected);
    // A folder has its name once it is whole; what was begun lies beside it, under another.
    const made = readdirSync(folder);
    const whole = made.filter((name) => !name.startsWith('.'));
    expect(whole.length).toBeGreaterThan(0);
    for (const name of whole) expect(readdirSync(join(folder, name))).toContain('SHA256SUMS');
    expect(made.filter((name) => name.includes('.partial-')).length).toBeGreaterThan(0);

    await expectCli(['migrate', 'rollback', 'capture', '--yes'], rig.env);
    await expectCli(['backup', 'create', rig.newFolder(), '--json'], rig.env);
    await expectCli(['migrate', 'rollback', 'schema', '--yes', '--without-backup', '--reason', 'a test'], rig.env);
    const lines = (await rig.describe()).filter((line) => !/^schema (crm|crosswalk) /.test(line));
    expect(lines).toEqual(before);
  }, 400_000);
});
