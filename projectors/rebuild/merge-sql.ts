import { quoteIdent as quote } from '../../schemas/quote.ts';
import { differencesFrom, isProjected, liveTable, type Side, shadowTable } from './compare-sql.ts';
import type { Unit } from './units.ts';

const listed = (kinds: readonly string[]) => kinds.map((kind) => `'${kind}'`).join(', ');

/** Rows of the application are never touched, whatever their id. */
const isOurs = (unit: Unit, alias: string) => (isProjected(unit) ? ` AND ${alias}.origin = 'cdc'` : '');
const byKey = (unit: Unit, a: string, b: string) =>
  unit.keys.map(({ name }) => `${a}.${quote(name)} = ${b}.${quote(name)}`).join(' AND ');
const isThere = (unit: Unit, alias: string) => `${alias}.${quote(unit.keys[0]!.name)} IS NOT NULL`;

/** Whether removed rows of the unit are physically deleted. */
function isDeleted({ kind, hasDeletedAt }: Unit): boolean {
  return kind !== 'state' && !hasDeletedAt;
}

/** Deletes removed rows physically; null if the unit never does. Retired contributions are written by `updateSql`. $1 is the round. */
export function deleteSql(unit: Unit, side: Side): string | null {
  if (!isDeleted(unit)) return null;
  const retires = unit.kind === 'contribution' ? ` AND NOT ${isThere(unit, 's')}` : '';
  return `DELETE FROM ${liveTable(unit)} t USING (SELECT l.* FROM ${differencesFrom(unit, side)} WHERE d.kind = 'remove'${retires} AND ${isThere(unit, 'l')}) l
    WHERE ${byKey(unit, 't', 'l')}${isOurs(unit, 't')}`;
}

/** Soft-deletes removed rows that the shadow does not know; null if the table has no deleted_at. */
export function softDeleteSql(unit: Unit, side: Side): string | null {
  if (!unit.hasDeletedAt) return null;
  return `UPDATE ${liveTable(unit)} t SET deleted_at = now() FROM (SELECT l.* FROM ${differencesFrom(unit, side)}
      WHERE d.kind = 'remove' AND NOT ${isThere(unit, 's')} AND ${isThere(unit, 'l')}) l
    WHERE ${byKey(unit, 't', 'l')}${isOurs(unit, 't')}`;
}

/** Updates existing rows to the shadow's version: rows that change, come back, or are deleted there. */
export function updateSql(unit: Unit, side: Side): string {
  const keys = new Set(unit.keys.map(({ name }) => name));
  const set = unit.written.filter((name) => !keys.has(name)).map((name) => `${quote(name)} = s.${quote(name)}`);
  const kinds = isDeleted(unit) && unit.kind !== 'contribution' ? ['add', 'change'] : ['add', 'change', 'remove'];
  return `UPDATE ${liveTable(unit)} t SET ${set.join(', ')} FROM (SELECT s.* FROM ${differencesFrom(unit, side)}
      WHERE d.kind IN (${listed(kinds)}) AND ${isThere(unit, 's')} AND ${isThere(unit, 'l')}) s
    WHERE ${byKey(unit, 't', 's')}${isOurs(unit, 't')}`;
}

/** Inserts rows that do not exist. */
export function insertSql(unit: Unit, side: Side): string {
  const origin = isProjected(unit);
  const columns = unit.written.map(quote);
  return `INSERT INTO ${liveTable(unit)} (${[...columns, ...(origin ? ['origin'] : [])].join(', ')})
    SELECT ${[...columns.map((name) => `s.${name}`), ...(origin ? [`'cdc'`] : [])].join(', ')}
    FROM (SELECT s.* FROM ${differencesFrom(unit, side)} WHERE d.kind = 'add' AND ${isThere(unit, 's')} AND NOT ${isThere(unit, 'l')}) s`;
}

/** Inserts the merge keys of a unit's table, so that later merges lock them as usual. */
export function mergeKeysSql(unit: Unit, side: Side): string {
  return `INSERT INTO crosswalk.merge_key (aggregate, merge_key) SELECT DISTINCT s.aggregate, s.merge_key FROM ${differencesFrom(unit, side)}
    JOIN ${shadowTable(unit, side)} x ON ${byKey(unit, 'x', 's')} WHERE d.kind IN ('add', 'change') ON CONFLICT DO NOTHING`;
}

/** Resets the front of merge keys with a written contribution: the next change determines again, from all contributions, which of them the fold needs. $1 is the round. */
export function forgetFrontsSql(unit: Unit, side: Side): string {
  return `UPDATE crosswalk.merge_key m SET front_version = NULL FROM (SELECT DISTINCT coalesce(s.aggregate, l.aggregate) AS aggregate, coalesce(s.merge_key, l.merge_key) AS merge_key
      FROM ${differencesFrom(unit, side)}) d WHERE m.aggregate = d.aggregate AND m.merge_key = d.merge_key AND m.front_version IS NOT NULL`;
}

/** Tables in insert order: each after the tables that its rows reference immediately. Deferred references do not count. Within a cycle the given order decides. */
export function parentsFirst(
  tables: readonly string[],
  references: readonly { readonly child: string; readonly parent: string }[],
): string[] {
  const ordered: string[] = [];
  const left = [...tables];
  while (left.length > 0) {
    const isFree = (table: string) =>
      references.every(({ child, parent }) => child !== table || parent === table || !left.includes(parent));
    const next = left.find(isFree) ?? left[0]!;
    left.splice(left.indexOf(next), 1);
    ordered.push(next);
  }
  return ordered;
}
