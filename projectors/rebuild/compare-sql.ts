import { quoteLiteral as literal, quoteIdent as quote } from '../../schemas/quote.ts';
import { comparable } from '../write/statements.ts';
import type { Settings } from './shadow.ts';
import type { Column, Unit } from './units.ts';

/** Parameters of the statements. `partial`: only legacy rows with replayed changes are compared. */
export interface Side {
  /** Schema of the shadow. */
  readonly shadow: string;
  readonly partial: boolean;
  /** First replayed offset by projection and partition, for a partial rebuild. */
  readonly starts: Settings['starts'];
  /** Names of the projections with a history. */
  readonly histories: readonly string[];
}

const oneOf = (values: Iterable<string>) => `(${[...values].map(literal).join(', ')})`;

export const liveTable = ({ schema, table }: Unit) => `${quote(schema)}.${quote(table)}`;
export const shadowTable = ({ table }: Unit, { shadow }: Side) => `${quote(shadow)}.${quote(table)}`;
export const inShadow = (table: string, { shadow }: Side) => `${quote(shadow)}.${quote(table)}`;

/** The text that identifies a row in the table of differences. */
export const rowKey = (alias: string, keys: readonly Column[]) =>
  `jsonb_build_array(${keys.map(({ name }) => `${alias}.${quote(name)}::text`).join(', ')})::text`;
const sameKey = (alias: string, keys: readonly Column[], rowKeyOf: string) =>
  keys.map(({ name, type }, at) => `${alias}.${quote(name)} = (${rowKeyOf}::jsonb->>${at})::${type}`).join(' AND ');

/** Rows of a shadow that count: the live ones; for a history, all contributions. */
export function shadowRows(unit: Unit, side: Side): string {
  const from = `SELECT * FROM ${shadowTable(unit, side)} x`;
  switch (unit.kind) {
    case 'state':
      return `(${from} WHERE x.projection = ${literal(unit.projection)})`;
    case 'contribution': {
      const live = unit.aggregate!.needsHistory ? '' : ' AND x.live';
      return `(${from} WHERE x.aggregate = ${literal(unit.aggregate!.name)}${live}${side.partial ? ` AND ${wasReplayed(unit, side, 'x')}` : ''})`;
    }
    default:
      return `(${from} WHERE x.legacy_table IN ${oneOf(unit.sources.keys())}${unit.hasDeletedAt ? ' AND x.deleted_at IS NULL' : ''})`;
  }
}

/** Whether changes of the row's legacy key were replayed. */
export function wasReplayed(unit: Unit, side: Side, alias: string): string {
  const pairs = [...unit.sources]
    .map(([source, projection]) => `(${literal(source)}, ${literal(projection)})`)
    .join(', ');
  return `EXISTS (SELECT FROM ${inShadow('replayed_key', side)} k WHERE (${alias}.legacy_table, k.projection) IN (${pairs}) AND k.legacy_key = ${alias}.legacy_key)`;
}

/** Whether a row of this unit counts as present before a merge. */
export function isOwn(unit: Unit, alias: string): string {
  switch (unit.kind) {
    case 'state':
      return `${alias}.projection = ${literal(unit.projection)}`;
    case 'contribution':
      return `(${alias}.aggregate = ${literal(unit.aggregate!.name)}${unit.aggregate!.needsHistory ? '' : ` AND ${alias}.live`})`;
    default: {
      const tables =
        unit.others === null
          ? ` AND ${alias}.legacy_table IN ${oneOf(unit.sources.keys())}`
          : unit.others.length === 0
            ? ''
            : ` AND ${alias}.legacy_table NOT IN ${oneOf(unit.others)}`;
      return `(${alias}.origin = 'cdc'${tables}${unit.hasDeletedAt ? ` AND ${alias}.deleted_at IS NULL` : ''})`;
    }
  }
}

/** Whether the rows belong to a new table, not to the state of the projectors. */
export function isProjected({ schema }: Pick<Unit, 'schema'>): boolean {
  return schema !== 'crosswalk';
}

