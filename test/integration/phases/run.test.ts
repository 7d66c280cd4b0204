// A whole migration by `crosswalk migrate run`, on an empty target: once, again, by two at once, and back.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { connect } from '../../../runtime/postgres.ts';
import { expectCli, runCli } from '../../support/cli.ts';
import { compareRows } from '../../support/compare-rows.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { describeCapture, describeCatalog } from '../../support/describe-catalog.ts';
import { dumpTarget, insertAppRows } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

interface RunDocument {
  readonly ok: boolean;
  readonly phases: readonly {
    readonly phase: string;
    readonly checks: readonly { readonly name: string; readonly what: string }[];
    readonly verdict: string;
    readonly needed: boolean;
    readonly before: Record<string, Record<string, number>>;
    readonly after: Record<string, Record<string, number>>;
    readonly confirmed: readonly { readonly state: string; readonly name: string }[];
  }[];
}

const ALL = ['prepare', 'backup', 'schema', 'capture', 'load', 'verify', 'opt-in'];
let rig: ConnectorRig;
let env: Record<string, string>;
let captureBefore: string[];
const dir = mkdtempSync(join(tmpdir(), 'crosswalk-phases-'));
const processes: CliProcess[] = [];

const runAll = async (...more: string[]): Promise<RunDocument> =>
  JSON.parse(await expectCli(['migrate', 'run', '--yes', '--json', ...more], env)) as RunDocument;

function startPipeline(): CliProcess[] {
  const started = ['connect', 'project'].map((name) =>
    startCli([name], { NODE_NO_WARNINGS: '1', LOG_LEVEL: 'warn', ...env }),
  );
  processes.push(...started);
  return started;
}

async function stopPipeline(started: readonly CliProcess[]): Promise<void> {
  for (const { child } of started) child.kill('SIGTERM');
  await Promise.all(started.map(({ ended }) => ended));
}

