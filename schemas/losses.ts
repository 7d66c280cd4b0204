import type pg from 'pg';
import { quoteIdent } from './quote.ts';

interface Table {
  /** Column names by the column's identity: table, name and type. */
  readonly columns: ReadonlyMap<string, string>;
  /** File node of its rows: changes with TRUNCATE and with every rewrite of the table. */
  readonly file: string;
  /** Rows deleted by this transaction. */
  readonly deleted: bigint;
}

/** Tables of all schemas, by name, except shadows of rebuilds and tables that only migrations fill and empty. */
async function readTables(client: pg.ClientBase): Promise<Map<string, Table>> {
  const { rows } = await client.query<{ table: string; columns: string; file: string; deleted: string }>(
    `SELECT n.nspname || '.' || c.relname AS table, c.relfilenode::text AS file, coalesce(pg_stat_get_xact_tuples_deleted(c.oid), 0)::text AS deleted,
       (SELECT coalesce(json_object_agg(c.oid || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod), a.attname), '{}') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema$|crosswalk_shadow_)'
       AND NOT (n.nspname = 'crosswalk' AND c.relname IN ('migration', 'adopted', 'figures'))`,
  );
  return new Map(
    rows.map(({ table, columns, file, deleted }) => [
      table,
      {
        columns: new Map(Object.entries(JSON.parse(columns) as Record<string, string>)),
        file,
        deleted: BigInt(deleted),
      },
    ]),
  );
}

/**
 * Tables that statements would drop or empty, delete rows of, or whose filled columns they would drop or retype. Found
 * by running the statements and rolling them back. A rewritten table counts as well. Values overwritten by UPDATE are
 * not found. Must run in a transaction of the caller.
 */
export async function findLosses(client: pg.ClientBase, statements: readonly string[]): Promise<string[]> {
  const before = await readTables(client);
  await client.query('SAVEPOINT losses');
  for (const sql of statements) await client.query(sql);
  const after = await readTables(client);
  await client.query('ROLLBACK TO SAVEPOINT losses');
  const lost: string[] = [];
  for (const [table, { columns, file, deleted }] of before) {
    const now = after.get(table);
    if (now === undefined || now.file !== file || now.deleted > deleted) lost.push(table);
    else {
      const gone = [...columns].filter(([column]) => !now.columns.has(column)).map(([, name]) => name);
      if (gone.length > 0 && (await isAnyFilled(client, table, gone))) lost.push(table);
    }
  }
  return lost.sort();
}

/** Whether any row has a value in one of these columns. */
async function isAnyFilled(client: pg.ClientBase, table: string, columns: readonly string[]): Promise<boolean> {
  const name = table.split('.').map(quoteIdent).join('.');
  const { rows } = await client.query(
    `SELECT FROM ${name} WHERE num_nonnulls(${columns.map(quoteIdent).join(', ')}) > 0 LIMIT 1`,
  );
  return rows.length > 0;
}

/** Whether a migration may lose data: only such migrations are tried before they are run. */
export function mayLose(sql: string): boolean {
  return /\b(?:DROP|TRUNCATE)\b|\bDELETE\s+FROM\b|\bTHEN\s+DELETE\b|\bALTER\b[^;]*\bTYPE\b/i.test(sql);
}
