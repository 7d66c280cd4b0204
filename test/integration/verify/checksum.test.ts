// The checksum of a legacy key, against a comparison that reads every cell: equal by the one is equal by the other.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import type { Cell, Projection } from '../../../projectors/projection.ts';
import { toAsked, toChecksum, toChecksumSql, toParameters } from '../../../projectors/verify/checksum.ts';
import { compareKey } from '../../../projectors/verify/compare-key.ts';
import { type Expected, toPlans } from '../../../projectors/verify/plan.ts';
import { toNullMark } from '../../../projectors/verify/spelling.ts';
import { readFound } from '../../../projectors/verify/target-rows.ts';
import { connect } from '../../../runtime/postgres.ts';
import { stackAddresses } from '../../support/stack.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
const random = createRandom(`checksum ${seed}`);
/** As in a run: nothing that a row holds. */
const NULL_MARK = toNullMark('for a test');
const columns = ['id', 'tenant_id', 'a', 'b', 'amount', 'is_done', 'data', 'at', 'tags'];
const types = {
  ...{ id: 'uuid', tenant_id: 'text', a: 'text', b: 'text', amount: 'numeric', is_done: 'boolean', data: 'jsonb' },
  ...{ at: 'timestamp with time zone', tags: 'text[]', legacy_key: 'text' },
};
const owned = [
  { table: 'one', columns, retract: 'soft-delete', scope: { column: 'id', of: (key: string) => key } },
  { table: 'many', columns, retract: 'delete', scope: { column: 'legacy_key', of: (key: string) => key } },
] as const;
const plan = toPlans(
  [{ name: 'x', source: 'x', owned, aggregates: [] } as unknown as Projection],
  new Map([
    ['one', { table: 'one', types: { ...types, deleted_at: 'timestamp with time zone' } }],
    ['many', { table: 'many', types }],
  ]),
)[0]!;

let client: pg.Client;

beforeAll(async () => {
  client = await connect(stackAddresses().targetAdminUrl, 'test');
  const body = `id uuid PRIMARY KEY, tenant_id text, a text, b text, amount numeric, is_done boolean, data jsonb, at timestamptz, tags text[], origin text,
    legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text`;
  await client.query(`CREATE TEMP TABLE one (${body}, deleted_at timestamptz); CREATE TEMP TABLE many (${body})`);
  await client.query(
    'CREATE TEMP TABLE parked_change (projection text, legacy_key text); CREATE TEMP TABLE dead_letter (projection text, legacy_key text, resolved_at timestamptz)',
  );
});
afterAll(() => client?.end());

const uuid = () => `${random.int(10, 99)}000000-0000-4000-8000-${String(random.int(0, 10 ** 9)).padStart(12, '0')}`;
/** Few texts that differ in little, some of them with what stands between texts. */
const text = () =>
  random.pick(['', ' ', 'a', 'b', 'a\u001fb', '\u001f', '\u001d', '\u001e', 'true', 't', 'null', 'ü', '😀']);
const maybe = (cell: string): Cell => (random.chance(0.3) ? null : cell);

function row(id: string): Cell[] {
  return [
    ...[id, 'ten', maybe(text()), maybe(text()), maybe(random.pick(['1', '1.0', '1.00', 'NaN', '-0.5']))],
    ...[maybe(random.pick(['t', 'f'])), maybe(random.pick(['{}', '{"a": 1}', '{"a": 1.0}', '[]']))],
    ...[maybe(random.pick(['2024-02-03 04:05:06+00', '2024-02-03 04:05:06.000001+00', 'infinity'])), maybe('{a,NULL}')],
  ];
}

async function insert(table: string, cells: readonly Cell[], legacyKey: string): Promise<void> {
  await client.query(
    `INSERT INTO ${table} (${columns.join(', ')}, origin, legacy_table, legacy_key) VALUES (${columns.map((_, at) => `$${at + 1}`).join(', ')}, 'cdc', 'x', $${columns.length + 1})`,
    [...cells, legacyKey],
  );
}