/** Whether a row may be removed because the shadow does not have it. Without a replay, nothing shows that a row is gone. */
function isRemovable(unit: Unit, side: Side, alias: string): string {
  if (unit.kind === 'state') return 'false';
  // A row that names another legacy table than its own is a difference of the unit that it belongs to.
  const elsewhere = isProjected(unit)
    ? ` AND NOT EXISTS (SELECT FROM ${shadowTable(unit, side)} o WHERE ${unit.keys.map(({ name }) => `o.${quote(name)} = ${alias}.${quote(name)}`).join(' AND ')}${unit.hasDeletedAt ? ' AND o.deleted_at IS NULL' : ''})`
    : '';
  const own = `${isOwn(unit, alias)}${elsewhere}`;
  if (!side.partial) return own;
  switch (unit.kind) {
    case 'history':
      return 'false';
    case 'contribution':
      return `(${own} AND ${wasReplayed(unit, side, alias)})`;
    case 'merged': {
      // Folded merge keys were locked before; no others are.
      const folded = `m.aggregate = ${literal(unit.aggregate!.name)} AND m.merge_key = ${alias}.${quote(unit.aggregate!.keyColumn)}`;
      return `(${own} AND EXISTS (SELECT FROM ${inShadow('merge_key', side)} m WHERE ${folded}))`;
    }
    default:
      return `(${own} AND ${alias}.legacy_table IN ${oneOf(unit.sources.keys())} AND ${wasReplayed(unit, side, alias)} AND NOT ${isFailing(unit, side, alias)})`;
  }
}

/** Whether changes of the row's legacy key are parked or dead letters in the shadow. Its last good version may then be one that was not replayed. */
function isFailing(unit: Unit, side: Side, alias: string): string {
  const of = `f.projection = ${literal(unit.projection)} AND f.legacy_key = ${alias}.legacy_key`;
  return `(EXISTS (SELECT FROM ${inShadow('parked_change', side)} f WHERE ${of}) OR EXISTS (SELECT FROM ${inShadow('dead_letter', side)} f WHERE ${of} AND f.resolved_at IS NULL))`;
}

const present = (alias: string, { keys }: Unit) => `${alias}.${quote(keys[0]!.name)} IS NOT NULL`;

/** The compared columns as a row. */
const compared = (alias: string, columns: readonly Column[]) =>
  `(${columns.map(({ name, type }) => comparable(alias, name, type)).join(', ')})`;

/** Whether a row of the shadow (s) and one of the live tables (l) differ, and how. Either may be missing. */
function difference(unit: Unit, of: Side): { kind: string; condition: string } {
  const hasOrigin = isProjected(unit);
  const isDeleted = unit.hasDeletedAt ? 'l.deleted_at IS NOT NULL' : 'false';
  const isOfApp = hasOrigin ? `l.origin <> 'cdc'` : 'false';
  const differs = `${compared('l', unit.compared)} IS DISTINCT FROM ${compared('s', unit.compared)}`;
  return {
    kind: `CASE WHEN NOT ${present('s', unit)} THEN 'remove' WHEN NOT ${present('l', unit)} THEN 'add' WHEN ${isOfApp} THEN 'app' WHEN ${isDeleted} THEN 'add' ELSE 'change' END`,
    condition: `CASE WHEN ${present('s', unit)} THEN NOT ${present('l', unit)} OR ${isOfApp} OR ${isDeleted} OR ${differs} ELSE ${isRemovable(unit, of, 'l')} END`,
  };
}

/** Finds and records all differences of a unit; $1 is the round. Reads both tables in full. */
export function compareAllSql(unit: Unit, of: Side): string {
  const { kind, condition } = difference(unit, of);
  const joined = unit.keys.map(({ name }) => `l.${quote(name)} = s.${quote(name)}`).join(' AND ');
  return `INSERT INTO ${inShadow('difference', of)} (round, unit, row_key, kind)
    SELECT $1, ${unit.number}, CASE WHEN ${present('s', unit)} THEN ${rowKey('s', unit.keys)} ELSE ${rowKey('l', unit.keys)} END, ${kind}
    FROM ${shadowRows(unit, of)} s FULL JOIN ${liveTable(unit)} l ON ${joined} WHERE ${condition}`;
}

