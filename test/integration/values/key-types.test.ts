// A primary key of every type that can be one: the initial load goes through it in chunks, and neither leaves a row out nor reads one twice.
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCatalog } from '../../../connectors/catalog.ts';
import { type Chunk, findRange, hasRanges, readChunk, readRange } from '../../../connectors/snapshot/chunks.ts';
import type { Range } from '../../../connectors/snapshot/windows.ts';
import { planSourceSetup } from '../../../connectors/source-setup.ts';
import { connect, sourceOptions } from '../../../runtime/postgres.ts';
import { createDatabases } from '../../support/stack.ts';
import { VALUES } from '../avro-values.ts';
import { makeHostile } from './hostile-settings.ts';
import { OWN_TYPES } from './value-tables.ts';

/** Keys by the types of their columns; a row is a list of texts. */
const KEYS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  ...Object.fromEntries(
    Object.entries(VALUES).flatMap(([name, values]) => {
      const type = `pg_catalog.${pg.escapeIdentifier(name)}`;
      const rows = values.map((value) => [value]);
      const element = (value: string) => `{"${value.replace(/["\\]/g, '\\$&')}"}`;
      return [
        [type, rows],
        [`${type}[]`, [['{}'], ['{NULL}'], ...values.map((value) => [element(value)])]],
      ];
    }),
  ),
  'pg_catalog.text[] ': [['{NULL}'], ['{"NULL"}'], ['{a}'], ['{NULL,a}'], ['{N}'], ['{O}'], ['{Z}']],
  'char(6)': [['abc'], ['ab'], ['a'], ['b'], ['abcdef']],
  'char(6)[]': [['{abc}'], ['{ab}'], ['{a}'], ['{abcdef}'], ['{b}']],
  'bit(4)': [['1010'], ['1011'], ['0001'], ['1111']],
  'bit(4)[]': [['{1010}'], ['{1011}'], ['{0001}'], ['{1111}']],
  'numeric(6,2)': [['1.1'], ['NaN'], ['-1'], ['2']],
  'interval day': [['1 day'], ['2 days'], ['-1 day']],
  'ext."mood\'s ""type"""': [['sad'], [''], ['null'], ['a b']],
  'ext.pair': [['(1,)'], ['(,)'], ['(2,infinity)'], ['(1,epoch)']],
  'ext.more': [['1'], ['2'], ['3']],
  'ext.padded': [['abc'], ['ab'], ['b'], ['abcde']],
  'ext.floats': [['[1,2)'], ['empty'], ['(,)'], ['[1,3)']],
  'ext.citext': [['a'], ['B'], ['c'], ['D'], ['_'], ['e']],
  'ext.citext[]': [['{a}'], ['{B}'], ['{c}'], ['{D}'], ['{_}'], ['{e}']],
  'int,ext.citext': ['1', '2'].flatMap((n) => ['a', 'B', 'c', 'D', '_'].map((word) => [n, word])),
  'ext.citext,int,ext.citext': ['x', 'Y', 'z'].flatMap((a) =>
    ['1', '2'].flatMap((n) => ['a', 'B', 'c'].map((b) => [a, n, b])),
  ),
  'ext.ltree': [['a'], ['a.b'], ['a_b'], ['B']],
  'ext.isbn13': [['978-0-393-04002-9'], ['978-3-16-148410-0']],
};
/** Types without an order, which no key can have. */
const UNORDERED =
  /\.(?:"(?:aclitem|box|cid|circle|gtsvector|json|jsonpath|line|lseg|path|pg_snapshot|point|polygon|refcursor|txid_snapshot|xid|xml)")/;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
let reader: pg.Client;
const tables = new Map<string, string>();

