import type pg from 'pg';
import type { Relation } from '../changes/change.ts';
import { assertRequirements } from './source-requirements.ts';
import { type CaptureOptions, readSource, type SourceState } from './source-state.ts';

interface CatalogRow {
  oid: string;
  table: string;
  columns: string;
  key: string | null;
  key_operator_schemas: string | null;
}

/**
 * Reads the captured tables from the catalog, in the given order. Throws if they cannot be captured exactly:
 * `wal_level`, `table_missing`, `publication_missing`, `replica_identity`, `permission_denied`, each with its remedy.
 */
export async function readCatalog(client: pg.ClientBase, options: CaptureOptions): Promise<Relation[]> {
  const source = await readSource(client, options);
  assertRequirements(source, options);
  // Generated columns that the stream leaves out must not be in the initial load either.
  return readRelations(client, source, options, source.publication!.withGenerated);
}

/**
 * The tables of a source state, in the given order, whether they can be captured or not. Tables that do not exist are
 * left out. `withGenerated`: include stored generated columns.
 */
export async function readRelations(
  client: pg.ClientBase,
  source: Pick<SourceState, 'tables'>,
  options: Pick<CaptureOptions, 'schema' | 'tables'>,
  withGenerated: boolean,
): Promise<Relation[]> {
  const tables = options.tables.filter((table) => source.tables[table] !== undefined);
  const { rows } = await client.query<CatalogRow>(
    `SELECT c.oid::text, c.relname AS table,
       (SELECT json_agg(json_build_object('name', a.attname, 'typeOid', a.atttypid::bigint, 'typeName', format_type(a.atttypid, -1), 'typeModifier', a.atttypmod, 'notNull', a.attnotnull) ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attgenerated = '' OR a.attgenerated = 's' AND $2)) AS columns,
       (SELECT json_agg(a.attname ORDER BY k.position)
          FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE i.indrelid = c.oid AND i.indisprimary AND k.position <= i.indnkeyatts) AS key,
       (SELECT json_agg(coalesce(s.nspname, 'pg_catalog') ORDER BY k.position)
          FROM pg_index i CROSS JOIN LATERAL unnest(i.indclass) WITH ORDINALITY AS k (opclass, position)
          JOIN pg_opclass f ON f.oid = k.opclass
          LEFT JOIN pg_am m ON m.oid = f.opcmethod AND m.amname = 'btree'
          LEFT JOIN pg_amop g ON g.amopfamily = f.opcfamily AND g.amopmethod = m.oid AND g.amopstrategy = 5 AND g.amoplefttype = f.opcintype AND g.amoprighttype = f.opcintype
          LEFT JOIN pg_operator o ON o.oid = g.amopopr LEFT JOIN pg_namespace s ON s.oid = o.oprnamespace
          WHERE i.indrelid = c.oid AND i.indisprimary) AS key_operator_schemas
     FROM unnest($1::oid[]) o (oid) JOIN pg_class c ON c.oid = o.oid`,
    [tables.map((table) => source.tables[table]!.oid), withGenerated],
  );
  return tables.map((table) => {
    const row = rows.find((candidate) => candidate.oid === source.tables[table]!.oid)!;
    return {
      oid: Number(row.oid),
      schema: options.schema,
      table,
      columns: JSON.parse(row.columns) as Relation['columns'],
      key: JSON.parse(row.key ?? '[]') as string[],
      keyOperatorSchemas: JSON.parse(row.key_operator_schemas ?? '[]') as string[],
      ...(source.tables[table]!.isPartitioned ? { isPartitioned: true } : {}),
    };
  });
}

/** Whether a table is still the one that was read from the catalog, with the same columns. */
export async function isUnchanged(
  client: pg.ClientBase,
  relation: Relation,
  capture: Omit<CaptureOptions, 'tables'>,
): Promise<boolean> {
  const [now] = await readCatalog(client, { ...capture, tables: [relation.table] });
  const toText = ({ oid, columns }: Relation) =>
    JSON.stringify([oid, columns.map(({ name, typeOid }) => [name, typeOid])]);
  return toText(now!) === toText(relation);
}

/**
 * Type names by oid, as `format_type` returns them without a modifier (`bpchar`; `character` would mean length 1). Used
 * for columns in a relation message that the earlier catalog read did not have.
 */
export async function readTypeNames(client: pg.ClientBase, oids: readonly number[]): Promise<Map<number, string>> {
  const { rows } = await client.query<{ oid: string; name: string }>(
    'SELECT o::text AS oid, format_type(o, -1) AS name FROM unnest($1::oid[]) o',
    [oids],
  );
  return new Map(rows.map((row) => [Number(row.oid), row.name]));
}

/** Whether a table is a partition of another one, at any depth. */
export async function isPartitionOf(client: pg.ClientBase, root: number, oid: number): Promise<boolean> {
  return isAncestorOf(client, root, [oid]);
}

/** Whether one of the tables `of` is a partition of the table `oid`, at any depth. */
export async function isAncestorOf(client: pg.ClientBase, oid: number, of: readonly number[]): Promise<boolean> {
  const { rows } = await client.query(
    'SELECT FROM unnest($2::oid[]) AS t (oid) CROSS JOIN LATERAL pg_partition_ancestors(t.oid::regclass) AS a (oid) WHERE a.oid::oid = $1::oid AND t.oid <> $1::oid LIMIT 1',
    [oid, of],
  );
  return rows.length > 0;
}

/** The slot, or null if there is none. `confirmedLsn` is the first position that the server still keeps for it. */
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