describe('a migration', () => {
  beforeAll(async () => {
    rig = await createConnectorRig('phases');
    env = { ...rig.env };
    // As it was before anybody thought of capturing it.
    const { rows } = await rig.legacy.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class WHERE relreplident = 'f' AND relnamespace = 'public'::regnamespace`,
    );
    expect(rows.length).toBeGreaterThan(10);
    await rig.legacy.query(
      `DROP PUBLICATION crosswalk; ${rows.map(({ name }) => `ALTER TABLE ${name} REPLICA IDENTITY DEFAULT;`).join('')}`,
    );
    await loadSample(env.LEGACY_DATABASE_URL!, { seed: 5, contacts: 300, quotes: 300 });
    captureBefore = await describeCapture(rig.legacy);
  });
  afterAll(async () => {
    for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    await rig?.drop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('asks nobody where nobody can answer, and is planned without touching anything', async () => {
    expect(await runCli(['migrate', 'run'], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Give --yes'),
    });
    const plan = await expectCli(['migrate', 'run', '--dry-run'], env);
    expect(plan).toContain('CREATE TABLE crm.contacts');
    expect(plan).toContain('CREATE PUBLICATION');
    expect(plan).toContain('-- phase load');
    const target = await connect(env.TARGET_DATABASE_URL!, 'observe');
    expect((await target.query(`SELECT FROM pg_namespace WHERE nspname IN ('crm', 'crosswalk')`)).rowCount).toBe(0);
    await target.end();
    expect(await describeCapture(rig.legacy)).toEqual(captureBefore);
  });

  test('runs on an empty target and filled legacy tables, by two at once, up to the opt-in', async () => {
    const backup = ['--backup-dir', join(dir, 'backup')];
    const prepared = await Promise.all([
      runAll('--to', 'capture', ...backup),
      sleep(50).then(() => runAll('--to', 'capture', ...backup)),
    ]);
    const running = Promise.all([
      runAll('--timeout', '120', ...backup),
      sleep(50).then(() => runAll('--timeout', '120', ...backup)),
    ]);
    running.catch(() => undefined);
    // The pipeline may be done with so few rows before anybody asks for them.
    const observed = await connect(env.TARGET_DATABASE_URL!, 'observe');
    await waitUntil('the load is waited for', async () => {
      const { rows } = await observed.query(
        `SELECT FROM crosswalk.phase_log WHERE phase = 'load' AND verdict = 'begun'`,
      );
      return rows.length > 0;
    });
    await observed.end();
    const pipeline = startPipeline();
    const both = await running;
    for (const { ok, phases } of [...prepared, ...both]) {
      expect(ok).toBe(true);
      expect(phases.map(({ phase, verdict }) => `${phase} ${verdict}`)).toEqual(
        ALL.slice(0, phases.length).map((phase) => `${phase} done`),
      );
    }
    expect(both.map(({ phases }) => phases.length)).toEqual([7, 7]);
    // One of them did it, the other one found it done.
    const needed = prepared.map(({ phases }) => phases.filter((phase) => phase.needed).length);
    expect(needed.toSorted()).toEqual([0, 3]);
    const doer = prepared[needed.indexOf(3)]!;
    const schema = doer.phases.find(({ phase }) => phase === 'schema')!;
    expect(schema.before).toEqual({});
    expect(schema.after['crm.contacts']).toMatchObject({
      rows: 0,
      constraints: expect.any(Number),
      invalid: 0,
      unvalidated: 0,
    });
    expect(doer.phases.find(({ phase }) => phase === 'capture')!.after).toMatchObject({
      captured: { tables: 12, full: 12, published: 12 },
    });
    const load = both
      .map(({ phases }) => phases.find(({ phase, needed }) => phase === 'load' && needed))
      .find((phase) => phase !== undefined)!;
    expect(load.after['legacy contacts']).toEqual({ rows: 300 });
    for (const table of ['contacts', 'messages', 'orders', 'campaigns', 'campaign_subscribers']) {
      expect(load.before[`legacy ${table}`]!.rows).toBeGreaterThan(0);
      expect(load.after[`legacy ${table}`]).toEqual(load.before[`legacy ${table}`]);
    }
    // What the migrations put into the schema is in a backup before the projectors write to it.
    const { what } = load.checks.find(({ name }) => name === 'backup')!;
    const [folder] = /^\S+-before-load(?=: restored elsewhere, \d+ tables with equal counts)/.exec(what) ?? [''];
    expect(existsSync(join(folder, 'manifest.json'))).toBe(true);
    expect(load.after['crm.contacts']).toEqual({ projected: 300, app: 0 });
    expect(await compareRows({ legacyUrl: env.LEGACY_DATABASE_URL!, targetUrl: env.TARGET_DATABASE_URL! })).toEqual([]);
    // What the application looks at first is right without a further step.
    const observer = await connect(env.TARGET_DATABASE_URL!, 'observe');
    const { rows: pending } = await observer.query<{ shown: string; counted: string; analysed: string }>(
      `SELECT (SELECT sum(pending_leads) FROM crm.dashboard_stats_data)::text AS shown,
         (SELECT count(*) FROM crm.leads WHERE deleted_at IS NULL AND coalesce(status, 'new') = 'new' AND NOT is_converted)::text AS counted,
         (SELECT count(DISTINCT tablename) FROM pg_stats WHERE schemaname = 'crm' AND tablename IN ('contacts', 'leads', 'quotes_new'))::text AS analysed`,
    );
    await observer.end();
    expect(pending[0]).toEqual({ shown: pending[0]!.counted, counted: expect.stringMatching(/^[1-9]/), analysed: '3' });
    const shown = JSON.parse((await runCli(['status', '--json'], env)).stdout) as { dashboard: { ageSeconds: number } };
    expect(shown.dashboard.ageSeconds).toBeLessThan(3600);

    const again = await runAll();
    expect(again.phases.filter(({ needed }) => needed).map(({ phase }) => phase)).toEqual(['verify']);
    const status = JSON.parse(await expectCli(['migrate', 'status', '--json'], env)) as {
      phases: { phase: string; state: string; by: string }[];
    };
    expect(status.phases.map(({ phase, state }) => `${phase} ${state}`)).toEqual(ALL.map((phase) => `${phase} done`));
    expect(status.phases[0]!.by).toMatch(/^\S+, \S+@\S+$/);
    await stopPipeline(pipeline);
  }, 240_000);

  test('names what differs where the verification finds something, and stops there', async () => {
    const pipeline = startPipeline();
    const target = await connect(env.TARGET_DATABASE_URL!, 'observe');
    await target.query(
      `UPDATE crm.contacts SET name = 'tampered' WHERE id = (SELECT min(id::text)::uuid FROM crm.contacts WHERE origin = 'cdc' AND deleted_at IS NULL)`,
    );
    const { code, stdout } = await runCli(['migrate', 'run', '--yes', '--json'], env);
    expect(code).toBe(1);
    const { phases } = JSON.parse(stdout) as RunDocument;
    expect(phases.at(-1)).toMatchObject({
      phase: 'verify',
      verdict: 'failed',
      confirmed: [{ state: 'failing', name: 'verify' }],
    });
    await target.end();
    await stopPipeline(pipeline);
  }, 120_000);

  test('takes the names of the plan, and is no-go where no backup can be made before the load', async () => {
    const plan = await expectCli(['migrate', 'run', '--dry-run', '--to', 'phase-4'], env);
    expect(plan).toContain('-- phase load');
    expect(plan).not.toContain('-- phase verify');
    expect((await runCli(['migrate', 'run', '--yes', '--to', 'phase-9'], env)).stderr).toMatch(/phase-8, step-1/);
    const said = await expectCli(['migrate', 'run', '--yes', '--to', 'step-2'], env);
    expect(said).toMatch(/of the plan: step-2 \(backup creation\)/);

    // Rows of the application that no backup holds, progress that is lost: the load would begin again.
    const target = await connect(env.TARGET_DATABASE_URL!, 'observe');
    const connector = startCli(['connect'], { NODE_NO_WARNINGS: '1', LOG_LEVEL: 'warn', ...env });
    processes.push(connector);
    await waitUntil('the slot is read', async () => {
      const { rows } = await rig.legacy.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active', [
        env.CROSSWALK_SLOT,
      ]);
      return rows.length > 0;
    });
    try {
      await target.query(
        `CREATE TABLE crosswalk.kept AS TABLE crosswalk.consumer_offset; DELETE FROM crosswalk.consumer_offset; INSERT INTO crm.users (email) VALUES ('late@crosswalk.invalid')`,
      );
      const file = join(dir, 'no-folder');
      writeFileSync(file, '');
      const refused = await runCli(['migrate', 'run', '--yes', '--json', '--to', 'load', '--backup-dir', file], env);
      expect(refused.code).toBe(1);
      const { phases } = JSON.parse(refused.stdout) as RunDocument;
      expect(phases.at(-1)).toMatchObject({ phase: 'load', verdict: 'no-go' });
      expect(phases.at(-1)!.checks.at(-1)!.what).toContain('No backup before this phase');
      const { rows } = await target.query<{ verdict: string }>(
        `SELECT verdict FROM crosswalk.phase_log WHERE phase = 'load' ORDER BY id DESC LIMIT 1`,
      );
      expect(rows).toEqual([{ verdict: 'no-go' }]);
    } finally {
      await target.query(
        `DELETE FROM crm.users WHERE email = 'late@crosswalk.invalid'; INSERT INTO crosswalk.consumer_offset SELECT * FROM crosswalk.kept; DROP TABLE crosswalk.kept`,
      );
      await target.end();
      await stopPipeline([connector]);
    }
  }, 120_000);

  test('a load is taken back and comes again; rows of the application stay', async () => {
    const target = await connect(env.TARGET_DATABASE_URL!, 'observe');
    const app = await connect(env.TARGET_DATABASE_URL!, 'observe');
    try {
      const running = startPipeline();
      await waitUntil('a projector is connected', async () => {
        const { rows } = await target.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crosswalk-projector'`,
        );
        return rows.length > 0;
      });
      expect(await runCli(['migrate', 'rollback', 'load', '--yes'], env)).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/Still connected: .*crosswalk-projector/),
      });
      await stopPipeline(running);

      // A row of the application that needs a projected one keeps it.
      await target.query(
        `INSERT INTO crm.leads (id, tenant_id, contact_id) SELECT '90000000-0000-4000-8000-0000000000aa', tenant_id, id FROM crm.contacts WHERE origin = 'cdc' LIMIT 1`,
      );
      expect(await runCli(['migrate', 'rollback', 'load', '--yes'], env)).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('Rows of the application refer to projected rows: crm.leads.contact_id'),
      });
      await target.query(`DELETE FROM crm.leads WHERE id = '90000000-0000-4000-8000-0000000000aa'`);

      // Nobody may still look at it, and the log must be there to bring it back.
      const setStage = (stage: number) =>
        target.query(
          `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, reason, forced) VALUES ('somebody', $1, 'test', 'test', true)`,
          [stage],
        );
      await setStage(1);
      expect(await runCli(['migrate', 'rollback', 'load', '--yes'], env)).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('somebody at stage 1'),
      });
      await setStage(0);
      expect(
        await runCli(['migrate', 'rollback', 'load', '--yes'], { ...env, KAFKA_BROKERS: '127.0.0.1:1' }),
      ).toMatchObject({ code: 1, stdout: expect.stringContaining('would not come back from the log') });

      // The first rows of the application are committed while the rollback waits for them.
      const catalog = await describeCatalog(target, ['crm', 'crosswalk']);
      await app.query('BEGIN');
      await insertAppRows(app);
      const appBefore = await dumpTarget(app, 'app');
      const rollback = runCli(['migrate', 'rollback', 'load', '--yes'], env);
      await waitUntil('the rollback waits for a lock', async () => {
        const { rows } = await target.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crosswalk-migrate' AND wait_event_type = 'Lock'`,
        );
        return rows.length > 0;
      });
      await app.query('COMMIT');
      expect(await rollback).toMatchObject({ code: 0, stdout: expect.stringContaining('no projected row is left') });
      expect(await describeCatalog(target, ['crm', 'crosswalk'])).toEqual(catalog);
      expect(await dumpTarget(target, 'app')).toEqual(appBefore);
      expect(Object.values(await dumpTarget(target, 'live')).flat()).toEqual([]);

      const again = startPipeline();
      expect((await runAll('--to', 'verify', '--timeout', '120', '--backup-dir', join(dir, 'again'))).ok).toBe(true);
      await stopPipeline(again);
      expect(await dumpTarget(target, 'app')).toEqual(appBefore);
      expect(await compareRows({ legacyUrl: env.LEGACY_DATABASE_URL!, targetUrl: env.TARGET_DATABASE_URL! })).toEqual(
        [],
      );
    } finally {
      await app.end();
      await target.end();
    }
  }, 240_000);

  test('the capture is taken back with the slot: the legacy database is as it was', async () => {
    expect(await expectCli(['migrate', 'rollback', 'capture', '--yes'], env)).toContain('as it was before');
    expect(await describeCapture(rig.legacy)).toEqual(captureBefore);
  });
});
