import type pg from 'pg';
import { keyPositions, type Relation } from '../../changes/change.ts';
import { MOST_ROW_BYTES, toRowBytesSql } from '../../changes/row-bytes.ts';
import { parseSnapshot } from '../../connectors/snapshot/visibility.ts';
import { quoteIdent, quoteTable } from '../../schemas/quote.ts';
import type { LegacyRow } from '../projection.ts';
import { toLegacyKey } from '../source-change.ts';
import { toArrayText } from './spelling.ts';

/** A legacy row as one statement saw it. `row` null: it does not exist, or is too large to read. */
export interface SeenRow {
  readonly row: LegacyRow | null;
  readonly isTooLarge: boolean;
  /** xmin of the tuple; null if there is none. */
  readonly tuple: string | null;
  readonly xmax: string;
}

/** Cells by column. */
export function toLegacyRow(relation: Relation, cells: readonly (string | null)[]): LegacyRow {
  const row: Record<string, string | null> = {};
  for (let at = 0; at < relation.columns.length; at += 1) row[relation.columns[at]!.name] = cells[at]!;
  return row;
}

/** Legacy key of a row, in the form that projections use. */
export function keyOfRow(relation: Relation, cells: readonly (string | null)[]): string {
  return toLegacyKey(Object.fromEntries(keyPositions(relation).map((at) => [relation.columns[at]!.name, cells[at]!])));
}

/** The texts of the key's columns; null if the text cannot be a key of this table. */
export function toKeyTexts(relation: Relation, legacyKey: string): readonly string[] | null {
  if (relation.key.length === 1) return [legacyKey];
  try {
    const texts: unknown = JSON.parse(legacyKey);
    const isKey = Array.isArray(texts) && texts.length === relation.key.length;
    return isKey && texts.every((text) => typeof text === 'string') ? texts : null;
  } catch {
    return null;
  }
}

/** Reads rows by their keys in one statement, in the order of the keys. Also returns the lowest transaction id that had not ended then. */
export async function readRows(
  client: pg.ClientBase,
  relation: Relation,
  keys: readonly (readonly string[])[],
): Promise<{ rows: SeenRow[]; snapshotXmin: bigint }> {
  const columns = relation.columns.map(({ name }) => `x.${quoteIdent(name)}`);
  const { bytes, most } = toRowBytesSql(relation, columns, MOST_ROW_BYTES);
  const names = columns.map((_, at) => `c${at}`);
  const cells = names.map((name) => `CASE WHEN bytes <= ${most} THEN ${name} END`);
  const result = await client.query<(string | null)[]>({
    // OFFSET 0 keeps the subquery separate, so that the size is computed once per row.
    text: `SELECT pg_current_snapshot()::text, tuple, xmax, bytes > ${most}, ${cells.join(', ')}
      FROM (SELECT k.ord, x.xmin::text, x.xmax::text, ${bytes}, ${columns.join(', ')}
        FROM ${wantedSql(relation)} LEFT JOIN ${tableSql(relation)} x ON ${sameKeySql(relation)} OFFSET 0) AS seen (${['ord', 'tuple', 'xmax', 'bytes', ...names].join(', ')})
      ORDER BY ord`,
    values: toKeyColumns(relation, keys),
    rowMode: 'array',
  });
  const rows = result.rows.map(([, tuple, xmax, tooLarge, ...texts]) => ({
    row: tuple === null || tooLarge === 't' ? null : toLegacyRow(relation, texts),
    isTooLarge: tooLarge === 't',
    tuple: tuple ?? null,
    xmax: xmax ?? '0',
  }));
  return { rows, snapshotXmin: parseSnapshot(result.rows[0]![0]!).xmin };
}

/** Positions of the keys without a row that meets the SQL condition. */
export async function findAbsent(
  client: pg.ClientBase,
  relation: Relation,
  keys: readonly (readonly string[])[],
  condition: string | null = null,
): Promise<number[]> {
  if (keys.length === 0) return [];
  const { rows } = await client.query<{ ord: string }>(
    `SELECT k.ord FROM ${wantedSql(relation)} WHERE NOT EXISTS (SELECT FROM ${tableSql(relation)} x WHERE ${sameKeySql(relation)}${condition === null ? '' : ` AND (${condition})`})`,
    toKeyColumns(relation, keys),
  );
  return rows.map(({ ord }) => Number(ord) - 1);
}

function tableSql({ schema, table, isPartitioned }: Relation): string {
  return `${isPartitioned ? '' : 'ONLY '}${quoteTable(schema, table)}`;
}

function wantedSql(relation: Relation): string {
  const arrays = keyPositions(relation).map((at, index) => `$${index + 1}::${relation.columns[at]!.typeName}[]`);
  return `unnest(${arrays.join(', ')}) WITH ORDINALITY AS k (${relation.key.map((_, index) => `k${index}`).join(', ')}, ord)`;
}

/** Uses the operators of the key: operators found by name may be others. */
function sameKeySql(relation: Relation): string {
  return relation.key
    .map((name, index) => {
      const schema = quoteIdent(relation.keyOperatorSchemas?.[index] ?? 'pg_catalog');
      return `x.${quoteIdent(name)} OPERATOR(${schema}.=) k.k${index}`;
    })
    .join(' AND ');
}

function toKeyColumns(relation: Relation, keys: readonly (readonly string[])[]): string[] {
  return relation.key.map((_, index) => toArrayText(keys.map((key) => key[index]!)));
}