/**
 * Finds and records the differences of rows that may differ by now: those that differed in the previous round ($1 is this round), and those of legacy
 * rows changed since. $2: values of `sinceColumn`. Rows are looked up one by one.
 */
export function compareAgainSql(unit: Unit, of: Side): string {
  const { kind, condition } = difference(unit, of);
  const since = (table: string, alias: string, sql: string) =>
    `SELECT ${rowKey(alias, unit.keys)} AS row_key FROM ${table} ${alias} WHERE ${sql}`;
  return `WITH candidate AS MATERIALIZED (
      SELECT row_key FROM ${inShadow('difference', of)} WHERE round = $1 - 1 AND unit = ${unit.number}
      UNION ${since(shadowTable(unit, of), 'x', changedSince(unit, 'x', false))}
      UNION ${since(liveTable(unit), 'x', changedSince(unit, 'x', true))})
    INSERT INTO ${inShadow('difference', of)} (round, unit, row_key, kind)
    SELECT $1, ${unit.number}, c.row_key, ${kind} FROM candidate c
    LEFT JOIN ${shadowRows(unit, of)} s ON ${sameKey('s', unit.keys, 'c.row_key')}
    LEFT JOIN ${liveTable(unit)} l ON ${sameKey('l', unit.keys, 'c.row_key')} WHERE ${condition}`;
}

/** The column whose values $2 of `compareAgainSql` lists: the scope column, merge key or legacy key. */
export function sinceColumn({ kind, scope, aggregate }: Unit): Column {
  if (kind === 'merged') return { name: aggregate!.keyColumn, type: 'uuid' };
  return scope === null ? { name: 'legacy_key', type: 'text' } : scope.column;
}

function changedSince(unit: Unit, alias: string, isLive: boolean): string {
  const { name, type } = sinceColumn(unit);
  const listed = `${alias}.${quote(name)} = ANY ($2::text[]::${type}[])`;
  switch (unit.kind) {
    case 'contribution':
      // Uses the index of each side.
      return `${alias}.aggregate = ${literal(unit.aggregate!.name)} AND ${alias}.legacy_table IN ${oneOf(unit.sources.keys())} AND ${listed}${isLive ? ` AND ${alias}.live` : ''}`;
    case 'state':
      return `${alias}.projection = ${literal(unit.projection)} AND ${listed}`;
    case 'history':
      return `${alias}.legacy_table IN ${oneOf(unit.sources.keys())} AND ${listed}`;
    default:
      return listed;
  }
}

/** Merge keys of an aggregate that legacy rows contribute to, or did. $1: legacy keys, $2: their legacy table. */
export function touchedMergeKeysSql(aggregate: string, of: Side): string {
  return `SELECT merge_key FROM ${inShadow('contribution', of)} WHERE aggregate = ${literal(aggregate)} AND legacy_table = $2 AND legacy_key = ANY ($1)
    UNION SELECT merge_key FROM crosswalk.contribution WHERE aggregate = ${literal(aggregate)} AND legacy_table = $2 AND legacy_key = ANY ($1) AND live`;
}

/** Differences of a unit in a round ($1) with both rows: `d`, `s` (also if deleted) and `l`. */
export function differencesFrom(unit: Unit, of: Side, rest = ''): string {
  return `(SELECT * FROM ${inShadow('difference', of)} WHERE round = $1 AND unit = ${unit.number}${rest}) d
    LEFT JOIN ${shadowTable(unit, of)} s ON ${sameKey('s', unit.keys, 'd.row_key')}
    LEFT JOIN ${liveTable(unit)} l ON ${sameKey('l', unit.keys, 'd.row_key')}`;
}

const finite = (value: string) => `${value} NOT IN ('NaN', 'Infinity', '-Infinity')`;

/** Numeric columns of a unit's rows: the amounts. */
export function amountsOf(unit: Unit): string[] {
  return isProjected(unit) ? unit.compared.filter(({ type }) => /^numeric/.test(type)).map(({ name }) => name) : [];
}

