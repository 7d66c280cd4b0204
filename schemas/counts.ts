import type pg from 'pg';
import { quoteTable } from './quote.ts';

/** Counts that describe a table. */
export type TableCounts = Readonly<Record<'rows' | 'constraints' | 'unvalidated' | 'indexes' | 'invalid', number>>;

/**
 * Counts every table of some schemas, by `schema.table`; rows exactly. Counted constraints are those that can be named
 * and validated: CHECK, keys, exclusion, foreign keys.
 */
export async function countTables(
  client: pg.ClientBase,
  schemas: readonly string[],
): Promise<Record<string, TableCounts>> {
  const { rows } = await client.query<Record<'schema' | 'name' | keyof TableCounts, string>>(
    `SELECT n.nspname AS schema, c.relname AS name,
       (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'p', 'u', 'x', 'f'))::text AS constraints,
       (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = c.oid AND NOT k.convalidated)::text AS unvalidated,
       (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid)::text AS indexes,
       (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid AND NOT (i.indisvalid AND i.indisready))::text AS invalid
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1) ORDER BY 1, 2`,
    [schemas],
  );
  const counts: Record<string, TableCounts> = {};
  for (const { schema, name, ...numbers } of rows) {
    const counted = await client.query<{ rows: string }>(
      `SELECT count(*)::text AS rows FROM ${quoteTable(schema, name)}`,
    );
    counts[`${schema}.${name}`] = {
      rows: Number(counted.rows[0]!.rows),
      constraints: Number(numbers.constraints),
      unvalidated: Number(numbers.unvalidated),
      indexes: Number(numbers.indexes),
      invalid: Number(numbers.invalid),
    };
  }
  return counts;
}
