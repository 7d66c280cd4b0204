// Copies a table between databases with every value's text unchanged: no driver type touches a number or a time.

import type pg from 'pg';
import { quoteIdent, quoteTable } from '../../../schemas/quote.ts';

const ROWS_PER_BATCH = 2000;

interface TableCopy {
  /** A client inside a transaction: all tables copied in it are consistent with each other. */
  readonly source: pg.Client;
  readonly sourceSchema: string;
  readonly target: pg.Client;
  readonly targetSchema: string;
  readonly table: string;
  /** SQL condition for the rows to copy, given the columns of the source. Omitted: all rows. */
  readonly condition?: (columns: readonly string[]) => string;
}

/**
 * Creates targetSchema.table with the columns and types of sourceSchema.table, without its constraints, and copies its rows. Types that are not built in
 * (enums, domains, types of extensions) do not exist in the target database and become text. Errors: the table does not exist.
 */
export async function copyTable(copy: TableCopy): Promise<void> {
  const { source, target, table } = copy;
  const described = await source.query<{ name: string; type: string }>(
    `SELECT a.attname AS name, CASE WHEN y.typnamespace = 'pg_catalog'::regnamespace THEN format_type(a.atttypid, a.atttypmod) ELSE 'text' END AS type
     FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE n.nspname = $1 AND t.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [copy.sourceSchema, table],
  );
  const columns = described.rows.map((column) => ({ ...column, quoted: quoteIdent(column.name) }));
  if (columns.length === 0) {
    throw new Error(`table ${copy.sourceSchema}.${table} does not exist: migrate the database, or name its schema`);
  }
  const from = quoteTable(copy.sourceSchema, table);
  const to = quoteTable(copy.targetSchema, table);
  await target.query(`CREATE UNLOGGED TABLE ${to} (${columns.map((c) => `${c.quoted} ${c.type}`).join(', ')})`);

  const texts = columns.map((c) => `${c.quoted}::text`).join(', ');
  const parameters = columns.map((_, index) => `$${index + 1}::text[]`).join(', ');
  const values = columns.map((c) => `r.${c.quoted}::${c.type}`).join(', ');
  const names = columns.map((c) => c.quoted).join(', ');
  const insert = `INSERT INTO ${to} (${names}) SELECT ${values} FROM unnest(${parameters}) AS r (${names})`;
  const condition = copy.condition?.(columns.map((column) => column.name)) ?? 'true';
  await source.query(`DECLARE rows_to_copy NO SCROLL CURSOR FOR SELECT ${texts} FROM ${from} WHERE ${condition}`);
  for (;;) {
    const batch = await source.query<(string | null)[]>({
      text: `FETCH ${ROWS_PER_BATCH} FROM rows_to_copy`,
      rowMode: 'array',
    });
    if (batch.rows.length === 0) break;
    await target.query(
      insert,
      columns.map((_, index) => batch.rows.map((row) => row[index])),
    );
  }
  await source.query('CLOSE rows_to_copy');
  await target.query(`ANALYZE ${to}`);
}
