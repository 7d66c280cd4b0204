// Both sides of a comparison spell rows: as PostgreSQL does, or whole tables would have to be looked at twice.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toArrayText, toJsonbObjectText, toRecordText } from '../../../projectors/verify/spelling.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createRandom } from '../../../sample/random.ts';
import { stackAddresses } from '../../support/stack.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
let client: pg.Client;

beforeAll(async () => {
  client = await connect(stackAddresses().targetAdminUrl, 'test');
});
afterAll(() => client?.end());

/** Texts with what has a meaning somewhere. */
function texts(count: number): (string | null)[] {
  const random = createRandom(`spelling ${seed}`);
  const parts = [
    'a',
    ' ',
    '"',
    '\\',
    ',',
    '(',
    ')',
    '{',
    '}',
    "'",
    '\t',
    '\n',
    '\r',
    '\u000b',
    '\f',
    '\u0001',
    '\u007f',
    '\u00a0',
    'ü',
    '€',
    '😀',
    '\u2028',
    'null',
    'NULL',
    '+',
    '*',
    ':',
  ];
  return Array.from({ length: count }, () =>
    random.chance(0.1) ? null : Array.from({ length: random.int(0, 5) }, () => random.pick(parts)).join(''),
  );
}

test(`records, seed ${seed}`, async () => {
  for (let at = 0; at < 40; at += 1) {
    const cells = texts(30);
    const { rows } = await client.query<{ text: string }>(
      `SELECT ROW(${cells.map((_, place) => `$${place + 1}::text`).join(', ')})::text AS text`,
      cells,
    );
    expect(toRecordText(cells)).toBe(rows[0]!.text);
  }
});

test('values of other types', async () => {
  const { rows } = await client.query<Record<string, string>>(
    `SELECT v.*, ROW(v.*)::text AS record FROM (SELECT true AS a, false AS b, 1.50::numeric AS c, '{"b": 1, "a": [1, "x y"]}'::jsonb AS d, ARRAY['a b', 'c"d', NULL] AS e,
       '2024-02-03 04:05:06.789+00'::timestamptz AS f, '2024-02-03'::date AS g, '\\xdeadbeef'::bytea AS h, gen_random_uuid() AS i, 7::bigint AS j, NULL::text AS k) v`,
  );
  const { record, ...values } = rows[0]!;
  expect(toRecordText(Object.values(values))).toBe(record);
});

test(`objects of texts, seed ${seed}`, async () => {
  const names = ['id', 'tenant_id', 'updated_at', 'ü', 'üü', 'a"b', 'zz', 'é', '😀', ''];
  for (let at = 0; at < 40; at += 1) {
    const cells = texts(names.length);
    const data = Object.fromEntries(names.map((name, place) => [name, cells[place]!]));
    const { rows } = await client.query<{ text: string }>('SELECT $1::jsonb::text AS text', [JSON.stringify(data)]);
    expect(toJsonbObjectText(data)).toBe(rows[0]!.text);
  }
});

test(`arrays, seed ${seed}`, async () => {
  for (let at = 0; at < 40; at += 1) {
    const list = texts(20).map((text) => text ?? 'null');
    const { rows } = await client.query<{ json: string }>('SELECT array_to_json($1::text[]) AS json', [
      toArrayText(list),
    ]);
    expect(JSON.parse(rows[0]!.json)).toEqual(list);
  }
});