/** One row: number of rows of the unit, then the sums before and after for each of `amountsOf`, finite values only. */
export function sumsSql(unit: Unit, of: Side): string {
  const amounts = amountsOf(unit).map(quote);
  const before = amounts.map(
    (name, at) => `coalesce(sum(l.${name}) FILTER (WHERE ${finite(`l.${name}`)}), 0) AS a${at}`,
  );
  const delta = amounts.map(
    (name, at) =>
      `coalesce(sum(s.${name}) FILTER (WHERE d.kind IN ('add', 'change') AND ${finite(`s.${name}`)}), 0)
       - coalesce(sum(l.${name}) FILTER (WHERE d.kind IN ('change', 'remove') AND ${finite(`l.${name}`)}), 0) AS a${at}`,
  );
  const sums = amounts.flatMap((_, at) => [`trim_scale(b.a${at})::text`, `trim_scale(b.a${at} + d.a${at})::text`]);
  return `SELECT b.count::text AS count, json_build_array(${sums.join(', ')})::text AS sums
    FROM (SELECT ${['count(*) AS count', ...before].join(', ')} FROM ${liveTable(unit)} l WHERE ${isOwn(unit, 'l')}) b,
      (SELECT ${['count(*) AS differing', ...delta].join(', ')} FROM ${differencesFrom(unit, of)}) d`;
}

/** One row: for each compared column, the number of changed rows in which it differs. $1 is the round. */
export function columnCountsSql(unit: Unit, of: Side): string {
  const counts = unit.compared.map(
    ({ name, type }) =>
      `count(*) FILTER (WHERE ${comparable('l', name, type)} IS DISTINCT FROM ${comparable('s', name, type)})`,
  );
  return `SELECT json_build_array(${counts.join(', ')})::text AS counts FROM ${differencesFrom(unit, of)} WHERE d.kind = 'change'`;
}

/** The first $2 differing rows of round $1, with one line per column for changed rows. */
export function examplesSql(unit: Unit, of: Side): string {
  const cells = unit.compared.map(({ name, type }) => {
    const differs = `${comparable('l', name, type)} IS DISTINCT FROM ${comparable('s', name, type)}`;
    return `(${literal(name)}, l.${quote(name)}::text, s.${quote(name)}::text, ${differs})`;
  });
  const first = ` AND kind <> 'app' ORDER BY row_key LIMIT $2`;
  return `SELECT d.row_key, d.kind, coalesce(s.legacy_key, l.legacy_key) AS legacy_key, c.name AS column, c.before, c.after
    FROM ${differencesFrom(unit, of, first)}
    LEFT JOIN LATERAL (VALUES ${cells.join(', ')}) AS c (name, before, after, differs) ON d.kind = 'change' AND c.differs ORDER BY d.row_key, c.name`;
}

/** Number of rows to write whose unique value a live row holds that stays unchanged. `units`: numbers of all units of the table. $1 is the round. */
export function conflictsSql(
  unit: Unit,
  of: Side,
  unique: { readonly columns: readonly string[]; readonly where: string | null },
  units: readonly number[],
): string {
  const where = unique.where === null ? 'true' : `(${unique.where})`;
  const same = unique.columns.map((name) => `x.${quote(name)} = s.${quote(name)}`).join(' AND ');
  const id = unit.keys[0]!.name;
  return `SELECT count(*)::text AS count, to_json((array_agg(s.legacy_key ORDER BY s.legacy_key))[1:5])::text AS keys
    FROM (SELECT * FROM (SELECT s.* FROM ${differencesFrom(unit, of)} WHERE d.kind IN ('add', 'change')) q WHERE ${where}) s
    JOIN (SELECT * FROM ${liveTable(unit)} WHERE ${where}) x ON ${same} AND x.${quote(id)} <> s.${quote(id)}
    WHERE NOT EXISTS (SELECT FROM ${inShadow('difference', of)} o WHERE o.round = $1 AND o.unit IN (${units.join(', ')}) AND o.kind IN ('change', 'remove')
      AND o.row_key = ${rowKey('x', unit.keys)})`;
}
