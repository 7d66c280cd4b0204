import { quoteLiteral as literal, quoteIdent as quote } from '../../schemas/quote.ts';
import type { OwnedTarget } from '../projection.ts';
import type { TargetShapes } from './catalog.ts';
import type { TableShape } from './statements.ts';

/** The constraints on rows of a table, in PostgreSQL's own notation. */
export interface TableRules {
  readonly notNull: readonly string[];
  /** Expressions on unqualified column names. */
  readonly checks: readonly string[];
  readonly references: readonly {
    /** With its schema, quoted. */
    readonly table: string;
    readonly name: string;
    readonly columns: readonly string[];
    readonly to: readonly string[];
  }[];
  readonly uniques: readonly {
    readonly name: string;
    readonly columns: readonly string[];
    readonly where: string | null;
  }[];
}

/**
 * Returns one statement that lists rows that break a rule (row, null, null), and rows that claim a unique value that is held or claimed twice (row, value, holder). $1 is
 * the legacy table, followed by one JSON parameter per table: rows [number, legacy key, …cells]. `own`: tables whose rows may be written in the same transaction.
 */
export function probeSql(
  targets: readonly OwnedTarget[],
  shapes: TargetShapes,
  rules: ReadonlyMap<string, TableRules>,
  own: ReadonlySet<string>,
): string {
  const parts = targets.flatMap((target, index) => {
    const shape = shapes.get(target.table)!;
    const rule = rules.get(target.table)!;
    const typed = `t${index}`;
    const broken = brokenRules(target, rule, own);
    return [
      { with: `${typed} AS MATERIALIZED (${typedRows(target, shape, index + 2)})` },
      {
        select: `SELECT DISTINCT probe_row::text AS row, NULL AS claim, NULL AS holder FROM ${typed} t WHERE ${broken}`,
      },
      ...rule.uniques.map((unique) => ({ select: claimsSql(target.table, typed, unique) })),
    ];
  });
  const withs = parts.flatMap((part) => ('with' in part ? [part.with] : []));
  const selects = parts.flatMap((part) => ('select' in part ? [part.select] : []));
  return `WITH ${withs.join(',\n')}\n${selects.join('\nUNION ALL\n')}\nUNION ALL SELECT NULL, NULL, NULL WHERE $1::text IS NULL`;
}

/** Rows with the column types of the table. A cell that is invalid for its type becomes null, and the row is marked. */
function typedRows({ columns }: OwnedTarget, shape: TableShape, parameter: number): string {
  const cells = columns.map((column, index) => {
    const cell = `(r->>${index + 2})`;
    const type = shape.types[column]!;
    return `CASE WHEN pg_input_is_valid(${cell}, ${literal(type)}) THEN ${cell}::${type} END AS ${quote(column)}`;
  });
  const invalid = columns.map(
    (column, index) => `NOT pg_input_is_valid(r->>${index + 2}, ${literal(shape.types[column]!)})`,
  );
  // Columns that the runtime adds, and columns that no projection writes: a check may use them.
  const lineage: Record<string, string> = {
    origin: literal('cdc'),
    legacy_table: '$1',
    legacy_key: 'r->>1',
    source_lsn: literal('0/1'),
    source_xid: '0',
    source_committed_at: 'now()',
    mapping_version: literal(''),
  };
  const others = Object.entries(shape.types)
    .filter(([column]) => !columns.includes(column))
    .map(([column, type]) => `(${lineage[column] ?? 'NULL'})::${type} AS ${quote(column)}`);
  return `SELECT (r->>0)::int AS probe_row, coalesce(${invalid.join(' OR ')}, false) AS probe_invalid, ${[...cells, ...others].join(', ')}
    FROM jsonb_array_elements($${parameter}::jsonb) r`;
}

function brokenRules({ columns }: OwnedTarget, rules: TableRules, own: ReadonlySet<string>): string {
  const nulls = rules.notNull
    .filter((column) => columns.includes(column))
    .map((column) => `t.${quote(column)} IS NULL`);
  const checks = rules.checks.map((check) => `(${check}) IS FALSE`);
  const orphans = rules.references
    .filter(({ name, columns: from }) => !own.has(name) && from.every((column) => columns.includes(column)))
    .map(
      ({ table, columns: from, to }) =>
        `(${from.map((column) => `t.${quote(column)} IS NOT NULL`).join(' AND ')} AND NOT EXISTS (SELECT FROM ${table} f WHERE ${from
          .map((column, index) => `f.${quote(to[index]!)} = t.${quote(column)}`)
          .join(' AND ')}))`,
    );
  return ['t.probe_invalid', ...nulls, ...checks, ...orphans].join(' OR ');
}

function claimsSql(table: string, typed: string, { name, columns, where }: TableRules['uniques'][number]): string {
  const condition = where === null ? 'true' : `(${where})`;
  const filled = columns.map((column) => `${quote(column)} IS NOT NULL`).join(' AND ');
  const value = `${literal(name)} || ROW(${columns.map((column) => `c.${quote(column)}`).join(', ')})::text`;
  const same = columns.map((column) => `x.${quote(column)} = c.${quote(column)}`).join(' AND ');
  return `SELECT probe_row::text, claim, holder FROM (
      SELECT c.probe_row, ${value} AS claim, h.holder, count(*) OVER (PARTITION BY ${value}) AS times
      FROM (SELECT * FROM ${typed} WHERE ${condition} AND ${filled}) c
      LEFT JOIN LATERAL (SELECT CASE WHEN x.origin = 'cdc' AND x.legacy_table = $1 THEN x.legacy_key ELSE '' END AS holder
        FROM (SELECT * FROM ${quote(table)} WHERE ${condition}) x WHERE ${same} AND x.id <> c.id LIMIT 1) h ON true) d
    WHERE holder IS NOT NULL OR times > 1`;
}
