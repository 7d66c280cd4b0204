import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { inTransaction } from '../runtime/postgres.ts';
import type { CatalogType, LegacyCatalog, LegacyColumn, LegacyTable } from './legacy-table.ts';

interface FoundTable {
  oid: string;
  name: string;
  kind: string;
  partition_of: string | null;
  is_unlogged: string;
  is_own: string;
}

/** Names of relation kinds that are not tables. */
const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
  c: 'a composite type',
  i: 'an index',
  I: 'an index',
};

/**
 * Reads tables of a schema from the catalog in one read-only transaction: the named ones in that order, or all by name. Partitions come with their
 * table; tables of extensions are only read when named. Throws `table_missing` if a named table does not exist, is not a table, or is a partition, and
 * if there are no tables at all.
 */
export async function readLegacyCatalog(
  client: pg.ClientBase,
  schema: string,
  names: readonly string[],
): Promise<LegacyCatalog> {
  return await inTransaction(
    client,
    async () => {
      const found = await findTables(client, schema, names);
      const details = await readDetails(
        client,
        found.map(({ oid }) => oid),
      );
      const tables = found.map(
        ({ oid, name, kind, is_unlogged }): LegacyTable => ({
          schema,
          name,
          isPartitioned: kind === 'p',
          isUnlogged: is_unlogged === 'true',
          ...details.get(oid)!,
        }),
      );
      const oids = tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid));
      const { rows } = await client.query<{ word: string; version: string }>(
        `SELECT (SELECT json_agg(word) FROM pg_get_keywords() WHERE catcode <> 'U')::text AS word, current_setting('server_version_num') AS version`,
      );
      return {
        tables,
        types: await readTypes(client, oids),
        keywords: new Set(JSON.parse(rows[0]!.word) as string[]),
        sendsGenerated: Number(rows[0]!.version) >= 180_000,
      };
    },
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
  );
}

async function findTables(client: pg.ClientBase, schema: string, names: readonly string[]): Promise<FoundTable[]> {
  const { rows } = await client.query<FoundTable>(
    `SELECT c.oid::text, c.relname AS name, c.relkind::text AS kind, (c.relpersistence = 'u')::text AS is_unlogged,
       CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::text END AS partition_of,
       (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))::text AS is_own
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND (cardinality($2::text[]) = 0 AND c.relkind IN ('r', 'p') OR c.relname = ANY ($2)) ORDER BY c.relname COLLATE "C"`,
    [schema, names],
  );
  if (names.length === 0) {
    const tables = rows.filter(({ is_own, partition_of }) => is_own === 'true' && partition_of === null);
    if (tables.length > 0) return tables;
    throw new CrosswalkError('table_missing.empty_schema', `The legacy database has no table in schema ${schema}`);
  }
  return names.map((name) => {
    const row = rows.find((candidate) => candidate.name === name);
    if (row === undefined)
      throw new CrosswalkError('table_missing.name', `The legacy database has no table ${schema}.${name}`);
    if (row.kind !== 'r' && row.kind !== 'p')
      throw new CrosswalkError(
        'table_missing.no_table',
        `${schema}.${name} is ${KINDS[row.kind] ?? 'no table'}, which has no changes of its own`,
      );
    if (row.partition_of !== null)
      throw new CrosswalkError('table_missing.partition', `${schema}.${name} is a partition of ${row.partition_of}`, {
        table: row.partition_of,
      });
    return row;
  });
}

/** A NOT NULL that is not validated (PostgreSQL 18) marks the column like any other, although rows may violate it. */
async function readDetails(
  client: pg.ClientBase,
  oids: readonly string[],
): Promise<Map<string, Pick<LegacyTable, 'columns' | 'key' | 'checks'>>> {
  const { rows } = await client.query<{
    oid: string;
    columns: string | null;
    key: string | null;
    checks: string | null;
  }>(
    `SELECT o::text AS oid,
       (SELECT json_agg(json_build_object('name', a.attname, 'typeOid', a.atttypid::text, 'modifier', a.atttypmod, 'typeName', format_type(a.atttypid, a.atttypmod),
            'notNull', a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = o AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated),
            'generated', nullif(a.attgenerated, ''),
            'isDeterministic', coalesce((SELECT l.collisdeterministic FROM pg_collation l WHERE l.oid = a.attcollation), true)) ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = o AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns,
       (SELECT json_agg(a.attname ORDER BY k.position)
          FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE i.indrelid = o AND i.indisprimary AND k.position <= i.indnkeyatts)::text AS key,
       (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = o AND k.contype = 'c' AND k.convalidated)::text AS checks
     FROM unnest($1::oid[]) o`,
    [oids],
  );
  return new Map(
    rows.map(({ oid, columns, key, checks }) => [
      oid,
      {
        columns: JSON.parse(columns ?? '[]') as LegacyColumn[],
        key: JSON.parse(key ?? '[]') as string[],
        checks: JSON.parse(checks ?? '[]') as string[],
      },
    ]),
  );
}

/** These types and those that they consist of: base types of domains, and element types. */
async function readTypes(client: pg.ClientBase, oids: readonly string[]): Promise<Map<string, CatalogType>> {
  const { rows } = await client.query<{ type: string }>(
    `WITH RECURSIVE needed (oid) AS (
       SELECT unnest($1::oid[])
       UNION SELECT part.oid FROM needed n JOIN pg_type t ON t.oid = n.oid CROSS JOIN LATERAL (
         SELECT t.typbasetype UNION ALL SELECT e.oid FROM pg_type e WHERE e.typarray = t.oid) AS part (oid) WHERE part.oid <> 0)
     SELECT json_build_object('oid', t.oid::text, 'name', format_type(t.oid, NULL), 'schema', n.nspname, 'kind', t.typtype, 'delimiter', t.typdelim,
       'base', CASE WHEN t.typtype = 'd' THEN json_build_object('oid', t.typbasetype::text, 'modifier', t.typtypmod, 'name', format_type(t.typbasetype, t.typtypmod)) END,
       'element', (SELECT e.oid::text FROM pg_type e WHERE e.typarray = t.oid),
       'labels', coalesce((SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '[]'),
       'checks', coalesce((SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' AND k.convalidated), '[]'))::text AS type
     FROM needed JOIN pg_type t ON t.oid = needed.oid JOIN pg_namespace n ON n.oid = t.typnamespace`,
    [oids],
  );
  return new Map(
    rows.map((row) => {
      const type = JSON.parse(row.type) as CatalogType;
      return [type.oid, type];
    }),
  );
}
