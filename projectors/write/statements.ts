import { quoteLiteral as literal, quoteIdent as quote } from '../../schemas/quote.ts';

/** A projected table as the catalog describes it: types by column, in PostgreSQL's own notation. */
export interface TableShape {
  readonly table: string;
  readonly types: Readonly<Record<string, string>>;
}

/** Columns that every projected table has after its own. */
export const LINEAGE_COLUMNS = [
  'legacy_table',
  'legacy_key',
  'source_lsn',
  'source_xid',
  'source_committed_at',
  'mapping_version',
] as const;

/** Types whose equal values may differ in text (1.5 and 1.50). They are compared as text, so that every digit counts. */
const comparedAsText = new Set(['numeric', 'jsonb', 'json']);

/** Expression that compares a column with every digit. */
export function comparable(alias: string, column: string, type: string | undefined): string {
  return `${alias}.${quote(column)}${comparedAsText.has(type ?? '') ? '::text' : ''}`;
}

/** An additional condition that excludes rows owned by other projections; empty if there are none. `alias` '': unqualified names. */
export function notOwned(alias: string, ownedFrom: readonly string[] = []): string {
  if (ownedFrom.length === 0) return '';
  const column = alias === '' ? 'legacy_table' : `${alias}.legacy_table`;
  return ` AND ${column} NOT IN (${ownedFrom.map(literal).join(', ')})`;
}

/** Columns written for a target: its own, `deleted_at` if the table has it, and lineage. */
export function writtenColumns(shape: TableShape, columns: readonly string[]): string[] {
  return [...columns, ...('deleted_at' in shape.types ? ['deleted_at'] : []), ...LINEAGE_COLUMNS];
}

/** One table of a write: rows to retract and rows to upsert. */
export interface TargetShape {
  readonly shape: TableShape;
  readonly columns: readonly string[];
  /** Columns that a new row sets to null, whatever their default for rows of the application. */
  readonly blank?: readonly string[];
  /** Column that finds the rows that may have to be retracted. */
  readonly scopeColumn: string;
  readonly retract: 'soft-delete' | 'delete';
  /** Whether these are rows of an aggregate, which several legacy tables may feed. Such a row is retracted when the fold omits it, whichever legacy table it names. */
  readonly isMerged: boolean;
  /** For merged rows: legacy tables whose rows never belong to the fold. */
  readonly ownedFrom?: readonly string[];
  /** Owned rows are also written if only the legacy key that they name differs. */
  readonly isRepair: boolean;
}

/**
 * Returns one statement that retracts and upserts rows of several tables, parents first. $1 is the legacy table, $2 the mapping version, followed by two JSON parameters
 * per table: retractions, [scope value, LSN, xid, commit time, [ids still implied], legacy key], and rows, texts in the order of `writtenColumns`. Constraints are
 * checked after the whole statement, so a unique value may move from a retracted row to a new one.
 */
export function writeSql(targets: readonly TargetShape[]): string {
  const parts = targets.flatMap((target, index) => [
    `r${index} AS (${retractSql(target, index * 2 + 3)})`,
    `u${index} AS (${upsertSql(target, index * 2 + 4)})`,
  ]);
  return `WITH ${parts.join(',\n')}\nSELECT FROM (SELECT $1::text, $2::text) p`;
}

/** Writes a row only if a projected column differs, and never overwrites a row of the application. */
function upsertSql(
  { shape, columns, blank = [], isMerged, ownedFrom = [], isRepair }: TargetShape,
  parameter: number,
): string {
  const written = writtenColumns(shape, columns);
  const nulls = blank.filter((column) => !written.includes(column));
  const aside = isRepair && !isMerged ? LINEAGE_COLUMNS.slice(2) : LINEAGE_COLUMNS;
  const compared = written.filter((column) => !(aside as readonly string[]).includes(column));
  const side = (alias: string) => compared.map((column) => comparable(alias, column, shape.types[column])).join(', ');
  // A row whose lineage names a legacy table that others own rows of does not count as a row of the fold, whatever its cells.
  const isNamedOtherwise = ownedFrom.length === 0 ? '' : ` OR t.legacy_table IN (${ownedFrom.map(literal).join(', ')})`;
  return [
    `INSERT INTO ${quote(shape.table)} AS t (${[...written, ...nulls].map(quote).join(', ')}, origin)`,
    `SELECT ${[...written.map((column, index) => `(r->>${index})::${shape.types[column]}`), ...nulls.map(() => 'NULL')].join(', ')}, 'cdc' FROM jsonb_array_elements($${parameter}::jsonb) r`,
    `ON CONFLICT (id) DO UPDATE SET ${written
      .filter((column) => column !== 'id')
      .map((column) => `${quote(column)} = excluded.${quote(column)}`)
      .join(', ')}`,
    `WHERE t.origin = 'cdc' AND ((${side('t')}) IS DISTINCT FROM (${side('excluded')})${isNamedOtherwise})`,
  ].join('\n');
}

/** `OFFSET 0` keeps the planner to one lookup by scope per legacy row. Otherwise, without statistics, the other conditions would make it read a whole partial index for each. */
function retractSql(
  { shape, columns, scopeColumn, retract, isMerged, ownedFrom = [], isRepair }: TargetShape,
  parameter: number,
): string {
  const isSoft = retract === 'soft-delete';
  const isOfTable = isMerged ? notOwned('i', ownedFrom) : ' AND i.legacy_table = $1';
  const mayMove = isMerged && scopeColumn !== 'id';
  // A row that moves from another scope is written by the same statement, whose parts have no guaranteed order, so it must not be retracted as well. Merged rows move
  // when they come under another merge key; owned rows only in a repair.
  const isKept = `NOT EXISTS (SELECT FROM jsonb_array_elements($${parameter + 1}::jsonb) w WHERE w->>${columns.indexOf('id')} = i.id::text)`;
  const candidates = `(SELECT i.at, (r->>1)::pg_lsn AS lsn, (r->>2)::bigint AS xid, (r->>3)::timestamptz AS committed_at, r->>5 AS legacy_key
    FROM jsonb_array_elements($${parameter}::jsonb) r CROSS JOIN LATERAL (
      SELECT x.ctid AS at, x.id, x.origin, x.legacy_table${isSoft ? ', x.deleted_at' : ''} FROM ${quote(shape.table)} x
      WHERE x.${quote(scopeColumn)} = (r->>0)::${shape.types[scopeColumn]} OFFSET 0) i
    WHERE i.origin = 'cdc'${isOfTable} AND NOT (r->4) ? i.id::text${isSoft ? ' AND i.deleted_at IS NULL' : ''}${isRepair || mayMove ? ` AND ${isKept}` : ''} OFFSET 0) s`;
  if (!isSoft) return `DELETE FROM ${quote(shape.table)} t USING ${candidates} WHERE t.ctid = s.at`;
  // An owned row already names its legacy row.
  const named = isMerged ? 'legacy_table = $1, legacy_key = s.legacy_key, ' : '';
  return `UPDATE ${quote(shape.table)} t SET deleted_at = s.committed_at, ${named}source_lsn = s.lsn, source_xid = s.xid, source_committed_at = s.committed_at, mapping_version = $2
    FROM ${candidates} WHERE t.ctid = s.at`;
}
