// How PostgreSQL writes a value is decided by the connection, whatever the database and the address say.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { createDatabases } from '../../support/stack.ts';
import { makeHostile } from './hostile-settings.ts';

const TEXTS: Readonly<Record<string, string>> = {
  "date '2024-02-01'": '2024-02-01',
  "timestamptz '2024-02-01 10:00:00.123456+05:45'": '2024-02-01 04:15:00.123456+00',
  "interval '1 year -2 days 03:04:05.06'": '1 year -2 days +03:04:05.06',
  "decode('00ff', 'hex')": '\\x00ff',
  '0.1::float8 + 0.2::float8': '0.30000000000000004',
  "xmlparse(content 'a<b/>')": 'a<b/>',
  "'a'::xml": 'a',
  "'-12.5'::numeric::money": '-$12.50',
  "'public.docs'::regclass": 'public.docs',
  "'{NULL}'::text[] IS DISTINCT FROM ARRAY['NULL']": 't',
};

let databases: Awaited<ReturnType<typeof createDatabases>>;
const clients: pg.Client[] = [];
beforeAll(async () => {
  databases = await createDatabases('pinned');
  const owner = await connect(databases.legacyUrl, 'owner');
  clients.push(owner);
  await owner.query('CREATE TABLE docs (id integer)');
  await makeHostile(owner);
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await databases?.drop();
});

const ADDRESS = '-c DateStyle=German -c IntervalStyle=iso_8601 -c TimeZone=Asia/Kathmandu -c bytea_output=escape';

test.each([
  ['the database', ''],
  ['the database and the address', `?options=${encodeURIComponent(`${ADDRESS} -c extra_float_digits=-15`)}`],
])('whatever %s sets', async (_, query) => {
  const client = await connect(`${databases.legacyUrl}${query}`, 'test', '-c search_path=pg_catalog');
  clients.push(client);
  const written: Record<string, string> = {};
  for (const value of Object.keys(TEXTS))
    written[value] = (await client.query<{ text: string }>(`SELECT ${value} AS text`)).rows[0]!.text;
  expect(written).toEqual(TEXTS);
});
