import type { Client, PoolClient } from 'pg';
import type { Row } from './rows/row.ts';

/** Types of a table's columns, without length or scale: `text[]`, `numeric`. */
export type ColumnTypes = ReadonlyMap<string, string>;

/** One name as an SQL identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Reads the column types of the given legacy tables. Throws if one does not exist. */
export async function readColumnTypes(
  client: Client | PoolClient,
  tables: readonly string[],
): Promise<Map<string, ColumnTypes>> {
  const { rows } = await client.query<{ table: string; column: string; type: string }>(
    `SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, NULL) AS type
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped`,
    [tables],
  );
  const types = new Map<string, Map<string, string>>(tables.map((table) => [table, new Map()]));
  for (const row of rows) types.get(row.table)!.set(row.column, row.type);
  for (const [table, columns] of types) {
    if (columns.size === 0) {
      throw new Error(`legacy table public.${table} does not exist: create the legacy schema first`);
    }
  }
  return types;
}

/** Inserts rows with the same columns in one statement. Returns the number of rows. */
export async function insertRows(
  client: Client | PoolClient,
  table: string,
  types: ColumnTypes,
  rows: readonly Row[],
): Promise<number> {
  const first = rows[0];
  if (first === undefined) return 0;
  const columns = Object.keys(first);
  const values = columns.map((column) => rows.map((row) => row[column] ?? null));
  const names = columns.map(quoteIdentifier).join(', ');
  // The parameters are text arrays. A cast without length leaves it to the column to refuse values that are too long.
  const casts = columns.map((column, i) => `v${i}::${types.get(column) ?? 'text'}`).join(', ');
  const arrays = columns.map((_, i) => `$${i + 1}::text[]`).join(', ');
  const aliases = columns.map((_, i) => `v${i}`).join(', ');
  const result = await client.query(
    `INSERT INTO public.${quoteIdentifier(table)} (${names}) SELECT ${casts} FROM unnest(${arrays}) AS r(${aliases})`,
    values,
  );
  return result.rowCount ?? 0;
}
