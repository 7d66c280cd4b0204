import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { quoteIdent } from '../runtime/postgres.ts';

/**
 * The statements that only an owner of the legacy tables can run and that are still missing: replica identity, publication. None of them
 * rewrites a table or blocks readers; each ALTER TABLE takes its lock for an instant. Throws `table_missing`.
 */
export async function planSourceSetup(
  client: pg.ClientBase,
  options: { schema: string; tables: readonly string[]; publication: string },
): Promise<string[]> {
  const { rows } = await client.query<{ table: string; replica_identity: string; published: string }>(
    `SELECT c.relname AS table, c.relreplident AS replica_identity,
       EXISTS (SELECT FROM pg_publication_tables p WHERE p.pubname = $3 AND p.schemaname = n.nspname AND p.tablename = c.relname)::text AS published
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2)`,
    [options.schema, options.tables, options.publication],
  );
  const missing = options.tables.filter((table) => !rows.some((row) => row.table === table));
  if (missing.length > 0) {
    throw new CrosswalkError(
      'table_missing',
      `The legacy database has no table ${missing.map((table) => `${options.schema}.${table}`).join(', ')}`,
      'Correct CROSSWALK_TABLES or CROSSWALK_LEGACY_SCHEMA, or create the tables.',
    );
  }
  const { rows: publications } = await client.query('SELECT FROM pg_publication WHERE pubname = $1', [
    options.publication,
  ]);
  const name = (table: string) => `${quoteIdent(options.schema)}.${quoteIdent(table)}`;
  const publication = quoteIdent(options.publication);
  const unpublished = options.tables
    .filter((table) => rows.find((row) => row.table === table)?.published !== 'true')
    .map(name);
  return [
    ...options.tables
      .filter((table) => rows.find((row) => row.table === table)?.replica_identity !== 'f')
      .map((table) => `ALTER TABLE ${name(table)} REPLICA IDENTITY FULL`),
    ...(publications.length === 0
      ? [`CREATE PUBLICATION ${publication} FOR TABLE ${options.tables.map(name).join(', ')}`]
      : unpublished.length > 0
        ? [`ALTER PUBLICATION ${publication} ADD TABLE ${unpublished.join(', ')}`]
        : []),
  ];
}
