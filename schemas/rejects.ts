import type { RejectsTable } from '../runtime/config.ts';
import { quoteIdent, quoteTable } from './quote.ts';

/**
 * A FROM clause named `rejects` with these columns of every projected value without a valid form; `schema` null:
 * resolved by the search path.
 */
export function rejectsSql(tables: readonly RejectsTable[], columns: readonly string[], schema: string | null): string {
  const listed = columns.map(quoteIdent).join(', ');
  const parts = tables.map(({ name, isFolded }) => {
    const table = schema === null ? quoteIdent(name) : quoteTable(schema, name);
    return `SELECT ${listed} FROM ${table}${isFolded ? ' WHERE deleted_at IS NULL' : ''}`;
  });
  return `(${parts.join(' UNION ALL ')}) rejects`;
}
