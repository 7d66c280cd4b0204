import type pg from 'pg';
import type { SourceChange } from '../source-change.ts';
import type { Blocked } from './isolate.ts';
import { COLUMN_TYPES, COLUMNS, inStatements, toColumns, unnest } from './kept-records.ts';

/**
 * Returns which of the legacy keys have parked changes, and which have open dead letters. Must be read after the offsets are locked, so that it sees the commits of the
 * previous lock holder.
 */
export async function readHeldKeys(
  client: pg.ClientBase,
  projection: string,
  legacyKeys: readonly string[],
): Promise<{ parked: Set<string>; dead: Set<string> }> {
  const { rows } = await client.query<{ legacy_key: string; kind: string }>({
    name: 'crosswalk read held keys',
    text: `SELECT DISTINCT legacy_key, 'parked' AS kind FROM parked_change WHERE projection = $1 AND legacy_key = ANY ($2)
     UNION ALL SELECT DISTINCT legacy_key, 'dead' FROM dead_letter WHERE projection = $1 AND resolved_at IS NULL AND legacy_key = ANY ($2)`,
    values: [projection, legacyKeys],
  });
  const keys = (kind: string) => new Set(rows.filter((row) => row.kind === kind).map((row) => row.legacy_key));
  return { parked: keys('parked'), dead: keys('dead') };
}

/** Parks changes: they and every later change of the same legacy key wait, while their partition continues. */
export async function parkChanges(
  client: pg.ClientBase,
  projection: string,
  waiting: readonly { readonly change: SourceChange; readonly reason: string }[],
): Promise<void> {
  for (const some of inStatements(waiting, ({ change }) => change)) {
    await client.query({
      name: 'crosswalk park changes',
      text: `INSERT INTO parked_change (projection, ${COLUMNS}, reason, repair) SELECT $1, * FROM ${unnest(2, [...COLUMN_TYPES, 'text', 'jsonb'])} ON CONFLICT DO NOTHING`,
      values: [
        projection,
        ...toColumns(some.map(({ change }) => change)),
        some.map(({ reason }) => reason),
        some.map(({ change: { repair } }) => (repair === null ? null : JSON.stringify(repair))),
      ],
    });
  }
}

export async function parkBlocked(
  client: pg.ClientBase,
  projection: string,
  blocked: readonly Blocked[],
): Promise<void> {
  await parkChanges(
    client,
    projection,
    blocked.flatMap(({ row, reason }) => row.changes.map((change) => ({ change, reason }))),
  );
}