beforeAll(async () => {
  databases = await createDatabases('keys');
  client = await connect(databases.legacyUrl, 'test');
  await client.query(OWN_TYPES);
  const { rows: extensions } = await client.query<{ name: string }>(
    `SELECT name FROM pg_available_extensions WHERE name IN ('citext', 'ltree', 'isn')`,
  );
  for (const { name } of extensions) await client.query(`CREATE EXTENSION ${name} SCHEMA ext`);
  const hasType = (types: string) =>
    ['citext', 'ltree', 'isn'].every(
      (name) => !types.includes(`ext.${name.slice(0, 2)}`) || extensions.some((row) => row.name === name),
    );
  for (const [types, rows] of Object.entries(KEYS)) {
    if (UNORDERED.test(types) || !hasType(types)) continue;
    const table = `k${tables.size}`;
    const columns = types
      .trim()
      .split(/,(?!\d)/)
      .map((type, index) => ({ name: `K "${index}`, type }));
    const names = columns.map(({ name }) => pg.escapeIdentifier(name));
    const defined = columns.map(({ type }, index) => `${names[index]} ${type}`).join(', ');
    await client.query(
      `CREATE TABLE ${table} (${defined}, note text, PRIMARY KEY (${names.join(', ')}) INCLUDE (note))`,
    );
    for (const row of rows) {
      // Texts of many kilobytes fit no index.
      if (row.join('').length > 5000) continue;
      const parameters = columns.map(({ type }, index) => `$${index + 1}::${type}`).join(', ');
      await client.query(`INSERT INTO ${table} VALUES (${parameters}) ON CONFLICT DO NOTHING`, [...row]);
    }
    tables.set(table, types);
  }
  const options = { schema: 'public', tables: [...tables.keys()], publication: 'keys' };
  for (const statement of await planSourceSetup(client, options)) await client.query(statement);
  await makeHostile(client);
  reader = await connect(databases.legacyUrl, 'snapshot', sourceOptions);
});
afterAll(async () => {
  await client?.end();
  await reader?.end();
  await databases?.drop();
});

test('in chunks of every size a key can end: all rows, in the order of the key', async () => {
  const relations = await readCatalog(reader, { schema: 'public', tables: [...tables.keys()], publication: 'keys' });
  expect(relations.length).toBeGreaterThan(100);
  const faults: string[] = [];
  for (const relation of relations) {
    const keys = relation.key.map((name) => pg.escapeIdentifier(name)).join(', ');
    const { rows } = await client.query<string[]>({
      text: `SELECT ${keys} FROM ${relation.table} ORDER BY ${keys}`,
      rowMode: 'array',
    });
    const read: (readonly (string | null)[])[] = [];
    let chunk: Chunk | null = null;
    do {
      chunk = await readChunk(reader, relation, chunk?.lastKey ?? null, 2);
      read.push(...chunk.rows.map((row) => row.slice(0, relation.key.length)));
    } while (!chunk.isLast && read.length < 2 * rows.length + 2);
    if (rows.length < 2 || JSON.stringify(read) !== JSON.stringify(rows))
      faults.push(
        `${tables.get(relation.table)}: ${JSON.stringify(read).slice(0, 200)}, not ${JSON.stringify(rows).slice(0, 200)}`,
      );
    // What an index only includes is no part of the key.
    if (relation.key.includes('note')) faults.push(`${tables.get(relation.table)}: ${relation.key.join()}`);
  }
  expect(faults).toEqual([]);
});

test('in ranges that any key can end: all rows, each in one range', async () => {
  const relations = await readCatalog(reader, { schema: 'public', tables: [...tables.keys()], publication: 'keys' });
  const ranged = relations.filter(hasRanges);
  expect(ranged.length).toBeGreaterThan(100);
  const faults: string[] = [];
  for (const relation of ranged) {
    const keys = relation.key.map((name) => pg.escapeIdentifier(name)).join(', ');
    const { rows } = await client.query<string[]>({
      text: `SELECT ${keys} FROM ${relation.table} ORDER BY ${keys}`,
      rowMode: 'array',
    });
    const read: (readonly (string | null)[])[] = [];
    const counts: number[] = [];
    let after: readonly string[] | null = null;
    for (let isLast = false; !isLast && counts.length <= rows.length + 1; ) {
      const range: Range | null = await findRange(reader, relation, after, 2);
      const bounds = { after, upTo: range?.upTo ?? null, found: range?.found ?? null };
      const chunk = await readRange(reader, relation, bounds, 10);
      if (!chunk.isLast) faults.push(`${tables.get(relation.table)}: more rows in a range than were found`);
      read.push(...chunk.rows.map((row) => row.slice(0, relation.key.length)));
      counts.push(chunk.rows.length);
      isLast = range === null;
      after = range?.upTo ?? after;
    }
    const isEven = counts.slice(0, -1).every((count) => count === 2);
    if (JSON.stringify(read) !== JSON.stringify(rows) || !isEven)
      faults.push(
        `${tables.get(relation.table)}: ${counts} ${JSON.stringify(read).slice(0, 200)}, not ${JSON.stringify(rows).slice(0, 200)}`,
      );
  }
  expect(faults).toEqual([]);
});
