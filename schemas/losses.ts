import type pg from 'pg';

/** Tables of both schemas with their columns, by name. */
async function readColumns(client: pg.ClientBase): Promise<Map<string, Set<string>>> {
  const { rows } = await client.query<{ table: string; column: string }>(
    `SELECT n.nspname || '.' || c.relname AS table, c.oid || ' ' || a.attname AS column
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('crm', 'crosswalk')`,
  );
  const columns = new Map<string, Set<string>>();
  for (const { table, column } of rows) columns.set(table, (columns.get(table) ?? new Set()).add(column));
  return columns;
}

/** Tables that statements would drop, or take a column from: found by running them and taking them back. For a transaction of the caller's. */
export async function findLosses(client: pg.ClientBase, statements: readonly string[]): Promise<string[]> {
  const before = await readColumns(client);
  await client.query('SAVEPOINT losses');
  for (const sql of statements) await client.query(sql);
  const after = await readColumns(client);
  await client.query('ROLLBACK TO SAVEPOINT losses');
  return [...before]
    .filter(([table, columns]) => [...columns].some((column) => after.get(table)?.has(column) !== true))
    .map(([table]) => table)
    .sort();
}
