import type pg from 'pg';
import { reach } from '../../runtime/faults.ts';
import { compareAgain, readFailures } from './compare.ts';
import { isProjected, type Side } from './compare-sql.ts';
import { isNewlyOpen, isNoLongerOpen, isNoLongerWaiting } from './held.ts';
import {
  deleteSql,
  forgetFrontsSql,
  insertSql,
  mergeKeysSql,
  parentsFirst,
  softDeleteSql,
  updateSql,
} from './merge-sql.ts';
import type { Failure } from './report.ts';
import { readStale } from './stale.ts';
import type { Unit } from './units.ts';

/** Rows written by table: added, changed and removed. */
export type Merged = Readonly<Record<string, { added: number; changed: number; removed: number }>>;

/** Maximum wait for a row lock before the merge fails: projectors wait meanwhile. */
const LOCK_TIMEOUT = '5s';

/**
 * Merges the differences into the live tables in the caller's transaction, which holds the live offsets, and commits it. First compares again what may
 * have changed since `round`. Returns either new failures, having changed nothing, or what was written.
 */
export async function merge(
  client: pg.ClientBase,
  side: Side,
  units: readonly Unit[],
  options: { readonly name: string; readonly projections: readonly string[]; readonly round: number },
): Promise<{ failures: readonly Failure[] } | { merged: Merged }> {
  await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'; SET CONSTRAINTS ALL DEFERRED`);
  const failures = [...(await readFailures(client, side)), ...(await readStale(client, side, units))];
  if (failures.length > 0) return { failures };
  const differing = await compareAgain(client, side, units, options.round);

  const written = await writeRows(client, side, await inOrder(client, differing), options.round + 1);
  await replaceHeld(client, side, options);
  await client.query(`UPDATE ${side.shadow}.rebuild SET merged_at = now()`);
  // A refused row must fail here, where it can be named, not at commit.
  await client.query('SET CONSTRAINTS ALL IMMEDIATE');
  await reach?.('rebuild_merge.before');
  await client.query('COMMIT');
  await reach?.('rebuild_merge.after');
  return { merged: written };
}

/** State before visible rows, then tables in the order of their references. */
async function inOrder(client: pg.ClientBase, units: readonly Unit[]): Promise<Unit[]> {
  const tables = [...new Set(units.filter(isProjected).map(({ table }) => table))];
  const { rows: references } = await client.query<{ child: string; parent: string }>(
    `SELECT c.relname AS child, p.relname AS parent FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace AND n.oid = p.relnamespace
     WHERE f.contype = 'f' AND NOT f.condeferrable AND n.nspname = ANY ($1)`,
    [[...new Set(units.filter(isProjected).map(({ schema }) => schema))]],
  );
  const order = parentsFirst(tables, references);
  return units.toSorted((a, b) => order.indexOf(a.table) - order.indexOf(b.table));
}

/** Deletes children first, inserts parents first. */
async function writeRows(client: pg.ClientBase, side: Side, units: readonly Unit[], round: number): Promise<Merged> {
  const tables: Record<string, { added: number; changed: number; removed: number }> = {};
  const run = async (unit: Unit, what: 'added' | 'changed' | 'removed', sql: string | null) => {
    if (sql === null) return;
    const { rowCount } = await client.query(sql, [round]);
    tables[unit.table] ??= { added: 0, changed: 0, removed: 0 };
    tables[unit.table]![what] += rowCount ?? 0;
  };
  for (const unit of units) if (unit.kind === 'contribution') await client.query(forgetFrontsSql(unit, side), [round]);
  for (const unit of units.toReversed()) await run(unit, 'removed', deleteSql(unit, side));
  for (const unit of units) await run(unit, 'removed', softDeleteSql(unit, side));
  for (const unit of units) {
    if (unit.kind === 'contribution') await client.query(mergeKeysSql(unit, side), [round]);
    await run(unit, 'changed', updateSql(unit, side));
    await run(unit, 'added', insertSql(unit, side));
  }
  return tables;
}

/**
 * Replaces parked changes and open dead letters with those of the shadow; in a partial rebuild, only those of replayed legacy rows. Resolved and
 * discarded dead letters stay as they are.
 */
async function replaceHeld(
  client: pg.ClientBase,
  side: Side,
  { name, projections }: { readonly name: string; readonly projections: readonly string[] },
): Promise<void> {
  const { shadow } = side;
  const own = 'x.projection = ANY ($1)';
  // No parked changes are added: changes parked only in the shadow prevent a merge.
  await client.query(`DELETE FROM crosswalk.parked_change x WHERE ${own} AND ${isNoLongerWaiting('x', side)}`, [
    projections,
  ]);
  await client.query(
    `UPDATE crosswalk.dead_letter x SET resolved_at = now(), resolution = $2 WHERE ${own} AND ${isNoLongerOpen('x', side)}`,
    [projections, `rebuilt by ${name}`],
  );
  await client.query(
    `INSERT INTO crosswalk.dead_letter SELECT * FROM ${shadow}.dead_letter x WHERE ${own} AND ${isNewlyOpen('x')}`,
    [projections],
  );
}
