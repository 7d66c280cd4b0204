// `crosswalk smoke` on a pipeline that runs, on one that stands still, and under a login that may not write.
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { expectCli, runCli } from '../support/cli.ts';
import { type ConnectorRig, createConnectorRig } from '../support/connector.ts';
import { type CliProcess, startCli } from '../support/connector-process.ts';
import { dumpTarget } from '../support/target-database.ts';
import { waitUntil } from '../support/wait-until.ts';

interface SmokeDocument {
  readonly ok: boolean;
  readonly tenant: string;
  readonly steps: readonly { readonly name: string; readonly state: string; readonly seconds: number | null }[];
  readonly removal: { readonly state: string; readonly seconds: number | null };
}

const STEPS = [
  ...['create a lead', 'generate a quote', 'send it', 'accept it'],
  ...['create the job', 'send the invoice', 'mark it paid'],
];
let rig: ConnectorRig;
let env: Record<string, string>;
let owner: pg.Client;
let projector: CliProcess;
const processes: CliProcess[] = [];

function start(name: string): CliProcess {
  const started = startCli([name], env);
  processes.push(started);
  return started;
}
const countLegacy = async () => {
  const { rows } = await rig.legacy.query(
    `SELECT (SELECT count(*) FROM quotes)::text AS quotes, (SELECT count(*) FROM workspaces)::text AS workspaces`,
  );
  return rows[0];
};

describe('a smoke test', () => {
  beforeAll(async () => {
    rig = await createConnectorRig('smoke');
    env = { NODE_NO_WARNINGS: '1', ...rig.env };
    await rig.legacy.query(
      `INSERT INTO workspaces (id, name) VALUES ('ws', 'W'); INSERT INTO quotes (company_id, status, total) VALUES (gen_random_uuid(), 'draft', 5)`,
    );
    await expectCli(['migrate', 'up'], env);
    start('connect');
    projector = start('project');
    await expectCli(['wait', '--timeout', '120'], env);
    owner = await connect(env.TARGET_DATABASE_URL!, 'test');
  });
  afterAll(async () => {
    for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    await owner?.end();
    await rig?.drop();
  });

  test('asks where it can, prints what it would write, and writes nothing then', async () => {
    const before = await countLegacy();
    expect(await runCli(['smoke'], env)).toMatchObject({ code: 2, stderr: expect.stringContaining('Give --yes') });
    expect(await expectCli(['smoke', '--dry-run'], env)).toMatch(/-- create a lead[\s\S]*DELETE FROM quotes/);
    expect(await countLegacy()).toEqual(before);
  });

  test('each step arrives, with its time, and its rows are gone on both sides', async () => {
    const [legacy, target] = [await countLegacy(), await dumpTarget(owner, 'live')];
    const found = JSON.parse(await expectCli(['smoke', '--yes', '--json'], env)) as SmokeDocument;
    expect(found.steps.map(({ name, state }) => `${name}: ${state}`)).toEqual(STEPS.map((name) => `${name}: arrived`));
    for (const { seconds } of [...found.steps, found.removal]) expect(seconds).toBeGreaterThan(0);
    expect(await countLegacy()).toEqual(legacy);
    expect(await dumpTarget(owner, 'live')).toEqual(target);
    // It went all the way: what is kept of it says so.
    const { rows } = await owner.query<{ status: string; paid: string }>(
      `SELECT status, amount_paid::text AS paid FROM crm.invoices_new WHERE tenant_id = $1 AND deleted_at IS NOT NULL`,
      [found.tenant],
    );
    expect(rows).toEqual([{ status: 'paid', paid: '120.50' }]);
    expect((await runCli(['verify'], env)).code).toBe(0);
  });

  test('a step that does not arrive is named, the others are not tried, and the legacy rows go', async () => {
    const legacy = await countLegacy();
    projector.child.kill('SIGTERM');
    await projector.ended;
    const { code, stdout } = await runCli(['smoke', '--yes', '--timeout', '1'], env);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAILED {2}create a lead +not within 1 s$/m);
    expect(stdout).not.toContain('generate a quote');
    expect(await countLegacy()).toEqual(legacy);
    projector = start('project');
    await expectCli(['wait', '--timeout', '60'], env);
  });

  test('one that is interrupted takes its rows away; those of one that was killed can be taken away later', async () => {
    const legacy = await countLegacy();
    projector.child.kill('SIGTERM');
    await projector.ended;
    const isWritten = async () => JSON.stringify(await countLegacy()) !== JSON.stringify(legacy);
    const stopped = startCli(['smoke', '--yes', '--timeout', '600'], env);
    await waitUntil('it has written', isWritten);
    stopped.child.kill('SIGINT');
    expect(await stopped.ended).toBe(1);
    expect(await countLegacy()).toEqual(legacy);

    const killed = startCli(['smoke', '--yes', '--timeout', '600'], env);
    await waitUntil('it has written', isWritten);
    const tenant = /^tenant (\S+),/.exec(killed.stdout())![1]!;
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(await countLegacy()).not.toEqual(legacy);
    projector = start('project');
    expect(await runCli(['smoke', '--remove', 'ws', '--yes'], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('names no tenant of a smoke test'),
    });
    expect(await expectCli(['smoke', '--remove', tenant, '--yes'], env)).toMatch(/nothing of it is left/);
    expect(await countLegacy()).toEqual(legacy);
  });

  test('a login that may only read says which setting is meant', async () => {
    const login = `reader_${randomBytes(4).toString('hex')}`;
    await rig.legacy.query(
      `CREATE ROLE ${login} LOGIN PASSWORD '${login}'; GRANT USAGE ON SCHEMA public TO ${login}; GRANT SELECT ON quotes, workspaces TO ${login}`,
    );
    try {
      const url = new URL(env.LEGACY_DATABASE_URL!);
      [url.username, url.password] = [login, login];
      const refused = await runCli(['smoke', '--yes'], { ...env, LEGACY_OWNER_URL: url.href });
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('LEGACY_OWNER_URL') });
      expect(refused.stderr).toMatch(/may not write the legacy tables/);
    } finally {
      await rig.legacy.query(`DROP OWNED BY ${login}; DROP ROLE ${login}`);
    }
  });
});
