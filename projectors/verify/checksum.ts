import { hash } from 'node:crypto';
import { quoteLiteral as literal, quoteIdent } from '../../schemas/quote.ts';
import { compareBytes } from '../values/text.ts';
import type { Expected, OwnedPlan, Plan } from './plan.ts';
import { addMarked, holdsMark, marks, toArrayText, toJsonbObjectText, toMarkedSql } from './spelling.ts';

/**
 * One statement that returns a checksum for each legacy key, in order: SHA-256 of the texts of the live rows under its scope and of its live
 * contributions. $1: legacy keys; then the scopes of each owned table. `nullMark` stands for null. If a table may hold several rows of a key, their
 * number precedes them, so that a different number of rows never gives the same text.
 */
export function toChecksumSql({ projection, owned, merged }: Plan, nullMark: string): string {
  const source = literal(projection.source);
  const part = literal(marks.part);
  const rows = owned.map(({ target, shape, columns, hasDeletedAt }, at) => {
    const cells = [...columns, 'legacy_key'].map((column) => ({
      sql: `x.${quoteIdent(column)}`,
      type: shape.types[column] ?? '',
    }));
    const found = `FROM ${quoteIdent(target.table)} x WHERE x.${quoteIdent(target.scope.column)} = k.s${at}
      AND x.origin = 'cdc' AND x.legacy_table = ${source}${hasDeletedAt ? ' AND x.deleted_at IS NULL' : ''}`;
    return isSingle(owned[at]!)
      ? `(SELECT ${toMarkedSql(cells, nullMark)} ${found})`
      : `(SELECT count(*) || ${part} || string_agg(${toMarkedSql(cells, nullMark)}, ${part} ORDER BY x.id) ${found})`;
  });
  const contributions = merged.map(
    ({
      aggregate,
    }) => `(SELECT string_agg(c.merge_key || ${part} || c.data::text, ${part} ORDER BY c.merge_key) FROM contribution c
      WHERE c.aggregate = ${literal(aggregate.name)} AND c.legacy_table = ${source} AND c.legacy_key = k.key AND c.live)`,
  );
  // concat_ws skips null, so a table without rows adds no part.
  const parts = [...rows, ...contributions].flatMap((sql) => [sql, literal(marks.table)]);
  const scopes = owned.map(({ target, shape }, at) => `$${at + 2}::${shape.types[target.scope.column]}[]`);
  const names = ['key', ...owned.map((_, at) => `s${at}`), 'ord'].join(', ');
  return `SELECT sha256(convert_to(concat_ws(${[part, ...parts].join(', ')}), 'UTF8')) FROM unnest(${['$1::text[]', ...scopes].join(', ')}) WITH ORDINALITY AS k (${names}) ORDER BY k.ord`;
}

/** Whether a legacy key has at most one row. */
function isSingle({ target }: OwnedPlan): boolean {
  return target.scope.column === 'id';
}

/** Parameters of the statement for one legacy key: the key, and its scope in each owned table. */
export function toAsked({ owned }: Plan, { legacyKey, rows }: Expected): string[] {
  const asked = [legacyKey];
  for (let at = 0; at < owned.length; at += 1) {
    // Reuse an implied id instead of deriving it from the key again.
    const implied = isSingle(owned[at]!) ? rows[at]![0]?.[0] : undefined;
    asked.push(implied ?? owned[at]!.target.scope.of(legacyKey));
  }
  return asked;
}

/** Parameters of the statement. */
export function toParameters({ owned }: Plan, asked: readonly (readonly string[])[]): string[] {
  return Array.from({ length: owned.length + 1 }, (_, at) => toArrayText(asked.map((of) => of[at]!)));
}

/** The checksum that the statement returns if the rows of a key are as expected. Null if other rows might have the same text; the key then needs a close check. */
export function toChecksum(expected: Expected, { owned, merged }: Plan, nullMark: string): string | null {
  const { legacyKey } = expected;
  if (holdsMark(legacyKey)) return null;
  const parts: string[] = [];
  for (let at = 0; at < owned.length; at += 1) {
    const rows = expected.rows[at]!;
    const inOrder = rows.length < 2 ? rows : [...rows].sort((a, b) => compareBytes(a[0]!, b[0]!));
    if (rows.length > 0 && !isSingle(owned[at]!)) parts.push(String(rows.length));
    for (const cells of inOrder) {
      if (!addMarked(parts, cells, nullMark)) return null;
      parts.push(legacyKey, marks.row);
    }
    parts.push(marks.table);
  }
  for (const { aggregate } of merged) {
    const own = expected.contributions.filter((contribution) => contribution.aggregate === aggregate.name);
    if (own.length > 1) own.sort((a, b) => compareBytes(a.mergeKey, b.mergeKey));
    for (const { mergeKey, data } of own) parts.push(mergeKey, toJsonbObjectText(data));
    parts.push(marks.table);
  }
  return `\\x${hash('sha256', parts.join(marks.part))}`;
}
