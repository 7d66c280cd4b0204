import { hash } from 'node:crypto';
import { quoteLiteral as literal, quoteIdent } from '../../schemas/quote.ts';
import { compareBytes } from '../values/text.ts';
import type { Expected, Plan } from './plan.ts';
import { toArrayText, toJsonbObjectText, toRecordText } from './spelling.ts';

/**
 * One statement that answers with a checksum for each legacy key, in their order: md5 of the texts of the live rows under its scope and of its live contributions. $1: legacy keys; then the
 * scopes of each owned table.
 */
export function toChecksumSql({ projection, owned, merged }: Plan): string {
  const source = literal(projection.source);
  const rows = owned.map(({ target, columns, hasDeletedAt }, at) => {
    const cells = [...columns, 'legacy_key'].map((column) => `x.${quoteIdent(column)}`).join(', ');
    const found = `FROM ${quoteIdent(target.table)} x WHERE x.${quoteIdent(target.scope.column)} = k.s${at}
      AND x.origin = 'cdc' AND x.legacy_table = ${source}${hasDeletedAt ? ' AND x.deleted_at IS NULL' : ''}`;
    return target.scope.column === 'id'
      ? `(SELECT ROW(${cells})::text ${found})`
      : `(SELECT string_agg(ROW(${cells})::text, '' ORDER BY x.id) ${found})`;
  });
  const contributions = merged.map(
    ({ aggregate }) => `(SELECT string_agg(c.merge_key || c.data::text, '' ORDER BY c.merge_key) FROM contribution c
      WHERE c.aggregate = ${literal(aggregate.name)} AND c.legacy_table = ${source} AND c.legacy_key = k.key AND c.live)`,
  );
  const parts = [...rows, ...contributions].map((part) => `coalesce(${part}, '')`).join(` || '|' || `);
  const scopes = owned.map(({ target, shape }, at) => `$${at + 2}::${shape.types[target.scope.column]}[]`);
  const names = ['key', ...owned.map((_, at) => `s${at}`), 'ord'].join(', ');
  return `SELECT md5(${parts === '' ? `''` : parts}) FROM unnest(${['$1::text[]', ...scopes].join(', ')}) WITH ORDINALITY AS k (${names}) ORDER BY k.ord`;
}

/** Parameters of that statement. */
export function toParameters({ owned }: Plan, expected: readonly Expected[]): string[] {
  const scopes = owned.map(({ target: { scope } }, at) =>
    // An id that is implied need not be derived from the key once more.
    toArrayText(
      expected.map(({ legacyKey, rows }) => (scope.column === 'id' && rows[at]![0]?.[0]) || scope.of(legacyKey)),
    ),
  );
  return [toArrayText(expected.map(({ legacyKey }) => legacyKey)), ...scopes];
}

/** What the statement answers where the rows of a key are as expected. */
export function toChecksum(expected: Expected, { merged }: Plan): string {
  let text = '';
  for (const rows of expected.rows) {
    const inOrder = rows.length < 2 ? rows : [...rows].sort((a, b) => compareBytes(a[0]!, b[0]!));
    for (const cells of inOrder) text += toRecordText(cells, expected.legacyKey);
    text += '|';
  }
  for (const { aggregate } of merged) {
    const own = expected.contributions.filter((contribution) => contribution.aggregate === aggregate.name);
    if (own.length > 1) own.sort((a, b) => compareBytes(a.mergeKey, b.mergeKey));
    for (const { mergeKey, data } of own) text += mergeKey + toJsonbObjectText(data);
    text += '|';
  }
  return hash('md5', text.slice(0, -1));
}
