// Every type of PostgreSQL through the real connector under hostile settings: what the log holds is PostgreSQL's own text, read or streamed.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { VALUES, WITHOUT_VALUES } from '../avro-values.ts';
import { makeHostile } from './hostile-settings.ts';
import { openTextOracle, type TextOracle } from './text-oracle.ts';
import { createHistory, type ValueHistory } from './value-history.ts';
import { findValueFaults, readValueEvents, type ValueEvent } from './value-log.ts';
import {
  createTable,
  EXTENSIONS,
  HOSTILE_NAMES,
  insertValues,
  literal,
  literals,
  OWN_COLUMNS,
  OWN_TYPES,
  rotateValues,
  type ValueColumn,
} from './value-tables.ts';

const SCHEMA = 'order';
const LONG = `t${'_'.repeat(60)}9`;
const quoted = (name: string) => `${pg.escapeIdentifier(SCHEMA)}.${pg.escapeIdentifier(name)}`;
const builtIn = (type: string) => `pg_catalog.${pg.escapeIdentifier(type)}`;

const scalars: ValueColumn[] = Object.entries(VALUES).map(([type, values]) => ({
  name: `c_${type}`,
  type: builtIn(type),
  values: literals(...values),
}));
/** Of each type: none, all of its values and a null, the same with bounds of its own, and twice that in two dimensions. */
const arrays: ValueColumn[] = Object.entries(VALUES).map(([type, values]) => {
  const array = `${builtIn(type)}[]`;
  const all = `ARRAY[${[...values.map(literal), 'NULL'].join(', ')}]::${array}`;
  const shifted = `('[-2:${values.length - 2}]=' || (${all})::text)::${array}`;
  return { name: `a_${type}`, type: array, values: [literal('{}'), all, shifted, `ARRAY[${all}, ${all}]::${array}`] };
});
const names: ValueColumn[] = HOSTILE_NAMES.map((name, index) => ({
  name,
  type: ['text', 'timestamptz', 'int8', 'bytea'][index % 4]!,
  values:
    [
      literals('größe', ''),
      literals('2025-01-01 08:00:00.12+05:45', 'infinity'),
      literals('9007199254740993'),
      literals('\\xff00'),
    ][index % 4] ?? [],
}));
const huge: ValueColumn[] = [
  { name: 'body', type: 'text', values: ["repeat('é語😀x', 150000)", "''"] },
  { name: 'bytes', type: 'bytea', values: ["decode(repeat('00ff7f80', 200000), 'hex')", "''"] },
  { name: 'document', type: 'jsonb', values: ["jsonb_build_object('a', repeat('\\', 300000))", "'{}'"] },
];

interface ValueTable {
  readonly name: string;
  readonly columns: readonly ValueColumn[];
  readonly key: string;
}
let tables: ValueTable[];
let rig: ConnectorRig;
let oracle: TextOracle;
let events: ValueEvent[];
let history: ValueHistory;

beforeAll(async () => {
  const extensions = await readExtensions();
  tables = tableList(extensions);
  rig = await createConnectorRig('values', {
    tables: tables.map(({ name }) => name),
    schema: `CREATE SCHEMA ${pg.escapeIdentifier(SCHEMA)}; ${OWN_TYPES}
      ${extensions.map((name) => `CREATE EXTENSION ${name} SCHEMA ext;`).join('\n')}
      ${tables.map(({ name, key, columns }) => createTable(quoted(name), key, columns)).join(';\n')}`,
    env: { CROSSWALK_LEGACY_SCHEMA: SCHEMA, CROSSWALK_CHUNK_ROWS: '7' },
  });
  await makeHostile(rig.legacy);
  oracle = await openTextOracle(rig.env.LEGACY_DATABASE_URL!);
  history = createHistory(oracle);
  for (const { name, columns } of tables)
    await history.change(quoted(name), 'r', insertValues(quoted(name), columns, 1));
  // What an address asks for stands with the server's own settings: it must not undo a pinned one.
  const connector = rig.run({
    LEGACY_DATABASE_URL: `${rig.env.LEGACY_DATABASE_URL}?options=${encodeURIComponent('-c DateStyle=German -c bytea_output=escape -c search_path=hostile,pg_catalog')}`,
  });
  await waitUntil('it streams', () => connector.status.state === 'streaming');
  await rig.untilCaughtUp();
  for (const table of tables) {
    const name = quoted(table.name);
    const height = history.rows(name).size;
    await history.change(name, 'c', insertValues(name, table.columns, 101));
    await history.change(name, 'c', [`UPDATE ${name} SET version = version + 1`]);
    await history.change(name, 'c', [rotateValues(name, table.columns, 1, height)]);
    await history.change(name, 'c', [`DELETE FROM ${name} WHERE id > 100`]);
  }
  await rig.untilCaughtUp();
  await connector.stop();
  const columns = new Map<string, string[]>();
  for (const { name } of tables) columns.set(name, await oracle.columnsOf(quoted(name)));
  events = await readValueEvents(rig, columns);
});
afterAll(async () => {
  await oracle?.client.end();
  await rig?.drop();
});

/** Those that the server has. */
async function readExtensions(): Promise<string[]> {
  const client = new pg.Client({ connectionString: stackAddresses().legacyAdminUrl });
  await client.connect();
  const { rows } = await client.query<{ name: string }>(
    'SELECT name FROM pg_available_extensions WHERE name = ANY ($1) ORDER BY name',
    [Object.keys(EXTENSIONS)],
  );
  await client.end();
  return rows.map((row) => row.name);
}

function tableList(extensions: readonly string[]): ValueTable[] {
  const extended = extensions.flatMap((name) => EXTENSIONS[name]!);
  return [
    { name: 'every_value', columns: scalars, key: 'id' },
    { name: 'every_array', columns: arrays, key: 'id' },
    { name: 'own', columns: [...OWN_COLUMNS, ...extended], key: 'id' },
    { name: '1st', columns: names, key: 'id' },
    { name: LONG, columns: huge, key: 'id' },
  ];
}

describe('what the log holds is what PostgreSQL wrote', () => {
  test('each type of the server has samples', async () => {
    const { rows } = await oracle.client.query<{ typname: string }>(
      `SELECT typname FROM pg_type
       WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype NOT IN ('c', 'p') AND typcategory <> 'A'
         AND oid < 16384
       UNION SELECT unnest(ARRAY['int2vector', 'oidvector'])`,
    );
    expect([...Object.keys(VALUES), ...WITHOUT_VALUES].sort()).toEqual(rows.map((row) => row.typname).sort());
  });

  test.each(['every_value', 'every_array', 'own', '1st', LONG])('%s', (table) => {
    expect(findValueFaults(events, table, history.expected(quoted(table)))).toEqual([]);
    const ops = new Set(events.filter((event) => event.table === table).map(({ op }) => op));
    expect(ops).toEqual(new Set(['r', 'c', 'u', 'd']));
  });
});
