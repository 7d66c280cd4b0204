// Each phase is taken back to exactly what was there; and nothing is dropped that cannot be brought back.

import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDropGuard } from '../../../cli/phases/drop-guard.ts';
import { labelOf, readMigrations as readMigrationsOf } from '../../../schemas/migrations.ts';
import { appendEntry, ensurePhaseLog, readEntries } from '../../../schemas/phase-log.ts';
import { expectCli, runCli } from '../../support/cli.ts';
import { migrateUp, readMigrations } from '../../support/crm.ts';
import { describeCapture } from '../../support/describe-catalog.ts';
import { earlierMigrations } from '../../support/earlier-migrations.ts';
import { carry, createPhaseRig, type PhaseRig } from '../../support/phases.ts';
import { createDatabases } from '../../support/stack.ts';
import { insertAppRows } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const rigs: PhaseRig[] = [];
async function openRig(): Promise<PhaseRig> {
  const rig = await createPhaseRig('rollback');
  rigs.push(rig);
  return rig;
}
/** Backs up, migrates and captures; returns the folder of the backup. */
async function toCapture(rig: PhaseRig, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const results = await carry(rig, ['backup', 'schema', 'capture'], 'run', env);
  expect(results.map(({ verdict }) => verdict)).toEqual(['done', 'done', 'done']);
  return String(results[0]!.detail.dir);
}

async function takeBack(rig: PhaseRig, name: string) {
  return (await carry(rig, [name], 'rollback'))[0]!;
}

afterAll(async () => {
  for (const rig of rigs) await rig.drop();
});

