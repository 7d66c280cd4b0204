import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { quoteIdent } from '../runtime/postgres.ts';
import type { Relation } from './change.ts';

interface CatalogRow {
  oid: string;
  table: string;
  replica_identity: string;
  published: string;
  inherits: string;
  kind: string;
  columns: string;
  key: string | null;
}

/**
 * Reads the captured tables from the catalog, in the order given, and refuses what cannot be captured exactly: `wal_level`, `table_missing`,
 * `publication_missing`, `replica_identity`, each with its remedy.
 */
export async function readCatalog(
  client: pg.ClientBase,
  options: { schema: string; tables: readonly string[]; publication: string },
): Promise<Relation[]> {
  const { rows: settings } = await client.query<{ wal_level: string; publication: string }>(
    `SELECT current_setting('wal_level') AS wal_level, EXISTS (SELECT FROM pg_publication WHERE pubname = $1)::text AS publication`,
    [options.publication],
  );
  if (settings[0]?.wal_level !== 'logical') {
    throw new CrosswalkError(
      'wal_level',
      `The legacy server has wal_level=${settings[0]?.wal_level}`,
      'Run ALTER SYSTEM SET wal_level = logical; there, and restart it.',
    );
  }
  const { rows } = await client.query<CatalogRow>(
    `SELECT c.oid::text, c.relname AS table, c.relreplident AS replica_identity, c.relkind AS kind,
       EXISTS (SELECT FROM pg_publication_tables p WHERE p.pubname = $3 AND p.schemaname = n.nspname AND p.tablename = c.relname)::text AS published,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)::text AS inherits,
       (SELECT json_agg(json_build_object('name', a.attname, 'typeOid', a.atttypid::bigint, 'typeName', format_type(a.atttypid, NULL), 'typeModifier', a.atttypmod, 'notNull', a.attnotnull) ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT json_agg(a.attname ORDER BY k.position)
          FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE i.indrelid = c.oid AND i.indisprimary) AS key
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY ($2)`,
    [options.schema, options.tables, options.publication],
  );
  const byName = new Map(rows.map((row) => [row.table, row]));
  const name = (table: string) => `${quoteIdent(options.schema)}.${quoteIdent(table)}`;
  const missing = options.tables.filter((table) => !byName.has(table));
  if (missing.length > 0) {
    throw new CrosswalkError(
      'table_missing',
      `The legacy database has no table ${missing.map((table) => `${options.schema}.${table}`).join(', ')}`,
      'Correct CROSSWALK_TABLES or CROSSWALK_LEGACY_SCHEMA, or create the tables.',
    );
  }
  const migrate = 'Run as the owner (or `crosswalk migrate up` with LEGACY_OWNER_URL): ';
  const keyless = rows.filter((row) => row.key === null);
  if (keyless.length > 0) {
    throw new CrosswalkError(
      'replica_identity',
      `No primary key: ${keyless.map((row) => row.table).join(', ')}`,
      'Give each table a primary key, or take it out of CROSSWALK_TABLES.',
    );
  }
  const partial = rows.filter((row) => row.replica_identity !== 'f');
  if (partial.length > 0) {
    throw new CrosswalkError(
      'replica_identity',
      `Not REPLICA IDENTITY FULL: ${partial.map((row) => row.table).join(', ')}`,
      migrate + partial.map((row) => `ALTER TABLE ${name(row.table)} REPLICA IDENTITY FULL;`).join(' '),
    );
  }
  if (settings[0].publication !== 'true') {
    throw new CrosswalkError(
      'publication_missing',
      `The legacy database has no publication ${options.publication}`,
      `${migrate}CREATE PUBLICATION ${quoteIdent(options.publication)} FOR TABLE ${options.tables.map(name).join(', ')};`,
    );
  }
  const unpublished = rows.filter((row) => row.published !== 'true');
  if (unpublished.length > 0) {
    throw new CrosswalkError(
      'publication_missing',
      `Not in publication ${options.publication}: ${unpublished.map((row) => row.table).join(', ')}`,
      `${migrate}ALTER PUBLICATION ${quoteIdent(options.publication)} ADD TABLE ${unpublished.map((row) => name(row.table)).join(', ')};`,
    );
  }
  return options.tables.map((table) => {
    const row = byName.get(table)!;
    const columns = JSON.parse(row.columns) as Relation['columns'];
    return {
      oid: Number(row.oid),
      schema: options.schema,
      table,
      columns,
      key: JSON.parse(row.key ?? '[]') as string[],
    };
  });
}

/** Names of types by oid, as `format_type` gives them: for columns that a relation message names and the catalog read before did not. */
export async function readTypeNames(client: pg.ClientBase, oids: readonly number[]): Promise<Map<number, string>> {
  const { rows } = await client.query<{ oid: string; name: string }>(
    'SELECT o::text AS oid, format_type(o, NULL) AS name FROM unnest($1::oid[]) o',
    [oids],
  );
  return new Map(rows.map((row) => [Number(row.oid), row.name]));
}

/** The slot, or null. `confirmedLsn` is the first position that the server still keeps for it. */
export async function readSlot(
  client: pg.ClientBase,
  slot: string,
): Promise<{
  confirmedLsn: string;
  active: boolean;
  database: string;
  plugin: string;
  walStatus: string | null;
} | null> {
  const { rows } = await client.query<{
    confirmed: string | null;
    active: string;
    database: string;
    plugin: string;
    wal_status: string | null;
  }>(
    `SELECT confirmed_flush_lsn::text AS confirmed, active::text, database, plugin, wal_status FROM pg_replication_slots WHERE slot_name = $1`,
    [slot],
  );
  const row = rows[0];
  return row === undefined
    ? null
    : {
        confirmedLsn: row.confirmed ?? '0/0',
        active: row.active === 'true',
        database: row.database,
        plugin: row.plugin,
        walStatus: row.wal_status,
      };
}
