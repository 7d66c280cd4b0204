import type { Cell, LegacyRow } from '../projection.ts';
import { legacyTotals } from './checks.ts';
import type { RowResult } from './compare-key.ts';
import { CONTRIBUTION, type Expected, type Plan, tenantOf } from './plan.ts';
import type { Difference } from './run-store.ts';
import type { Tally } from './tally.ts';

/** Characters of a value that are kept of a difference. */
const KEPT_CHARACTERS = 2000;
/** Name under which totals of the legacy rows are summed. */
export const LEGACY_TOTAL = 'legacy total';
/** Rows that cannot be mapped are named up to so many. */
const MOST_UNMAPPABLE = 1000;

/** A legacy row that nothing can be compared with: its projection throws, or it is larger than what can be read of it. */
export interface Unmappable {
  readonly projection: string;
  readonly legacyKey: string;
  readonly reason?: 'too large';
}

/** What a run has found since it was last saved. */
export interface Findings {
  readonly tally: Tally;
  readonly unmappable: readonly Unmappable[];
  /** A legacy row whose rows are all as expected. */
  addEqual(plan: Plan, expected: Expected, row: LegacyRow): void;
  /** The rows of a legacy key, looked at until it was clear what they are, or until that was given up. */
  addSettled(
    of: {
      readonly plan: Plan;
      readonly legacyKey: string;
      readonly row: LegacyRow | null;
      readonly explained: Difference['explained'];
    },
    results: readonly RowResult[],
    isSettled: boolean,
  ): void;
  /** One row by itself. */
  addRow(result: RowResult, of: Pick<Difference, 'legacyTable' | 'legacyKey' | 'explained'>, isSettled: boolean): void;
  /** What cannot be compared is not settled: `tenant` null where nobody knows whose it is. */
  addUnmappable(plan: Plan, legacyKey: string, tenant: string | null, reason?: Unmappable['reason']): void;
  takeDifferences(): Difference[];
  /** Takes back what was taken and could not be saved. */
  putBack(differences: readonly Difference[]): void;
}

export function createFindings(tally: Tally, unmappableBefore: Findings['unmappable']): Findings {
  let differences: Difference[] = [];
  const unmappable = [...unmappableBefore];

  const addTotals = (plan: Plan, row: LegacyRow) => {
    for (const total of legacyTotals) {
      if (total.source === plan.projection.source) tally.sum(LEGACY_TOTAL, total.name, 'expected', total.of(row));
    }
  };

  const addNumbers = ({ table, numbers }: RowResult) => {
    for (const { column, expected, actual } of numbers) {
      tally.sum(table, column, 'expected', expected);
      tally.sum(table, column, 'actual', actual);
    }
  };

  const addRow: Findings['addRow'] = (result, of, isSettled) => {
    const { table, tenant, kind } = result;
    if (isSettled) addNumbers(result);
    if (kind !== 'equal' && !isSettled) {
      tally.count(table, tenant, {
        expected: kind === 'extra' ? 0 : 1,
        actual: kind === 'missing' ? 0 : 1,
        unsettled: 1,
      });
      differences.push(...toLines({ ...result, cells: [] }, of, 'unsettled'));
      return;
    }
    tally.count(table, tenant, {
      expected: kind === 'extra' ? 0 : 1,
      actual: kind === 'missing' ? 0 : 1,
      missing: kind === 'missing' ? 1 : 0,
      extra: kind === 'extra' ? 1 : 0,
      differing: kind === 'differs' ? 1 : 0,
    });
    if (kind !== 'equal') differences.push(...toLines(result, of, kind));
  };

  return {
    tally,
    unmappable,
    addEqual(plan, expected, row) {
      for (const [at, { target, columns, tenantAt, numericAt }] of plan.owned.entries()) {
        const rows = expected.rows[at]!;
        for (let first = 0; first < rows.length; ) {
          const tenant = tenantOf(rows[first]!, tenantAt);
          let next = first + 1;
          while (next < rows.length && tenantOf(rows[next]!, tenantAt) === tenant) next += 1;
          tally.countEqual(target.table, tenant, next - first);
          first = next;
        }
        for (const place of numericAt)
          for (const cells of rows) tally.sum(target.table, columns[place]!, 'both', cells[place]!);
      }
      for (const { data } of expected.contributions) tally.countEqual(CONTRIBUTION, data.tenant_id ?? '', 1);
      addTotals(plan, row);
    },
    addSettled({ plan, legacyKey, row, explained }, results, isSettled) {
      const of = { legacyTable: plan.projection.source, legacyKey, explained };
      for (const result of results) addRow(result, of, isSettled);
      // Either all of a legacy row is in the totals, or nothing.
      if (row !== null && isSettled) addTotals(plan, row);
    },
    addRow,
    addUnmappable(plan, legacyKey, tenant, reason) {
      const table = plan.owned[0]?.target.table ?? plan.merged[0]!.targets[0]!.table;
      tally.count(table, tenant ?? '', { unsettled: 1 });
      const why = reason === undefined ? {} : { reason };
      if (unmappable.length < MOST_UNMAPPABLE) unmappable.push({ projection: plan.projection.name, legacyKey, ...why });
    },
    takeDifferences() {
      const taken = differences;
      differences = [];
      return taken;
    },
    putBack(taken) {
      differences = [...taken, ...differences];
    },
  };
}

/** A line for each cell that differs; one where the row itself does. */
function toLines(
  { table, id, tenant, cells, lineage, merged }: RowResult,
  of: Pick<Difference, 'legacyTable' | 'legacyKey' | 'explained'>,
  kind: Difference['kind'],
): Difference[] {
  const base = {
    ...{ table, id, tenant, kind, lineage, ...of },
    aggregate: merged?.aggregate ?? null,
    mergeKey: merged?.mergeKey ?? null,
  };
  const clip = (cell: Cell) => cell?.slice(0, KEPT_CHARACTERS) ?? null;
  if (cells.length === 0) return [{ ...base, column: null, expected: null, actual: null }];
  return cells.map(({ column, expected, actual }) => ({
    ...base,
    column,
    expected: clip(expected),
    actual: clip(actual),
  }));
}
