// What a verified backup is worth: nothing once its folder is gone or is another one.

import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BackupRun, restoreElsewhere, takeBackup } from '../../../cli/backup-run.ts';
import { checkDrops, createDropGuard } from '../../../cli/phases/drop-guard.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type DdlOptions, ddlDefaults } from '../../../schemas/ddl-retry.ts';
import { ensurePhaseLog } from '../../../schemas/phase-log.ts';
import { runCli } from '../../support/cli.ts';
import { migrateDown, migrateUp } from '../../support/crm.ts';
import { createPhaseRig, type PhaseRig } from '../../support/phases.ts';
import { insertAppRows } from '../../support/target-database.ts';

let rig: PhaseRig;
let target: pg.Client;
let run: BackupRun;
const url = () => rig.env.TARGET_DATABASE_URL!;

beforeAll(async () => {
  rig = await createPhaseRig('cover');
  target = rig.target;
  await migrateUp(target, () => undefined);
  await ensurePhaseLog(target);
  await insertAppRows(target);
  run = {
    ...{ log: target, runId: '00000000-0000-4000-8000-000000000001', env: process.env },
    signal: new AbortController().signal,
    say: () => undefined,
    progress: () => ({ update: () => undefined, close: () => undefined }),
  };
});
afterAll(async () => {
  await rig?.drop();
});

async function takeVerified(): Promise<string> {
  const folder = rig.newFolder();
  await takeBackup(run, folder, { url: url(), schemas: ['crm', 'crosswalk'] });
  expect(await restoreElsewhere(run, folder, null, url())).toMatchObject({ ok: true });
  return folder;
}

const check = (sql = 'DROP TABLE crm.payments CASCADE', ddl?: DdlOptions) =>
  checkDrops(target, [sql], { lockTimeoutMs: 2000, withoutBackup: null }, ddl);

describe('statements that are tried', () => {
  test('need a backup for whatever of rows they lose, and for nothing else', async () => {
    for (const sql of [
      'DELETE FROM crm.payments',
      'TRUNCATE crm.payments',
      'ALTER TABLE crm.payments DROP COLUMN amount CASCADE',
      'ALTER TABLE crm.payments ALTER method TYPE varchar(40)',
      'ALTER TABLE crm.payments ALTER COLUMN mapping_version TYPE text USING upper(mapping_version)',
      `DO $$ BEGIN EXECUTE 'DELETE ' || 'FROM crm.payments'; END $$`,
    ])
      expect(`${sql}: ${(await check(sql)).what}`).toContain(
        `${sql}: This drops or changes crm.payments (1 rows, 1 of them`,
      );
    for (const sql of [
      'SELECT',
      'ALTER TABLE crm.payments ADD extra text',
      'DELETE FROM crm.payments WHERE false',
      // A column that holds nothing.
      'ALTER TABLE crm.payments DROP COLUMN deleted_at CASCADE',
    ])
      expect(await check(sql)).toMatchObject({ state: 'ok', what: 'no row is lost' });
    expect((await target.query('SELECT FROM crm.payments')).rowCount).toBe(1);
  });

  test('say in words what keeps them: what they raise, what depends on a table, who holds it', async () => {
    expect(await check(`DO $$ BEGIN RAISE EXCEPTION 'workspaces still see it: do this first'; END $$`)).toMatchObject({
      state: 'failing',
      what: 'trying the statements: workspaces still see it: do this first',
      remedy: expect.stringContaining('Do what it says'),
    });
    await target.query('CREATE VIEW crm.of_somebody AS SELECT id FROM crm.payments');
    expect(await check('DROP TABLE crm.payments')).toMatchObject({
      state: 'failing',
      what: expect.stringContaining('view crm.of_somebody depends on table crm.payments'),
    });
    await target.query('DROP VIEW crm.of_somebody');

    const other = await connect(url(), 'application');
    try {
      await other.query('BEGIN; UPDATE crm.payments SET amount = amount');
      const ddl = { ...ddlDefaults, lockTimeoutMs: 50, attempts: 2, observe: () => connect(url(), 'observe') };
      expect(await check(undefined, ddl)).toMatchObject({
        state: 'failing',
        what: expect.stringMatching(/no lock within 2 attempts of 50 ms; pid \d+ .*crosswalk-application/),
      });
      // What is only busy for a while is tried again.
      const onWait = () => void other.query('ROLLBACK');
      expect(await check(undefined, { ...ddl, attempts: 15, onWait })).toMatchObject({
        what: expect.stringContaining('This drops or changes'),
      });
    } finally {
      await other.end();
    }
  });

  test('are not run by `migrate down` while somebody sees the new schema, which it says in words', async () => {
    await target.query(
      `INSERT INTO crosswalk.stage_log (stage, set_by, reason, forced) VALUES (1, 'test', 'test', true)`,
    );
    const { code, stderr } = await runCli(
      ['migrate', 'down', '100', '--yes', '--without-backup', '--reason', 'a test'],
      rig.env,
    );
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(
        /^crosswalk migrate down: migration crm\/008_stages: workspaces still see the new schema: run crosswalk stage set all 0 first\. Do what it says.*\n$/,
      ),
    });
    await target.query(`INSERT INTO crosswalk.stage_log (stage, set_by) VALUES (0, 'test')`);
    await migrateUp(target, () => undefined);
  });
});

test('two that are verified at once do so one after the other', async () => {
  const folder = rig.newFolder();
  await takeBackup(run, folder, { url: url(), schemas: ['crosswalk'] });
  const other = await connect(url(), 'test');
  const said: string[] = [];
  try {
    const both = [run, { ...run, log: other }].map((one) =>
      restoreElsewhere({ ...one, say: (line) => said.push(line) }, folder, null, url()),
    );
    for (const verification of await Promise.all(both)) expect(verification).toMatchObject({ ok: true });
  } finally {
    await other.end();
  }
  expect(said).toEqual(['another backup of this database is being restored: waiting for its end']);
});

describe('a backup that was verified', () => {
  test('covers a drop as long as its folder is there, whole; nothing is dropped otherwise', async () => {
    const folder = await takeVerified();
    expect(await check()).toMatchObject({ state: 'ok', what: expect.stringContaining(folder) });

    const down = async () =>
      await migrateDown(target, 100, () => undefined, { guard: await createDropGuard(target, null) });
    renameSync(folder, `${folder}-away`);
    expect(await check()).toMatchObject({
      state: 'failing',
      what: expect.stringContaining(`there is no folder ${folder} on this machine`),
      remedy: expect.stringContaining('Bring the folder back'),
    });
    await expect(down()).rejects.toMatchObject({ code: 'backup_missing' });
    expect((await target.query('SELECT FROM crm.payments')).rowCount).toBe(1);

    renameSync(`${folder}-away`, folder);
    const stray = join(folder, 'data/stray');
    writeFileSync(stray, '');
    expect(await check()).toMatchObject({ state: 'failing', what: expect.stringContaining('data/stray') });
    renameSync(stray, `${folder}-stray`);
    // Another whole backup in its place is not the one that was compared.
    const other = rig.newFolder();
    await takeBackup(run, other, { url: url(), schemas: ['crosswalk'] });
    renameSync(folder, `${folder}-away`);
    renameSync(other, folder);
    expect(await check()).toMatchObject({
      state: 'failing',
      what: expect.stringContaining(`${folder} holds another backup by now`),
    });
    expect(existsSync(`${folder}-away`)).toBe(true);
  });
});
