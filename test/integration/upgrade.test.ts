// A database whose schema was made by version 0.1 goes on with this one.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { migrateDown, migrateUp, readMigrations } from '../support/crm.ts';
import { describeCatalog } from '../support/describe-catalog.ts';
import { earlierMigrations } from '../support/earlier-migrations.ts';
import { createDatabases } from '../support/stack.ts';

const silent = () => undefined;
const SCHEMAS = ['crm', 'crosswalk'];
/** Functions of version 0.1 that processes of it still call while they are replaced one by one. */
const LEFT = [
  'crosswalk.analyze_projected()',
  'crosswalk.create_shadow(text,text[],boolean)',
  'crosswalk.keep_up(interval)',
  'crosswalk.show_from_stage(text,integer)',
  'crm.refuse_taking_over()',
];

const opened: pg.Client[] = [];
const drops: (() => Promise<void>)[] = [];
let upgraded: pg.Client;
let fresh: pg.Client;

async function open(name: string): Promise<pg.Client> {
  const databases = await createDatabases(name);
  drops.push(databases.drop);
  const client = await connect(databases.targetUrl, 'test');
  opened.push(client);
  return client;
}

beforeAll(async () => {
  [upgraded, fresh] = [await open('upgraded'), await open('fresh')];
  await migrateUp(upgraded, silent, { migrations: earlierMigrations() });
  await migrateUp(fresh, silent);
});
afterAll(async () => {
  await Promise.all(opened.map((client) => client.end()));
  for (const drop of drops) await drop();
});

const describe = async (client: pg.Client) =>
  (await describeCatalog(client, SCHEMAS)).filter((line) => !LEFT.some((name) => line.includes(name)));

test('with the same tables, rights and policies as one that is new, and back to where it was', async () => {
  const before = await describeCatalog(upgraded, SCHEMAS);
  const missing = readMigrations().length - earlierMigrations().length;
  expect(await migrateUp(upgraded, silent)).toHaveLength(missing);
  expect(await describe(upgraded)).toEqual(await describe(fresh));
  expect(await migrateUp(upgraded, silent)).toEqual([]);
  await migrateDown(upgraded, missing, silent);
  expect(await describeCatalog(upgraded, SCHEMAS)).toEqual(before);
});
