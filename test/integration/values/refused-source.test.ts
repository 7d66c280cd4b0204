// What cannot be captured exactly is refused with a plain line before anything is set, and setting up never takes updates away from the legacy application.

import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planSourceSetup } from '../../../connectors/source-setup.ts';
import { type CrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { connect } from '../../../runtime/postgres.ts';
import { parseConfig } from '../../support/crm.ts';
import { createDatabases } from '../../support/stack.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
let canPublishGenerated: boolean;
beforeAll(async () => {
  databases = await createDatabases('refused');
  client = await connect(databases.legacyUrl, 'test');
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`);
  canPublishGenerated = Number(rows[0]!.version) >= 180_000;
  await client.query(`CREATE TABLE plain (id int PRIMARY KEY);
    CREATE TABLE stored (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
    INSERT INTO stored VALUES (1, 1)`);
});
afterAll(async () => {
  await client?.end();
  await databases?.drop();
});

test('stored computed columns: with a new publication and with one that is there, the application can go on updating', async () => {
  const plans: string[][] = [];
  for (const publication of ['fresh', 'old']) {
    if (publication === 'old') await client.query('CREATE PUBLICATION old FOR TABLE plain, stored');
    await client.query('ALTER TABLE stored REPLICA IDENTITY DEFAULT');
    const plan = await planSourceSetup(client, { schema: 'public', tables: ['plain', 'stored'], publication });
    plans.push(plan);
    for (const statement of plan) {
      await client.query(statement);
      await client.query('UPDATE stored SET a = a + 1');
    }
    expect(await planSourceSetup(client, { schema: 'public', tables: ['plain', 'stored'], publication })).toEqual([]);
    if (publication === 'fresh') await client.query('DROP PUBLICATION fresh');
  }
  expect(
    plans.every((plan) => plan.join().includes('publish_generated_columns = stored') === canPublishGenerated),
  ).toBe(true);
});

test('columns that are computed when read: refused, and nothing is set', async () => {
  if (!canPublishGenerated) return;
  await client.query(
    'CREATE TABLE computed (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL)',
  );
  const error = (await planSourceSetup(client, {
    schema: 'public',
    tables: ['plain', 'computed'],
    publication: 'none',
  }).catch((thrown: unknown) => thrown)) as CrosswalkError;
  expect(error).toMatchObject({ code: 'replica_identity' });
  expect(toErrorLine(error)).toMatch(
    /^Columns that are computed when read cannot be captured: computed\. Make them STORED[^\n]*$/,
  );
});

test('names of tables and schemas that make no topic', () => {
  for (const [key, value] of [
    ['CROSSWALK_TABLES', 'User'],
    ['CROSSWALK_TABLES', 'größe'],
    ['CROSSWALK_TABLES', 'a b'],
    ['CROSSWALK_TABLES', 'a"; DROP TABLE b'],
    ['CROSSWALK_LEGACY_SCHEMA', 'My Schema'],
    ['CROSSWALK_LEGACY_SCHEMA', 'public.x'],
  ] as const) {
    expect(() => parseConfig({ [key]: value })).toThrow(
      new RegExp(`^Configuration: ${key} must be .*lower-case letters, digits and _`),
    );
  }
});
