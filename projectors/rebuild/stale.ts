import type pg from 'pg';
import { inShadow, type Side, wasReplayed } from './compare-sql.ts';
import type { Failure } from './report.ts';
import type { Unit } from './units.ts';

/**
 * In a partial rebuild: legacy rows that were not replayed, but whose contributions to its merged rows have changed since it began, because a dead
 * letter was redriven or another rebuild was merged. Folds that used them are out of date.
 */
export async function readStale(client: pg.ClientBase, side: Side, units: readonly Unit[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  if (!side.partial) return failures;
  for (const unit of units.filter(({ kind }) => kind === 'contribution')) {
    const { name, needsHistory } = unit.aggregate!;
    const of = (table: string) =>
      `SELECT x.legacy_table, x.legacy_key, x.live, x.data FROM ${table} x WHERE x.merge_key = m.merge_key AND x.aggregate = m.aggregate${needsHistory ? '' : ' AND x.live'}`;
    const [shadow, live] = [of(inShadow('contribution', side)), of('crosswalk.contribution')];
    const { rows } = await client.query<{ count: string; keys: string | null }>(
      `SELECT count(DISTINCT (c.legacy_table, c.legacy_key))::text AS count, to_json((array_agg(DISTINCT c.legacy_key))[1:5])::text AS keys
       FROM ${inShadow('merge_key', side)} m CROSS JOIN LATERAL ((${shadow} EXCEPT ${live}) UNION ALL (${live} EXCEPT ${shadow})) c
       WHERE m.aggregate = $1 AND NOT ${wasReplayed(unit, side, 'c')}`,
      [name],
    );
    const count = Number(rows[0]!.count);
    const legacyKeys = JSON.parse(rows[0]!.keys ?? '[]') as string[];
    if (count > 0) failures.push({ projection: unit.projection, kind: 'stale', reason: name, count, legacyKeys });
  }
  return failures;
}
