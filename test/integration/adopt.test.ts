// crosswalk.adopt() makes any table with an id and a tenant a projected one, again and again to the same.
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readTableAccess, toOmissions } from '../../monitor/target-access.ts';
import { connect } from '../../runtime/postgres.ts';
import { readMigrations } from '../../schemas/migrations.ts';
import { migrateUp } from '../support/crm.ts';
import { describeCatalog } from '../support/describe-catalog.ts';
import { createDatabases } from '../support/stack.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('adopt');
  owner = await connect(databases.targetUrl, 'test');
  // Without any pipeline: the engine's own migrations are enough.
  await migrateUp(owner, () => undefined, { migrations: readMigrations(null) });
});
beforeEach(async () => {
  await owner.query(`DROP SCHEMA IF EXISTS "The shop" CASCADE; CREATE SCHEMA "The shop";
    CREATE TABLE "The shop"."the orders" (id uuid PRIMARY KEY, tenant_id text NOT NULL, total numeric)`);
});
afterAll(async () => {
  await owner?.end();
  await databases?.drop();
});

const adopt = (...given: string[]) => owner.query(`SELECT crosswalk.adopt('"The shop"."the orders"', ${given.join()})`);
const omissions = async (isHistory = false) =>
  toOmissions(
    [{ table: 'the orders', isHistory, columns: ['id', 'tenant_id', 'total'] }],
    await readTableAccess(owner, 'The shop', ['the orders']),
    'The shop',
  );
const stage = (level: number) =>
  owner.query(
    `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, forced, reason) VALUES ('t', $1, 'a', true, 'a')`,
    [level],
  );
async function asApp<T extends pg.QueryResultRow>(sql: string): Promise<T[]> {
  await owner.query(`BEGIN; SET LOCAL ROLE crosswalk_app; SET LOCAL crosswalk.tenant_id = 't'`);
  try {
    return (await owner.query<T>(sql)).rows;
  } finally {
    await owner.query('ROLLBACK');
  }
}

test('a table in a schema of any name, and as often as one likes', async () => {
  expect((await omissions()).map(({ kind }) => kind)).toContain('adoption');
  await adopt('1');
  expect(await omissions()).toEqual([]);
  const first = await describeCatalog(owner, ['The shop']);
  await adopt('1');
  expect(await describeCatalog(owner, ['The shop'])).toEqual(first);
});

test('it is seen by its tenant from its stage on, and by nobody where it has none', async () => {
  const count = `SELECT count(*)::int AS n FROM "The shop"."the orders"`;
  await adopt('2');
  await owner.query(
    `INSERT INTO "The shop"."the orders" (id, tenant_id) VALUES (gen_random_uuid(), 't'), (gen_random_uuid(), 'u')`,
  );
  await stage(1);
  expect(await asApp(count)).toEqual([{ n: '0' }]);
  await stage(2);
  expect(await asApp(count)).toEqual([{ n: '1' }]);
  await adopt('3');
  expect(await asApp(count)).toEqual([{ n: '0' }]);
  await adopt('NULL');
  expect(await omissions()).toEqual([]);
  await expect(asApp(count)).rejects.toMatchObject({ code: '42501' });
});

test('the application takes no projected row over, and changes none of a history', async () => {
  await adopt('0', 'true');
  expect(await omissions(true)).toEqual([]);
  await expect(asApp(`UPDATE "The shop"."the orders" SET total = 1`)).rejects.toMatchObject({ code: '42501' });
  await adopt('0');
  await owner.query(
    `INSERT INTO "The shop"."the orders" VALUES (gen_random_uuid(), 't', 1, 'cdc', 'o', '1', '0/1', 1, now(), '1')`,
  );
  await expect(owner.query(`UPDATE "The shop"."the orders" SET origin = 'app'`)).rejects.toThrow(/is projected/);
  await expect(
    owner.query(`INSERT INTO "The shop"."the orders" (id, tenant_id, origin) VALUES (gen_random_uuid(), 't', 'cdc')`),
  ).rejects.toMatchObject({ code: '23514' });
});

test('a table without an id or a tenant is refused, and so is a view', async () => {
  await owner.query(
    `CREATE TABLE "The shop".bare (id int); CREATE VIEW "The shop".seen AS SELECT 1 AS id, 't' AS tenant_id`,
  );
  await expect(owner.query(`SELECT crosswalk.adopt('"The shop".bare', 1)`)).rejects.toThrow(
    /lacks the columns tenant_id/,
  );
  await expect(owner.query(`SELECT crosswalk.adopt('"The shop".seen', 1)`)).rejects.toThrow(/no ordinary table/);
});

test('what a projector may call makes shadows of adopted tables alone, and refreshes what the owner has named', async () => {
  await owner.query('CREATE TABLE "The shop".plain (id int, tenant_id text)');
  await owner.query('BEGIN; SET LOCAL ROLE crosswalk_projector');
  await expect(owner.query(`SELECT crosswalk.create_shadow('a', 'The shop', ARRAY['plain'], false)`)).rejects.toThrow(
    /no projected table/,
  );
  await owner.query('ROLLBACK');
  await owner.query('BEGIN; SET LOCAL ROLE crosswalk_projector');
  await expect(owner.query(`SELECT crosswalk.refresh_with('pg_catalog.now()')`)).rejects.toMatchObject({
    code: '42501',
  });
  await owner.query('ROLLBACK');
  await owner.query(`CREATE TABLE "The shop".figures (n int); INSERT INTO "The shop".figures VALUES (0);
    CREATE FUNCTION "The shop".refresh() RETURNS void LANGUAGE sql AS 'UPDATE "The shop".figures SET n = n + 1';
    SELECT crosswalk.refresh_with('"The shop".refresh()')`);
  await owner.query('BEGIN; SET LOCAL ROLE crosswalk_projector; SELECT crosswalk.refresh_figures(); COMMIT');
  expect((await owner.query(`SELECT n::text FROM "The shop".figures`)).rows).toEqual([{ n: '1' }]);
});
