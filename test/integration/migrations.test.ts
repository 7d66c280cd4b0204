import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { migrateDown, migrateUp, readMigrationState, readMigrations } from '../support/crm.ts';
import { createDatabases } from '../support/stack.ts';

const silent = () => undefined;
const all = readMigrations();
const names = all.map(({ schema, number, name }) => `${schema}/${String(number).padStart(3, '0')}_${name}`);

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('migrations');
  client = await connect(databases.targetUrl, 'test');
});
beforeEach(async () => {
  await client.query('DROP SCHEMA IF EXISTS crm CASCADE; DROP SCHEMA IF EXISTS crosswalk CASCADE');
});
afterAll(async () => {
  await client?.end();
  await databases?.drop();
});

/** Everything in the two schemas that a migration could make, but for the mark of what is applied. */
async function describeSchemas(): Promise<string[]> {
  const { rows } = await client.query<{ item: string }>(`
    SELECT 'column ' || c.oid::regclass || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || coalesce(c.relacl::text, '') AS item
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('crm', 'crosswalk')) AND c.oid <> 'crosswalk.migration'::regclass AND c.oid <> 'crosswalk.migration_pkey'::regclass
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('crm', 'crosswalk')) AND conrelid <> 'crosswalk.migration'::regclass
    UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || coalesce(qual, '') || coalesce(with_check, '') FROM pg_policies WHERE schemaname = 'crm'
    UNION ALL SELECT 'function ' || oid::regprocedure || coalesce(proacl::text, '') FROM pg_proc WHERE pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('crm', 'crosswalk'))
    ORDER BY 1`);
  return rows.map((row) => row.item);
}

it('go up, down to nothing, and up again to the same', async () => {
  const reported: string[] = [];
  expect(await migrateUp(client, (name) => reported.push(name))).toEqual(names);
  expect(reported).toEqual(names);
  const first = await describeSchemas();
  expect(first.length).toBeGreaterThan(200);
  expect(await migrateDown(client, 100, silent)).toEqual(names.toReversed());
  expect(await describeSchemas()).toEqual([]);
  expect(await migrateUp(client, silent)).toEqual(names);
  expect(await describeSchemas()).toEqual(first);
});

it('go down as far as asked, with rows in the tables', async () => {
  await migrateUp(client, silent);
  await client.query(`INSERT INTO crm.tenants (id, tenant_id) VALUES ('t', 't')`);
  expect(await migrateDown(client, 1, silent)).toEqual(names.slice(-1));
  expect(await migrateUp(client, silent)).toEqual(names.slice(-1));
  expect((await client.query('SELECT id FROM crm.tenants')).rows).toEqual([{ id: 't' }]);
});

it('are applied once, however often and by however many at once they are run', async () => {
  const others = await Promise.all(Array.from({ length: 4 }, () => connect(databases.targetUrl, 'test')));
  try {
    const applied = await Promise.all(others.map((other) => migrateUp(other, silent)));
    expect(applied.flat().toSorted()).toEqual(names.toSorted());
    expect(await migrateUp(client, silent)).toEqual([]);
    const state = await readMigrationState(client);
    expect(state.map(({ appliedAt }) => appliedAt === null)).toEqual(all.map(() => false));
  } finally {
    for (const other of others) await other.end();
  }
});

it('refuse a database whose migrations are not these', async () => {
  await migrateUp(client, silent);
  await client.query(`UPDATE crosswalk.migration SET checksum = 'other' WHERE schema = 'crm' AND number = 2`);
  for (const run of [() => migrateUp(client, silent), () => migrateDown(client, 1, silent)]) {
    await expect(run()).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining('crm/002_people'),
    });
  }
  await client.query(
    `UPDATE crosswalk.migration SET checksum = '${all.find(({ name }) => name === 'people')!.checksum}' WHERE schema = 'crm' AND number = 2`,
  );
  expect(await migrateUp(client, silent)).toEqual([]);
  await client.query(
    `INSERT INTO crosswalk.migration (schema, number, name, checksum) VALUES ('crm', 99, 'later', '')`,
  );
  await expect(migrateUp(client, silent)).rejects.toMatchObject({
    code: 'migration_failed',
    message: expect.stringContaining('unknown to this program'),
  });
});
