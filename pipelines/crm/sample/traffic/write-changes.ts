import type { Client } from 'pg';
import { type ColumnTypes, insertRows, quoteIdentifier } from '../insert-rows.ts';
import type { Change } from './change.ts';

/** Executes one change in the open transaction. Returns the number of rows affected. */
export async function writeChange(
  client: Client,
  types: ReadonlyMap<string, ColumnTypes>,
  change: Change,
): Promise<number> {
  if (change.op === 'insert') return await insertRows(client, change.table, types.get(change.table)!, change.rows);
  const table = `public.${quoteIdentifier(change.table)}`;
  const where = `WHERE ${quoteIdentifier(change.by)} = ANY ($1)`;
  const execute = async (text: string, values: readonly (string | null)[] = []) =>
    (await client.query(text, [change.keys, ...values])).rowCount ?? 0;
  switch (change.op) {
    case 'delete':
      return await execute(`DELETE FROM ${table} ${where}`);
    case 'touch': {
      const column = quoteIdentifier(change.column);
      return await execute(`UPDATE ${table} SET ${column} = ${column} ${where}`);
    }
    case 'update': {
      const columns = Object.keys(change.set);
      const set = columns.map((column, i) => `${quoteIdentifier(column)} = $${i + 2}`).join(', ');
      return await execute(`UPDATE ${table} SET ${set} ${where}`, Object.values(change.set));
    }
  }
}
