// Both sides of a comparison spell rows: as PostgreSQL does, or whole tables would have to be looked at twice.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { toArrayText, toJsonbObjectText, toMarkedSql, toMarkedText } from '../../../projectors/verify/spelling.ts';
import { connect } from '../../../runtime/postgres.ts';
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

test(`rows, seed ${seed}`, async () => {
  for (let at = 0; at < 40; at += 1) {
    const cells = texts(30);
    const sql = toMarkedSql(
      cells.map((_, place) => ({ sql: `$${place + 1}::text`, type: 'text' })),
      '\u001enull',
    );
    const { rows } = await client.query<{ text: string }>(`SELECT ${sql} AS text`, cells);
    expect(toMarkedText(cells, '\u001enull')).toBe(rows[0]!.text);
  }
});

test('values of other types', async () => {
  const values = [
    ['true', 'boolean'],
    ['false', 'boolean'],
    ['NULL', 'boolean'],
    ['1.50', 'numeric'],
    ['1.50', 'numeric(12,2)'],
    [`'{"b": 1, "a": [1, "x y"]}'`, 'jsonb'],
    [`'{"b": 1}'`, 'json'],
    [`ARRAY['a b', 'c"d', NULL]`, 'text[]'],
    [`ARRAY[true, false]`, 'boolean[]'],
    [`'2024-02-03 04:05:06.789+00'`, 'timestamp with time zone'],
    [`'2024-02-03 04:05:06.789'`, 'timestamp without time zone'],
    [`'2024-02-03'`, 'date'],
    [`'04:05:06.7'`, 'time without time zone'],
    [`'1 day 02:03:04'`, 'interval'],
    [`'\\xdeadbeef'`, 'bytea'],
    ['gen_random_uuid()', 'uuid'],
    ['7', 'bigint'],
    ['0.1', 'double precision'],
    [`'a  '`, 'character(5)'],
    [`'a  '`, 'character varying(9)'],
    [`'10.0.0.1'`, 'inet'],
    ['NULL', 'text'],
    ['NULL', 'inet'],
  ] as const;
  const columns = values.map(([sql, type], at) => `${sql}::${type} AS c${at}`);
  const marked = toMarkedSql(
    values.map(([, type], at) => ({ sql: `v.c${at}`, type })),
    '\u001enull',
  );
  const { rows } = await client.query<(string | null)[]>({
    text: `SELECT ${marked}, v.* FROM (SELECT ${columns.join(', ')}) v`,
    rowMode: 'array',
  });
  const [text, ...cells] = rows[0]!;
  expect(toMarkedText(cells, '\u001enull')).toBe(text);
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
