// Dead letters as people meet them: a rule of the new schema refuses rows while connector and projector run, and the commands say and mend it.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { discard, list, redrive, show } from '../../../cli/commands/dlq.ts';
import type { CommandContext } from '../../../cli/context.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { crm, parseConfig, sources } from '../../support/crm.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const idAt = (n: number) => `90000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const SECRET = 'a private remark';
const roles = ['projector', 'reader'].map((role) => ({ role, login: `${role}_${randomBytes(4).toString('hex')}` }));

let rig: ConnectorRig;
let target: pg.Client;
let env: Record<string, string>;
let projector: CliProcess;
const urls: Record<string, string> = {};

async function dlq(args: readonly string[], role = 'projector'): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, ['cli/main.ts', 'dlq', ...args], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      CROSSWALK_ENV_FILE: '/nowhere/env',
      NODE_NO_WARNINGS: '1',
      ...env,
      TARGET_DATABASE_URL: urls[role]!,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [code] = await once(child, 'close');
  return { code: code as number, out, err };
}

/** The same without a process: what it prints, and whether it returns true. */
async function here(work: (context: CommandContext) => Promise<boolean>, role = 'projector') {
  let out = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  try {
    const context: CommandContext = {
      ...{
        pipeline: crm,
        config: parseConfig({ ...env, TARGET_DATABASE_URL: urls[role]! }),
        env,
        ownEnv: env,
        log: createLog('silent'),
      },
      ...{ giveUp: () => undefined, signal: new AbortController().signal, isTerminal: false },
    };
    return { ok: await work(context), out };
  } finally {
    write.mockRestore();
  }
}
const names = async () =>
  (
    await target.query<{ name: string }>('SELECT name FROM crm.contacts WHERE deleted_at IS NULL ORDER BY name')
  ).rows.map((row) => row.name);
const openLetters = async () =>
  Number((await target.query('SELECT count(*) AS n FROM crosswalk.dead_letter WHERE resolved_at IS NULL')).rows[0].n);

beforeAll(async () => {
  rig = await createConnectorRig('dlq', { tables: sources });
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  for (const { role, login } of roles) {
    const password = randomBytes(12).toString('hex');
    await target.query(`CREATE ROLE ${login} LOGIN PASSWORD '${password}' IN ROLE crosswalk_${role}`);
    const url = new URL(rig.env.TARGET_DATABASE_URL!);
    url.username = login;
    url.password = password;
    urls[role] = url.href;
  }
  await target.query(`ALTER TABLE crm.contacts ADD CONSTRAINT contacts_name_check CHECK (name NOT LIKE 'bad%')`);
  for (const [n, name] of ['good', 'bad one', 'bad two', 'bad three', 'fine'].entries())
    await rig.legacy.query(
      `INSERT INTO contacts (id, workspace_id, name, notes, opted_out, created_at, updated_at) VALUES ($1, 'w', $2, $3, false, now(), now())`,
      [idAt(n), name, SECRET],
    );
  env = { ...rig.env };
  rig.run();
  projector = startCli(['project'], { NODE_NO_WARNINGS: '1', ...env, TARGET_DATABASE_URL: urls.projector! });
});
afterAll(async () => {
  if (projector?.isRunning()) projector.child.kill('SIGTERM');
  await projector?.ended;
  const admin = target && (await connect(new URL('/postgres', rig.env.TARGET_DATABASE_URL!).href, 'test'));
  await target?.end();
  await rig?.drop();
  for (const { login } of roles) await admin?.query(`DROP ROLE IF EXISTS ${login}`);
  await admin?.end();
});

it('are listed, shown, discarded and redriven while everything runs', async () => {
  await waitUntil('three letters', async () => (await openLetters()) === 3 && (await names()).length === 2);
  expect(await names()).toEqual(['fine', 'good']);
  const reason = '23514 contacts contacts_name_check';

  const listed = await here((context) => list(context, { limit: 50 }), 'reader');
  expect(listed.out).toContain('Open dead letters: 3');
  expect(listed.out).toContain(reason);
  const { open, letters, source } = JSON.parse((await dlq(['list', '--json'])).out) as {
    open: number;
    letters: { id: string; legacyKey: string }[];
    source: unknown;
  };
  expect({ open, source }).toEqual({ open: 3, source: { letters: [] } });
  const idOf = (key: string) => letters.find(({ legacyKey }) => legacyKey === key)!.id;

  const [projection, place] = [idOf(idAt(1)).slice(0, 8), idOf(idAt(1)).slice(9)];
  const shown = await dlq(['show', projection, place]);
  expect(shown).toMatchObject({ code: 0, err: '' });
  for (const text of [idOf(idAt(1)), idAt(1), reason, `(${SECRET.length} characters)`])
    expect(shown.out).toContain(text);
  for (const { out } of [listed, shown]) {
    expect(out).not.toContain(SECRET);
    expect(out).not.toContain('bad one');
  }
  const withValues = await here((context) => show(context, [idOf(idAt(1))], { values: true }));
  expect(withValues.out).toContain(SECRET);

  // Nothing by omission, by a reader, or without being asked twice.
  const all = { all: true, reason: 'tests' };
  await expect(here((context) => redrive(context, [], {}))).rejects.toMatchObject({ code: 'config_invalid' });
  await expect(here((context) => redrive(context, [], { all: true }), 'reader')).rejects.toMatchObject({
    code: 'permission_denied',
  });
  await expect(here((context) => discard(context, [], { reason: 'tests' }))).rejects.toMatchObject({
    code: 'config_invalid',
  });
  await expect(here((context) => discard(context, [], all))).rejects.toMatchObject({
    remedy: expect.stringContaining('--yes'),
  });
  await expect(here((context) => discard(context, [], { ...all, yes: true }), 'reader')).rejects.toMatchObject({
    code: 'permission_denied',
  });
  await expect(here((context) => show(context, ['contacts:nowhere/0@1'], {}))).rejects.toMatchObject({
    code: 'config_invalid',
  });
  expect((await here((context) => discard(context, [], { ...all, dryRun: true }))).out).toContain(
    '3 dead letters would',
  );
  expect(await openLetters()).toBe(3);

  expect(await dlq(['discard', idOf(idAt(3)), '--reason', 'left out of the tests', '--yes'])).toMatchObject({
    code: 0,
  });
  expect((await here((context) => show(context, [idOf(idAt(3))], {}))).out).toContain(
    `discarded by ${roles[0]!.login}: left out of the tests`,
  );

  // The cause is still there.
  expect(await dlq(['redrive', '--all'])).toMatchObject({ code: 1, out: expect.stringContaining(`2 stay: ${reason}`) });
  await target.query('ALTER TABLE crm.contacts DROP CONSTRAINT contacts_name_check');
  const tried = await here((context) => redrive(context, [], { projection: 'contacts', dryRun: true }));
  expect(tried.out).toContain('Nothing is changed. Of 2 dead letters 2 would be applied');
  expect(await openLetters()).toBe(2);
  // One of them has been changed meanwhile: that change has it.
  await rig.legacy.query(`UPDATE contacts SET name = 'bad two, changed' WHERE id = $1`, [idAt(2)]);
  await waitUntil('the change', async () => (await openLetters()) === 1);
  expect(await dlq(['redrive', '--reason', 'name_check'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('Of 1 dead letters 1 were applied'),
  });
  expect(await names()).toEqual(['bad one', 'bad two, changed', 'fine', 'good']);
  expect(await openLetters()).toBe(0);
  const { out } = await here((context) => list(context, { limit: 50, all: true }));
  expect(out).toContain('Open dead letters: 0, resolved: 3');
  expect(out).toContain(`redriven by ${roles[0]!.login}`);
});
