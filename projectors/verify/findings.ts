import type { Cell, LegacyRow } from '../projection.ts';
import type { RowResult } from './compare-key.ts';
import { CONTRIBUTION, type Expected, type MergedPlan, type Plan, tenantOf } from './plan.ts';
import type { Difference } from './run-store.ts';
import type { Tally } from './tally.ts';

/** Characters kept of a value in a difference. */
const KEPT_CHARACTERS = 2000;
/** Name of the sums over legacy totals. */
export const LEGACY_TOTAL = 'legacy total';
/** Name of the row counts that totals refer to: rows that were compared and settled, as for the totals. */
export const COUNTED_ROWS = 'counted rows';
/** Maximum number of unmappable rows named. */
const MOST_UNMAPPABLE = 1000;

/** A legacy row that cannot be compared: its projection throws, or it is too large to read. */
export interface Unmappable {
  readonly projection: string;
  readonly legacyKey: string;
  readonly reason?: 'too large';
}

/** What a legacy row adds to counts and sums if all its rows are as expected. Small enough to keep for all rows of a chunk until that is known. */
export interface Figures {
  /** Row counts by table and tenant, as triples: position of the owned table (contributions come last), tenant, number of rows. */
  readonly counts: readonly (number | string)[];
  /** Numeric cells, ordered by owned table, numeric column and row. */
  readonly numbers: readonly Cell[];
  /** Cells for the totals of its legacy table, in their order. */
  readonly totals: readonly Cell[];
}

/** Returns the figures of a legacy row. */
export function toFigures({ owned, totals }: Plan, { rows, contributions }: Expected, row: LegacyRow): Figures {
  const counts: (number | string)[] = [];
  const numbers: Cell[] = [];
  const count = (at: number, tenant: string) => {
    const last = counts.length - 3;
    if (last >= 0 && counts[last] === at && counts[last + 1] === tenant)
      counts[last + 2] = Number(counts[last + 2]) + 1;
    else counts.push(at, tenant, 1);
  };
  for (let at = 0; at < owned.length; at += 1) {
    const { tenantAt, numericAt } = owned[at]!;
    for (const cells of rows[at]!) count(at, tenantOf(cells, tenantAt));
    for (const place of numericAt) for (const cells of rows[at]!) numbers.push(cells[place]!);
  }
  for (const { data } of contributions) count(owned.length, data.tenant_id ?? '');
  return { counts, numbers, totals: totals.map(({ of }) => of(row)) };
}

/** Findings of a run since the last save. */
export interface Findings {
  readonly tally: Tally;
  readonly unmappable: readonly Unmappable[];
  /** A legacy row whose rows are all as expected. */
  addEqual(plan: Plan, figures: Figures): void;
  /** A merged row that is as expected. */
  addEqualRow(
    of: Pick<MergedPlan['targets'][number], 'table' | 'columns' | 'tenantAt' | 'numericAt'>,
    cells: readonly Cell[],
  ): void;
  /** The rows of a legacy key that was checked until it settled or was given up. */
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
  /** A single row. */
  addRow(result: RowResult, of: Pick<Difference, 'legacyTable' | 'legacyKey' | 'explained'>, isSettled: boolean): void;
  /** A row that cannot be compared counts as unsettled. `tenant`: null if unknown. */
  addUnmappable(plan: Plan, legacyKey: string, tenant: string | null, reason?: Unmappable['reason']): void;
  takeDifferences(): Difference[];
  /** Puts back what was taken and could not be saved. */
  putBack(differences: readonly Difference[]): void;
}

export function createFindings(tally: Tally, unmappableBefore: Findings['unmappable']): Findings {
  let differences: Difference[] = [];
  const unmappable = [...unmappableBefore];

  const addTotals = (plan: Plan, cells: readonly Cell[]) => {
    for (const [at, { name }] of plan.totals.entries()) tally.sum(LEGACY_TOTAL, name, 'expected', cells[at]!);
  };

  const addNumbers = ({ table, kind, numbers }: RowResult) => {
    if (kind !== 'missing') tally.sum(COUNTED_ROWS, table, 'actual', '1');
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
    addEqual(plan, { counts, numbers, totals }) {
      for (let at = 0; at < counts.length; at += 3) {
        const table = plan.owned[counts[at] as number]?.target.table ?? CONTRIBUTION;
        tally.countEqual(table, counts[at + 1] as string, counts[at + 2] as number);
      }
      let next = 0;
      for (const [at, { target, columns, numericAt }] of plan.owned.entries()) {
        const rows = rowsOf(counts, at);
        if (plan.totals.some((total) => total.column === null && total.table === target.table))
          tally.sum(COUNTED_ROWS, target.table, 'actual', String(rows));
        for (const place of numericAt)
          for (const end = next + rows; next < end; next += 1)
            tally.sum(target.table, columns[place]!, 'both', numbers[next]!);
      }
      addTotals(plan, totals);
    },
    addEqualRow({ table, columns, tenantAt, numericAt }, cells) {
      tally.countEqual(table, tenantOf(cells, tenantAt), 1);
      for (const at of numericAt) tally.sum(table, columns[at]!, 'both', cells[at]!);
    },
    addSettled({ plan, legacyKey, row, explained }, results, isSettled) {
      const of = { legacyTable: plan.projection.source, legacyKey, explained };
      for (const result of results) addRow(result, of, isSettled);
      // The totals include either all of a legacy row or nothing.
      if (row !== null && isSettled)
        addTotals(
          plan,
          plan.totals.map((total) => total.of(row)),
        );
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

/** Number of rows of one owned table. */
function rowsOf(counts: Figures['counts'], table: number): number {
  let rows = 0;
  for (let at = 0; at < counts.length; at += 3) if (counts[at] === table) rows += counts[at + 2] as number;
  return rows;
}

/** One line for each cell that differs, or one for the whole row. */
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
