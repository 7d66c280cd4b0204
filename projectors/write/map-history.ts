import type { History, NewRow, Tenants } from '../projection.ts';
import type { SourceChange } from '../source-change.ts';
import type { Defect } from './map-changes.ts';

/** One change of a legacy row as a history sees it. `before` undefined: known only from the last stored state. */
export interface HistoryStep {
  readonly change: SourceChange;
  readonly before: NewRow | null | undefined;
  readonly after: NewRow | null;
}

/** Returns the steps of one legacy key in the history of this name, oldest first. Pure. A read for a repair is not a step; an error of `stateOf` is a defect of its own change only. */
export function toHistorySteps(
  name: string,
  history: History,
  tenants: Tenants,
  group: readonly SourceChange[],
  defects: Defect[],
): HistoryStep[] {
  const steps: HistoryStep[] = [];
  for (const change of group) {
    if (change.repair !== null) continue;
    const unmappable = change.unmappable?.[name];
    if (unmappable !== undefined && change.after !== null) {
      defects.push({ change, reason: unmappable });
      continue;
    }
    try {
      const stateOf = (row: SourceChange['after']) => (row === null ? null : history.stateOf(row, tenants));
      // An update without its old row was too large for the log; a read never has an old row.
      const isKnown = change.op === 'c' || change.before !== null;
      const before = isKnown ? stateOf(change.before) : steps.at(-1)?.after;
      steps.push({ change, before, after: stateOf(change.after) });
    } catch (error) {
      defects.push({ change, reason: `history threw ${error instanceof Error ? error.name : typeof error}` });
    }
  }
  return steps;
}

/** Whether two states are equal in every cell. */
export function isSameState(a: NewRow | null, b: NewRow | null): boolean {
  if (a === null || b === null) return a === b;
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => (a[name] ?? null) === (b[name] ?? null));
}
