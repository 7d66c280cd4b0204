import type pg from 'pg';
import type { Aggregate, Projection } from '../projection.ts';
import type { Lineage, RepairHint } from '../source-change.ts';
import type { MappedRow } from './apply.ts';
import type { TargetShapes } from './catalog.ts';
import type { DesiredContributions, StoredContribution } from './contributions.ts';

/** Repair hints by legacy key; all of them if several changes of a row are repairs. A later change of the row counts as a repair, too. */
export function toRepairs(rows: readonly MappedRow[]): ReadonlyMap<string, readonly RepairHint[]> {
  const repairs = rows.map(({ legacyKey, changes }) => {
    const hints = changes.flatMap(({ repair }) => (repair === null ? [] : [repair]));
    return [legacyKey, hints] as const;
  });
  return new Map(repairs.filter(([, hints]) => hints.length > 0));
}

/**
 * Retracts projected rows that repairs name and that no legacy row implies. Only rows whose lineage names the legacy row of the repair can be retracted, and none that it
 * implies, so a repair request cannot affect other rows.
 */
export async function retractNamed(
  client: pg.ClientBase,
  projection: Projection,
  shapes: TargetShapes,
  rows: readonly MappedRow[],
  repairs: ReadonlyMap<string, readonly RepairHint[]>,
): Promise<void> {
  for (const { table, retract } of projection.owned) {
    const named = rows.flatMap(({ legacyKey, implied, lineage }) => {
      const ids = (repairs.get(legacyKey) ?? []).flatMap(({ rows: hinted }) => hinted?.[table] ?? []);
      const kept = new Set((implied.rows[table] ?? []).map(({ id }) => id));
      const { lsn, xid, committedAt } = lineage;
      return ids.filter((id) => !kept.has(id)).map((id) => [id, legacyKey, lsn, xid, committedAt]);
    });
    if (named.length === 0) continue;
    const shape = shapes.get(table)!;
    const of = `FROM jsonb_array_elements($3::jsonb) r
      WHERE t.id = (r->>0)::${shape.types.id} AND t.origin = 'cdc' AND t.legacy_table = $1 AND t.legacy_key = r->>1 AND $2::text IS NOT NULL`;
    await client.query(
      retract === 'delete'
        ? `DELETE FROM "${table}" t USING ${of.slice('FROM '.length)}`
        : `UPDATE "${table}" t SET deleted_at = (r->>4)::timestamptz, source_lsn = (r->>2)::pg_lsn, source_xid = (r->>3)::bigint, source_committed_at = (r->>4)::timestamptz, mapping_version = $2
           ${of} AND t.deleted_at IS NULL`,
      [projection.source, projection.version, JSON.stringify(named)],
    );
  }
}

/** The change that causes a merge key to be folded. Rows that the fold omits record it as their last writer. */
export interface FoldCause {
  readonly legacyKey: string;
  readonly lineage: Lineage;
}

/** Merge keys that repairs fold again, even if no contribution changes: those of the row's contributions, stored and desired, and those named by hints. */
export function toRefolds(
  aggregate: Aggregate,
  desired: readonly DesiredContributions[],
  stored: readonly StoredContribution[],
  repairs: ReadonlyMap<string, readonly RepairHint[]>,
): Map<string, FoldCause> {
  const refolds = new Map<string, FoldCause>();
  for (const { legacyKey, lineage, live } of desired) {
    const hints = repairs.get(legacyKey);
    if (hints === undefined) continue;
    const ofRow = stored.filter((contribution) => contribution.legacyKey === legacyKey);
    const hinted = hints.flatMap(({ refold }) => refold?.[aggregate.name] ?? []);
    for (const { mergeKey } of [...live, ...ofRow]) refolds.set(mergeKey, { legacyKey, lineage });
    for (const mergeKey of hinted) refolds.set(mergeKey, { legacyKey, lineage });
  }
  return refolds;
}