describe('the capture phase', () => {
  test.each([
    ['nothing at all', ''],
    [
      'identities of every kind and no publication',
      `CREATE UNIQUE INDEX "odd index" ON contacts (id, created_at); ALTER TABLE contacts ALTER created_at SET NOT NULL; ALTER TABLE contacts REPLICA IDENTITY USING INDEX "odd index";
       ALTER TABLE quotes REPLICA IDENTITY NOTHING; ALTER TABLE messages REPLICA IDENTITY FULL`,
    ],
    [
      'a publication of some tables with settings of its own',
      `CREATE PUBLICATION crosswalk FOR TABLE contacts (id, name), quotes WHERE (id IS NOT NULL), TABLES IN SCHEMA pg_catalog_not WITH (publish = 'insert, delete', publish_via_partition_root = true)`,
    ],
    [
      'a publication of nothing',
      `CREATE PUBLICATION crosswalk WITH (publish = 'update'); CREATE PUBLICATION other FOR TABLE orders`,
    ],
  ])('comes back to %s', async (_, setup) => {
    const rig = await openRig();
    await rig.legacy.query(setup.replace(', TABLES IN SCHEMA pg_catalog_not', ''));
    const before = await describeCapture(rig.legacy);
    const dir = await toCapture(rig);
    const after = await describeCapture(rig.legacy);
    expect(after).not.toEqual(before);

    const plan = await expectCli(['migrate', 'rollback', 'capture', '--dry-run'], rig.env);
    expect(await takeBack(rig, 'capture')).toMatchObject({ verdict: 'done', needed: true });
    expect(await describeCapture(rig.legacy)).toEqual(before);
    expect(await takeBack(rig, 'capture')).toMatchObject({ verdict: 'done', needed: false });

    // What was printed does the same, and so does the script that lies with the backup.
    for (const undo of [plan.replaceAll(/^--.*$/gm, ''), readFileSync(join(dir, 'legacy-capture.sql'), 'utf8')]) {
      await toCapture(rig);
      expect(await describeCapture(rig.legacy)).toEqual(after);
      for (const statement of undo.split(/;\n/)) await rig.legacy.query(statement);
      expect(await describeCapture(rig.legacy)).toEqual(before);
    }
  });

  test('goes back to what was there first, over several runs and a table that came later', async () => {
    const rig = await openRig();
    const before = await describeCapture(rig.legacy);
    await toCapture(rig, { CROSSWALK_TABLES: 'workspaces,contacts' });
    await toCapture(rig);
    await toCapture(rig);
    expect(await takeBack(rig, 'capture')).toMatchObject({ verdict: 'done', needed: true });
    expect(await describeCapture(rig.legacy)).toEqual(before);
  });

  test('is not taken back while somebody reads the slot, and then takes the slot with it', async () => {
    const rig = await openRig();
    const before = await describeCapture(rig.legacy);
    await toCapture(rig);
    const slot = rig.env.CROSSWALK_SLOT!;
    await rig.legacy.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
    const reader = new pg.Client({ connectionString: `${rig.env.LEGACY_DATABASE_URL}?replication=database` });
    reader.on('error', () => undefined);
    await reader.connect();
    const reading = reader
      .query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names 'crosswalk')`)
      .catch(() => undefined);
    const isRead = async (active: boolean) => {
      const { rows } = await rig.legacy.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active = $2', [
        slot,
        active,
      ]);
      return rows.length === 1;
    };
    await waitUntil('the slot is read', () => isRead(true));
    const refused = await takeBack(rig, 'capture');
    expect(refused).toMatchObject({
      verdict: 'no-go',
      checks: expect.arrayContaining([expect.objectContaining({ name: 'connector', state: 'failing' })]),
    });
    await reader.end();
    await reading;
    await waitUntil('the slot is free', () => isRead(false));
    expect(await takeBack(rig, 'capture')).toMatchObject({ verdict: 'done' });
    expect(await describeCapture(rig.legacy)).toEqual(before);
  });
});

describe('the schema phase', () => {
  test('takes back what its last run applied, and nothing else', async () => {
    const rig = await openRig();
    const earlier = earlierMigrations().filter(({ schema, number }) => number <= (schema === 'crm' ? 4 : 1));
    await migrateUp(rig.target, () => undefined, { migrations: earlier });
    // A run of the phase itself, of an earlier version: taken back twice, the last one does not go on with this one.
    const pending = earlier.map(labelOf);
    await ensurePhaseLog(rig.target);
    for (const [verdict, detail] of [
      ['begun', { pending }],
      ['done', {}],
    ] as const)
      await appendEntry(rig.target, { runId: randomUUID(), phase: 'schema', action: 'run', verdict, detail });
    await rig.target.query(`INSERT INTO crm.tenants (id, tenant_id) VALUES ('t', 't')`);
    const before = await rig.describe();
    await toCapture(rig);
    expect(await takeBack(rig, 'capture')).toMatchObject({ verdict: 'done' });
    expect(await rig.describe()).not.toEqual(before);
    const { detail } = await takeBack(rig, 'schema');
    expect(detail.undone).toHaveLength(readMigrations().length - earlier.length);
    // What the engine grants beside its tables stays: the migrations of that time did it elsewhere.
    const withoutGrants = (lines: readonly string[]) =>
      lines
        .filter((line) => !line.startsWith('schema crosswalk '))
        .map((line) => line.replaceAll(/crosswalk_operator=[A-Z]+\/\w+ /g, ''));
    expect(withoutGrants(await rig.describe())).toEqual(withoutGrants(before));
    expect((await rig.target.query('SELECT id FROM crm.tenants')).rows).toEqual([{ id: 't' }]);
    expect(await takeBack(rig, 'schema')).toMatchObject({ verdict: 'done', needed: false });
    // The run before it had rows to lose: its backup was restored and compared.
    const verified = (await readEntries(rig.target)).filter(({ action }) => action === 'backup verified');
    expect(verified.map(({ verdict }) => verdict)).toEqual(['done']);
  });
});

describe('what cannot be undone', () => {
  let rig: PhaseRig;
  let folder: string;
  const down = (...more: string[]) => runCli(['migrate', 'down', '100', '--yes', ...more], rig.env);
  /** A column that was added later and holds something is a loss of its own: this is about tables. */
  const forgetAddedTimes = () => rig.target.query('UPDATE crm.lead_custom_fields SET created_at = NULL');
  const countTables = async () =>
    Number(
      (
        await rig.target.query<{ n: string }>(
          `SELECT count(*)::text AS n FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('crm')`,
        )
      ).rows[0]!.n,
    );

  beforeAll(async () => {
    rig = await openRig();
    await migrateUp(rig.target, () => undefined);
    await insertAppRows(rig.target);
    await forgetAddedTimes();
    folder = rig.newFolder();
  });

  test('begins with a column that was added later and holds something, if it does', async () => {
    await rig.target.query('UPDATE crm.lead_custom_fields SET created_at = now()');
    expect((await down()).stderr).toMatch(
      /This drops or changes crm\.lead_custom_fields \(1 rows, 1 of them in no log\), /,
    );
    expect((await rig.target.query('SELECT created_at FROM crm.lead_custom_fields')).rowCount).toBe(1);
    await forgetAddedTimes();
    await migrateUp(rig.target, () => undefined);
  });

  test('is refused without a backup, by both ways, with the tables named and untouched', async () => {
    for (const refused of [await down(), await runCli(['migrate', 'down', '100', '--yes', '--reason', 'x'], rig.env)])
      expect(refused.code).toBe(2);
    const { stderr } = await down();
    expect(stderr).toMatch(
      /This drops .*crm\.payments \(1 rows, 1 of them in no log\).* no backup that was restored elsewhere and compared/,
    );
    expect(await countTables()).toBeGreaterThan(15);
  });

  test('and with one that was taken but not restored elsewhere, or that does not hold what is there now', async () => {
    await expectCli(['backup', 'create', folder], rig.env);
    expect((await down()).stderr).toContain('no backup that was restored elsewhere');
    const { ok, tables } = JSON.parse(await expectCli(['backup', 'verify', folder, '--json'], rig.env)) as {
      ok: boolean;
      tables: { table: string; rows: number }[];
    };
    expect(ok).toBe(true);
    expect(tables.find(({ table }) => table === 'crm.payments')).toMatchObject({
      rows: 1,
      expectedRows: 1,
      isEqual: true,
    });
    // Nothing of the restored copy is left on the server.
    expect(
      (
        await rig.target.query(
          `SELECT FROM pg_database WHERE datname LIKE 'crosswalk_restore_%' AND shobj_description(oid, 'pg_database') LIKE 'crosswalk: %' AND datname = 'crosswalk_restore_' || left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 12)`,
        )
      ).rowCount,
    ).toBe(0);

    await rig.target.query(`UPDATE crm.payments SET amount = amount + 1 WHERE origin = 'app'`);
    expect((await down()).stderr).toMatch(/This drops .*crm\.payments/);
    await rig.target.query(`UPDATE crm.payments SET amount = amount - 1 WHERE origin = 'app'`);
    await rig.target.query(`INSERT INTO crm.users (email) VALUES ('third@crosswalk.invalid')`);
    const { code, stdout } = await down();
    // Migrations that drop nothing of it are undone before; the first that would is not.
    expect({ code, stdout }).toMatchObject({ code: 2, stdout: expect.not.stringContaining('crm/001_tenancy') });
    expect((await rig.target.query('SELECT FROM crm.users')).rowCount).toBe(2);
  });

  test('is done with one that holds it, although projected rows have changed since', async () => {
    await migrateUp(rig.target, () => undefined);
    await rig.target.query(`DELETE FROM crm.users WHERE email = 'third@crosswalk.invalid'`);
    await insertAppRows(rig.target).catch(() => undefined);
    await forgetAddedTimes();
    const second = rig.newFolder();
    const { into, drop } = await createEmpty();
    await expectCli(['backup', 'create', second], rig.env);
    const withPassword = await runCli(['backup', 'verify', second, '--into', into], rig.env);
    expect(withPassword).toMatchObject({ code: 2, stderr: expect.stringContaining('RESTORE_DATABASE_URL') });
    const verified = await expectCli(['backup', 'verify', second], { ...rig.env, RESTORE_DATABASE_URL: into });
    expect(verified).toContain('every table, sequence and definition is as it was');
    await drop();
    await rig.target.query(
      `INSERT INTO crm.tenants (id, tenant_id, origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) VALUES ('new', 'new', 'cdc', 'workspaces', 'new', '0/1', 1, now(), '1')`,
    );
    expect((await down()).code).toBe(0);
    expect(await countTables()).toBe(0);
    expect((await readEntries(rig.target)).at(-1)).toMatchObject({ phase: 'schema', action: 'down', verdict: 'done' });
  });

  test('is done without one when a person says why, which is kept', async () => {
    await migrateUp(rig.target, () => undefined);
    expect((await down('--without-backup')).stderr).toContain('belong together');
    expect((await down('--without-backup', '--reason', 'a test database')).code).toBe(0);
    expect(await countTables()).toBe(0);
    expect((await readEntries(rig.target)).at(-1)).toMatchObject({
      action: 'down',
      verdict: 'done',
      reason: 'a test database',
    });
    await expect(rig.target.query('DELETE FROM crosswalk.phase_log')).rejects.toThrow('append-only');
    await expect(rig.target.query('TRUNCATE crosswalk.phase_log')).rejects.toThrow('append-only');
    await expect(rig.target.query(`UPDATE crosswalk.phase_log SET reason = 'none'`)).rejects.toThrow('append-only');
  });

  test('is asked for by a migration that drops something on its way up, too', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'crosswalk-migrations-'));
    for (const schema of ['crosswalk', 'crm']) mkdirSync(join(dir, schema));
    const write = (name: string, up: string) => {
      writeFileSync(join(dir, 'crm', `${name}.up.sql`), up);
      writeFileSync(join(dir, 'crm', `${name}.down.sql`), 'SELECT;');
    };
    const own = await openRig();
    write('001_made', 'CREATE TABLE crm.made (id int, a int, b int); INSERT INTO crm.made VALUES (1, 2, 3);');
    await migrateUp(own.target, () => undefined, {
      migrations: readMigrationsOf(
        { schema: 'crm', folder: join(dir, 'crm') },
        { schema: 'crosswalk', folder: join(dir, 'crosswalk') },
      ),
    });
    write('002_contracted', 'ALTER TABLE crm.made DROP COLUMN b;');
    const guarded = {
      migrations: readMigrationsOf(
        { schema: 'crm', folder: join(dir, 'crm') },
        { schema: 'crosswalk', folder: join(dir, 'crosswalk') },
      ),
      guard: await createDropGuard(own.target, null),
    };
    await expect(migrateUp(own.target, () => undefined, guarded)).rejects.toMatchObject({
      code: 'backup_missing',
      message: expect.stringContaining('crm.made (1 rows, 1 of them in no log)'),
    });
    expect((await own.target.query('SELECT b FROM crm.made')).rows).toEqual([{ b: '3' }]);
    const free = { ...guarded, guard: await createDropGuard(own.target, 'a test') };
    expect(await migrateUp(own.target, () => undefined, free)).toEqual(['crm/002_contracted']);
    rmSync(dir, { recursive: true, force: true });
  });

  async function createEmpty(): Promise<{ into: string; drop(): Promise<void> }> {
    const databases = await createDatabases('restored');
    return { into: databases.targetUrl, drop: databases.drop };
  }
});
