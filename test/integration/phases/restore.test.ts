// A backup is put in the place of what is there: refused unless told twice, whole or not at all, and the projectors go on from there.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { expectCli, runCli } from '../../support/cli.ts';
import { compareRows } from '../../support/compare-rows.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { describeCatalog } from '../../support/describe-catalog.ts';
import { dumpTarget } from '../../support/target-database.ts';

const dir = mkdtempSync(join(tmpdir(), 'crosswalk-restore-'));
const folder = join(dir, 'backup');
const SCHEMAS = ['crm', 'crosswalk'];
let rig: ConnectorRig;
let env: Record<string, string>;
let owner: pg.Client;
let database: string;
let running: CliProcess[] = [];

function start(): void {
  running = ['connect', 'project'].map((name) => startCli([name], env));
}
async function stop(): Promise<void> {
  for (const { child, isRunning } of running) if (isRunning()) child.kill('SIGTERM');
  await Promise.all(running.map(({ ended }) => ended));
  running = [];
}
/** Everything that a backup holds, but for the log of what was done. */
const look = async () => ({
  rows: await dumpTarget(owner, 'all'),
  users: (await owner.query('SELECT id, email FROM crm.users ORDER BY id')).rows,
  catalog: await describeCatalog(owner, SCHEMAS),
});
const restore = (...options: string[]) => runCli(['backup', 'restore', folder, ...options], env);
const twice = () => ['--replace', '--yes-really', database];

describe('restoring a backup', () => {
  let then: Awaited<ReturnType<typeof look>>;
  let now: Awaited<ReturnType<typeof look>>;

  beforeAll(async () => {
    rig = await createConnectorRig('restore');
    env = { NODE_NO_WARNINGS: '1', ...rig.env };
    database = new URL(env.TARGET_DATABASE_URL!).pathname.slice(1);
    await loadSample(env.LEGACY_DATABASE_URL!, { seed: 3, contacts: 80, quotes: 80 });
    await expectCli(['migrate', 'up'], env);
    start();
    await expectCli(['wait', '--timeout', '120'], env);
    await stop();
    // Under a name that is none of crosswalk's.
    owner = new pg.Client({ connectionString: env.TARGET_DATABASE_URL! });
    await owner.connect();
    await owner.query(`INSERT INTO crm.users (email) VALUES ('then@crosswalk.invalid')`);
    await expectCli(['backup', 'create', folder], env);
    then = await look();
    start();
    await rig.legacy.query(
      `UPDATE quotes SET total = 99.5, updated_at = now(); DELETE FROM quotes WHERE id = (SELECT id FROM quotes LIMIT 1)`,
    );
    await expectCli(['wait', '--timeout', '120'], env);
    await owner.query(`INSERT INTO crm.users (email) VALUES ('now@crosswalk.invalid')`);
  });
  afterAll(async () => {
    await stop();
    await owner?.end();
    await rig?.drop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('is refused while projectors are at work, and unless it is told twice; a dry run says so', async () => {
    for (const options of [twice(), ['--dry-run', ...twice()]]) {
      const { code, stdout, stderr } = await restore(...options);
      expect(`${stdout}${stderr}`).toMatch(/Still connected: .*crosswalk-projector/);
      expect(code).toBe(options.includes('--dry-run') ? 1 : 2);
    }
    await stop();
    now = await look();
    for (const options of [[], ['--replace'], ['--yes-really', database], ['--replace', '--yes-really', 'crm']]) {
      const { code, stderr } = await restore(...options);
      expect(code).toBe(2);
      expect(stderr).toMatch(/--yes-really/);
    }
    const dry = await restore('--dry-run', ...twice(), '--json');
    expect(dry.code).toBe(0);
    expect(JSON.parse(dry.stdout)).toMatchObject({
      database,
      obstacle: null,
      replaced: expect.arrayContaining(['crm.users']),
    });
    expect(await look()).toEqual(now);
  }, 120_000);

  test('what is killed, or would take something else along, leaves everything as it was', async () => {
    const killed = await runCli(['backup', 'restore', folder, ...twice()], {
      ...env,
      CROSSWALK_FAULTS: 'restore_table.before=kill@7',
    });
    expect(killed.code).toBe('SIGKILL');
    expect(await look()).toEqual(now);
    await owner.query('CREATE VIEW public.of_somebody AS SELECT id FROM crm.leads');
    const refused = await restore(...twice());
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('relation public.of_somebody') });
    await owner.query('DROP VIEW public.of_somebody');
    expect(await look()).toEqual(now);
  }, 120_000);

  test('brings back what was there then, says what comes next, and the projectors catch up', async () => {
    const { code, stdout, stderr } = await restore(...twice(), '--json');
    expect(`${code} ${stderr}`).toBe('0 ');
    const { ok, next } = JSON.parse(stdout) as { ok: boolean; next: { state: string; what: string }[] };
    expect(ok).toBe(true);
    expect(next.map(({ state }) => state)).not.toContain('failing');
    expect(next.map(({ what }) => what).join('\n')).toMatch(/the log holds all that the projectors lack: [1-9]/);
    expect(await look()).toEqual(then);
    const { rows } = await owner.query(
      `SELECT action, verdict, detail ->> 'restoredInto' AS into FROM crosswalk.phase_log ORDER BY id DESC LIMIT 1`,
    );
    expect(rows).toEqual([{ action: 'backup verified', verdict: 'done', into: 'the target database' }]);
    start();
    await expectCli(['wait', '--timeout', '120'], env);
    expect(await compareRows({ legacyUrl: env.LEGACY_DATABASE_URL!, targetUrl: env.TARGET_DATABASE_URL! })).toEqual([]);
    await stop();
  }, 180_000);

  test('an empty database needs no second word; a backup of less is refused', async () => {
    await owner.query('DROP SCHEMA crm, crosswalk CASCADE');
    const text = await expectCli(['backup', 'restore', folder], env);
    expect(text).toMatch(/every table and sequence equal\nnext:\n/);
    expect(await look()).toEqual(then);
    const part = join(dir, 'part');
    await expectCli(['backup', 'create', part, '--schema', 'legacy'], env);
    expect((await runCli(['backup', 'restore', part, ...twice()], env)).stderr).toContain(
      'The backup holds public, not crm and crosswalk',
    );
  }, 120_000);
});
