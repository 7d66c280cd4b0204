import type pg from 'pg';
import { quoteIdent } from '../../runtime/postgres.ts';
import type { TargetShapes } from '../write/catalog.ts';
import { expectedTable } from './expected.ts';

/** One difference: a row that is missing or extra, or a column that differs. Values are PostgreSQL text. */
export interface Difference {
  readonly table: string;
  readonly id: string;
  readonly kind: 'missing' | 'extra' | 'differs';
  readonly column: string | null;
  readonly expected: string | null;
  readonly actual: string | null;
  /** Legacy row that the actual row names; null where it is missing. */
  readonly legacyKey: string | null;
}

export interface TableComparison {
  readonly table: string;
  readonly expected: number;
  readonly actual: number;
  readonly missing: number;
  readonly extra: number;
  readonly differing: number;
  /** The first differences. */
  readonly differences: readonly Difference[];
}

/** Types whose text counts: equal numbers and documents may be written in different digits. */
const byText = new Set(['numeric', 'jsonb', 'json']);

/** Compares the expected rows of a table with its live projected rows, column by column, inside PostgreSQL. */
export async function compareTable(
  target: pg.ClientBase,
  shapes: TargetShapes,
  table: string,
  columns: readonly string[],
  limit: number,
): Promise<TableComparison> {
  const shape = shapes.get(table)!;
  const live = `(SELECT * FROM crm.${quoteIdent(table)} WHERE origin = 'cdc'${'deleted_at' in shape.types ? ' AND deleted_at IS NULL' : ''})`;
  const side = (alias: string, column: string) =>
    `${alias}.${quoteIdent(column)}${byText.has(shape.types[column] ?? '') ? '::text' : ''}`;
  const compared = columns.filter((column) => column !== 'id');
  const differs = compared.map((column) => `${side('e', column)} IS DISTINCT FROM ${side('a', column)}`).join(' OR ');
  await target.query('DROP TABLE IF EXISTS pg_temp.difference');
  await target.query(
    `CREATE TEMPORARY TABLE difference AS SELECT e.id AS expected_id, a.id AS actual_id FROM ${expectedTable(table)} e FULL JOIN ${live} a ON a.id = e.id
     WHERE e.id IS NULL OR a.id IS NULL OR ${differs}`,
  );
  const { rows: counts } = await target.query<
    Record<'expected' | 'actual' | 'missing' | 'extra' | 'differing', string>
  >(
    `SELECT (SELECT count(*) FROM ${expectedTable(table)}) AS expected, (SELECT count(*) FROM ${live} a) AS actual, count(*) FILTER (WHERE actual_id IS NULL) AS missing,
       count(*) FILTER (WHERE expected_id IS NULL) AS extra, count(*) FILTER (WHERE expected_id = actual_id) AS differing FROM difference`,
  );
  const { rows } = await target.query<{
    id: string;
    kind: Difference['kind'];
    column: string | null;
    expected: string | null;
    actual: string | null;
    legacy_key: string | null;
  }>(
    `SELECT coalesce(d.expected_id, d.actual_id)::text AS id, CASE WHEN d.actual_id IS NULL THEN 'missing' WHEN d.expected_id IS NULL THEN 'extra' ELSE 'differs' END AS kind,
       c.name AS column, c.expected, c.actual, a.legacy_key
     FROM difference d LEFT JOIN ${expectedTable(table)} e ON e.id = d.expected_id LEFT JOIN crm.${quoteIdent(table)} a ON a.id = d.actual_id
     LEFT JOIN LATERAL (VALUES ${compared.map((column) => `('${column.replaceAll("'", "''")}', e.${quoteIdent(column)}::text, a.${quoteIdent(column)}::text)`).join(', ')}) AS c (name, expected, actual)
       ON d.expected_id = d.actual_id AND c.expected IS DISTINCT FROM c.actual
     ORDER BY 1, 3 LIMIT $1`,
    [limit],
  );
  const count = (name: keyof (typeof counts)[0]) => Number(counts[0]![name]);
  return {
    table,
    expected: count('expected'),
    actual: count('actual'),
    missing: count('missing'),
    extra: count('extra'),
    differing: count('differing'),
    differences: rows.map((row) => ({
      table,
      id: row.id,
      kind: row.kind,
      column: row.column,
      expected: row.expected,
      actual: row.actual,
      legacyKey: row.legacy_key,
    })),
  };
}
