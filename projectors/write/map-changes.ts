import type { History, Implied, Projection, Tenants } from '../projection.ts';
import { byLegacyKey, type SourceChange } from '../source-change.ts';
import type { MappedRow } from './apply.ts';
import { toHistorySteps } from './map-history.ts';

/** A change that a projection cannot apply. `reason` names the kind of defect, never a value. */
export interface Defect {
  readonly change: SourceChange;
  readonly reason: string;
}

const NOTHING: Implied = { rows: {}, contributions: [] };

/** Maps the changes of a batch by legacy key. Pure. The last change decides. If it cannot be mapped, the last one before it that can decides, and those after that are defects. */
export function mapChanges(
  projection: Projection,
  tenants: Tenants,
  changes: readonly SourceChange[],
): { rows: MappedRow[]; defects: Defect[] } {
  const rows: MappedRow[] = [];
  const defects: Defect[] = [];
  for (const group of byLegacyKey(changes).values()) {
    const row = mapGroup(projection, tenants, group, defects);
    if (row !== null) rows.push(row);
  }
  return { rows, defects };
}

/** Maps the changes of one legacy key; null if none of them can be mapped. */
export function mapGroup(
  projection: Projection,
  tenants: Tenants,
  group: readonly SourceChange[],
  defects: Defect[],
): MappedRow | null {
  if (projection.history !== undefined) return mapHistory(projection.name, projection.history, tenants, group, defects);
  const withHistory = new Set(
    projection.aggregates.filter((aggregate) => aggregate.needsHistory).map((aggregate) => aggregate.name),
  );
  for (let index = group.length - 1; index >= 0; index--) {
    const change = group[index]!;
    const implied = tryMap(projection, tenants, change, defects);
    if (implied === null) continue;
    const passed =
      withHistory.size === 0
        ? []
        : group.slice(0, index).flatMap((earlier) => {
            const contributions = tryMap(projection, tenants, earlier, defects)?.contributions ?? [];
            return contributions
              .filter((contribution) => withHistory.has(contribution.aggregate))
              .map((contribution) => ({ ...contribution, lineage: earlier.lineage }));
          });
    return {
      legacyKey: change.legacyKey,
      implied,
      lineage: change.lineage,
      passed,
      changes: group.slice(0, index + 1),
      steps: [],
    };
  }
  return null;
}

/** In a history every change counts, and a defect affects only its own change. */
function mapHistory(
  name: string,
  history: History,
  tenants: Tenants,
  group: readonly SourceChange[],
  defects: Defect[],
): MappedRow | null {
  const known = defects.length;
  const steps = toHistorySteps(name, history, tenants, group, defects);
  const failed = new Set(defects.slice(known).map(({ change }) => change));
  const changes = group.filter((change) => !failed.has(change));
  const last = changes.at(-1);
  if (last === undefined) return null;
  return { legacyKey: last.legacyKey, implied: NOTHING, lineage: last.lineage, passed: [], changes, steps };
}

function tryMap(projection: Projection, tenants: Tenants, change: SourceChange, defects: Defect[]): Implied | null {
  if (change.after === null) return NOTHING;
  const unmappable = change.unmappable?.[projection.name];
  if (unmappable !== undefined) {
    defects.push({ change, reason: unmappable });
    return null;
  }
  try {
    return projection.map(change.after, tenants);
  } catch (error) {
    // The message of another library's error may quote a value.
    defects.push({ change, reason: `map threw ${error instanceof Error ? error.name : typeof error}` });
    return null;
  }
}