/** Neighbours with the border between them moved: the texts of both together are the same. */
function moved(a: string, b: string): [string, string] {
  const both = `${a}\u001f${b}`;
  const at = both.indexOf('\u001f');
  return [both.slice(0, at), both.slice(at + 1)];
}

/** The same rows with one thing changed, most of the time: a cell, two neighbours that swap what lies between them, a row more or less. */
function change(rows: readonly (readonly Cell[])[]): (readonly Cell[])[] {
  const changed = rows.map((cells) => [...cells]);
  const kind = random.int(0, 5);
  const one = changed[random.int(0, Math.max(0, changed.length - 1))];
  if (kind === 0 || one === undefined) return changed;
  if (kind === 1) return changed.slice(1);
  if (kind === 2) one.splice(2, 2, one[3]!, one[2]!);
  else if (kind === 3) one.splice(2, 2, ...moved(one[2] ?? '', one[3] ?? ''));
  else if (kind === 4) one[2] = one[2] === null ? '\u001e' : null;
  else one[random.int(2, columns.length - 1)] = row(one[0]!)[random.int(2, 3)]!;
  return changed;
}

test(`agrees with a comparison of every cell, seed ${seed}`, async () => {
  const sql = toChecksumSql(plan, NULL_MARK);
  const seen = { equal: 0, different: 0, untold: 0 };
  for (let round = 0; round < 400; round += 1) {
    await client.query('TRUNCATE one, many');
    const key = uuid();
    const wanted = [
      random.chance(0.7) ? [row(key)] : [],
      Array.from({ length: random.int(0, 3) }, () => row(uuid())),
    ] as const;
    const expected: Expected = { legacyKey: key, rows: wanted, contributions: [] };
    try {
      for (const [at, rows] of wanted.entries())
        for (const cells of change(rows)) await insert(owned[at]!.table, cells, key);
    } catch {
      // A text that its column cannot hold.
      continue;
    }
    const { rows: found } = await client.query<{ sha256: string }>(sql, toParameters(plan, [toAsked(plan, expected)]));
    const results = compareKey(
      plan,
      expected,
      (await readFound(client, plan, [{ expected, strays: new Map() }]))[0]!,
      new Map(),
    );
    const isEqual = results.every(({ kind }) => kind === 'equal');
    const checksum = toChecksum(expected, plan, NULL_MARK);
    if (checksum === null) seen.untold += 1;
    else {
      seen[isEqual ? 'equal' : 'different'] += 1;
      expect({ round, isEqual, wanted, is: checksum === found[0]!.sha256 }).toEqual({
        round,
        isEqual,
        wanted,
        is: isEqual,
      });
    }
  }
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(20);
}, 120_000);

test('one row may not stand for two, whatever it holds', async () => {
  await client.query('TRUNCATE one, many');
  const key = uuid();
  const [first, second] = ['10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000002'];
  const rest = ['1', 't', '{}', '2024-02-03 04:05:06+00', '{a}'];
  const rows = [first, second].map((id) => [id, 'ten', 'a', 'b', ...rest]);
  const border = ['b', ...rest, key].join('\u001f');
  await insert(
    'many',
    [first, 'ten', 'a', `${border}\u001f\u001d\u001f${[second, 'ten', 'a', 'b'].join('\u001f')}`, ...rest],
    key,
  );
  const expected: Expected = { legacyKey: key, rows: [[], rows], contributions: [] };
  const sql = toChecksumSql(plan, NULL_MARK);
  const sha256 = async () =>
    (await client.query<{ sha256: string }>(sql, toParameters(plan, [toAsked(plan, expected)]))).rows[0]!.sha256;
  expect(await sha256()).not.toBe(toChecksum(expected, plan, NULL_MARK));
  await client.query('TRUNCATE many');
  for (const cells of rows) await insert('many', cells, key);
  expect(await sha256()).toBe(toChecksum(expected, plan, NULL_MARK));
});
