// What tables of the application alone mean for the way back: a load that is taken away, a migration that is undone, a backup.

import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BackupRun, restoreElsewhere, takeBackup } from '../../../cli/backup-run.ts';
import { createDropGuard } from '../../../cli/phases/drop-guard.ts';
import { lockProjectedSql, planUnload } from '../../../cli/phases/unload.ts';
import { ensurePhaseLog } from '../../../schemas/phase-log.ts';
import { insertOwn, OWN_TABLES } from '../../support/application-tables.ts';
import { migrateDown, migrateUp, readMigrations } from '../../support/crm.ts';
import { carry, createPhaseRig, type PhaseRig } from '../../support/phases.ts';

const silent = () => undefined;
const ROW = 'a0000000-0000-4000-8000-000000000001';
const OURS = { tenant: 'a', row: ROW, account: 1, id: ROW };
/** Tables that refer to projected rows. */
const REFERRING = ['lead_sequence_enrollments', 'consents', 'actions'];

let rig: PhaseRig;
let target: pg.Client;
let run: BackupRun;

beforeAll(async () => {
  rig = await createPhaseRig('way_back');
  target = rig.target;
  await migrateUp(target, silent);
  await ensurePhaseLog(target);
  run = {
    ...{ log: target, runId: '00000000-0000-4000-8000-000000000002', env: process.env },
    signal: new AbortController().signal,
    say: silent,
    progress: () => ({ update: silent, close: silent }),
  };
  const lineage = `'cdc', 't', '1', '0/1', 1, now(), '1'`;
  const columns = 'origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version';
  await target.query(`INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id, ${columns}) VALUES ('${ROW}', 'a', 1, 1, ${lineage});
    INSERT INTO crm.leads (id, tenant_id, contact_id, ${columns}) VALUES ('${ROW}', 'a', '${ROW}', ${lineage})`);
});
afterAll(async () => {
  await rig?.drop();
});

const count = async (table: string) =>
  Number((await target.query<{ n: string }>(`SELECT count(*) AS n FROM crm.${table}`)).rows[0]!.n);

/** Takes projected rows away as the phase does, and puts them back. Returns how many leads were left. */
async function tryUnload(): Promise<number> {
  await target.query('BEGIN');
  try {
    await target.query(await lockProjectedSql(target, 'crm'));
    for (const statement of await planUnload(target, 'crm')) await target.query(statement);
    return await count('leads');
  } finally {
    await target.query('ROLLBACK');
  }
}

test('empty ones are no hindrance for taking a load away', async () => {
  const [first] = await planUnload(target, 'crm');
  expect(first).toMatch(/^TRUNCATE /);
  for (const table of REFERRING) {
    expect(first).toContain(`"crm"."${table}"`);
    expect(await lockProjectedSql(target, 'crm')).toContain(`"crm"."${table}"`);
  }
  expect(await tryUnload()).toBe(0);
});

test('their rows stay when a load is taken away, and rows that refer to projected ones keep it from being taken away', async () => {
  await target.query(insertOwn('products', OURS));
  expect(await tryUnload()).toBe(0);
  expect(await count('products')).toBe(1);

  await target.query(insertOwn('nurture_sequences', OURS));
  for (const table of REFERRING) {
    await target.query(insertOwn(table, OURS));
    await expect(tryUnload()).rejects.toMatchObject({ code: '23503' });
    const [result] = await carry(rig, ['load'], 'rollback');
    expect(result!.verdict).toBe('no-go');
    expect(result!.checks.map(({ what }) => what).join('\n')).toContain(
      `Rows of the application refer to projected rows: crm.${table}.`,
    );
    expect(await count(table)).toBe(1);
    await target.query(`DELETE FROM crm.${table}`);
  }
});

test('a migration that drops their rows is kept from it until a verified backup holds them, which holds everything', async () => {
  for (const table of Object.keys(OWN_TABLES)) {
    await target.query(`DELETE FROM crm.${table} WHERE '${table}' <> 'budget_transactions'`).catch(silent);
    await target.query(insertOwn(table, OURS));
  }
  const later = readMigrations().filter(({ schema, number }) => schema === 'crm' && number >= 20).length;
  const undone: string[] = [];
  const down = async () =>
    await migrateDown(target, later, (name) => undone.push(name), { guard: await createDropGuard(target, null) });
  await expect(down()).rejects.toMatchObject({
    code: 'backup_missing',
    message: expect.stringMatching(/crm\.analytics_events_\d{4}_\d\d \(1 rows, 1 of them in no log\)/),
  });
  expect(await count('analytics_events')).toBe(1);
  await migrateUp(target, silent);

  const folder = rig.newFolder();
  await takeBackup(run, folder, { url: rig.env.TARGET_DATABASE_URL!, schemas: ['crm', 'crosswalk'] });
  expect(await restoreElsewhere(run, folder, null, rig.env.TARGET_DATABASE_URL!)).toMatchObject({
    ok: true,
    differences: [],
  });
  // One more row of the ledger is in no backup.
  await target.query(`INSERT INTO crm.budget_transactions (tenant_id, kind, amount_usd) VALUES ('a', 'charge', -1)`);
  await expect(down()).rejects.toMatchObject({
    code: 'backup_missing',
    message: expect.stringContaining('crm.budget_transactions (2 rows'),
  });
  await migrateUp(target, silent);
});
