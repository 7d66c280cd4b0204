import type { LegacyTotal } from '../pipeline.ts';
import type { Aggregate, Cell, Implied, LegacyRow, OwnedTarget, Projection, Tenants } from '../projection.ts';
import { toCells } from '../source-change.ts';
import { unassignedTenant } from '../values/cell.ts';
import { has } from '../values/text.ts';
import type { TargetShapes } from '../write/catalog.ts';
import type { TableShape } from '../write/statements.ts';

/** Table name used for contributions in counts and differences. */
export const CONTRIBUTION = 'contribution';

/** Name of a legacy row's contribution to a merge key. It includes the legacy table: keys of several tables may be the same text. */
export function toContributionName(
  { aggregate, mergeKey }: { readonly aggregate: string; readonly mergeKey: string },
  of: { readonly legacyTable: string; readonly legacyKey: string },
): string {
  return `${aggregate} ${mergeKey} ${of.legacyTable} ${of.legacyKey}`;
}

/** The rows of a table that one projection owns. */
export interface OwnedPlan {
  readonly target: OwnedTarget;
  readonly shape: TableShape;
  /** Compared columns, `id` first: those that the projection writes, and those that are null in all its rows. */
  readonly columns: readonly string[];
  readonly hasDeletedAt: boolean;
  readonly tenantAt: number;
  /** Positions of numeric columns. */
  readonly numericAt: readonly number[];
}

/** The tables of one aggregate. */
export interface MergedPlan {
  readonly aggregate: Aggregate;
  readonly targets: readonly {
    readonly table: string;
    readonly key: string;
    readonly columns: readonly string[];
    /** Legacy tables whose rows in this table do not come from the fold. */
    readonly ownedFrom: readonly string[];
    readonly shape: TableShape;
    readonly tenantAt: number;
    readonly numericAt: readonly number[];
  }[];
}

/** What is compared for one projection. */
export interface Plan {
  readonly projection: Projection;
  readonly owned: readonly OwnedPlan[];
  readonly merged: readonly MergedPlan[];
  /** Totals over its legacy rows. */
  readonly totals: readonly LegacyTotal[];
}

/** What one legacy row implies, in the order of a plan: cells of rows by owned table, and contributions. */
export interface Expected {
  readonly legacyKey: string;
  readonly rows: readonly (readonly (readonly Cell[])[])[];
  readonly contributions: Implied['contributions'];
}

/** Plans for the projections with a state. Projections with a history have none. */
export function toPlans(
  projections: readonly Projection[],
  shapes: TargetShapes,
  totals: readonly LegacyTotal[] = [],
): Plan[] {
  const states = projections.filter(({ history }) => history === undefined);
  // If several projections read a legacy table, one takes each total: the owner of the rows that it is compared with.
  const takerOf = ({ source, table }: LegacyTotal) => {
    const readers = states.filter((of) => of.source === source);
    return readers.find(({ owned }) => owned.some((target) => target.table === table)) ?? readers[0];
  };
  return states.map((projection) => ({
    projection,
    totals: totals.filter((total) => takerOf(total) === projection),
    owned: projection.owned.map((target) => {
      const shape = shapes.get(target.table)!;
      const columns = [...target.columns, ...(target.blank ?? [])];
      return { target, hasDeletedAt: 'deleted_at' in shape.types, ...describe(shape, columns) };
    }),
    merged: projection.aggregates.map((aggregate) => ({
      aggregate,
      targets: aggregate.targets.map(({ table, key, columns, ownedFrom = [] }) => ({
        table,
        key,
        ownedFrom,
        ...describe(shapes.get(table)!, columns),
      })),
    })),
  }));
}

function describe(shape: TableShape, columns: readonly string[]) {
  return {
    shape,
    columns,
    tenantAt: columns.indexOf('tenant_id'),
    numericAt: columns.flatMap((column, at) => (shape.types[column] === 'numeric' ? [at] : [])),
  };
}

/** Number of rows and contributions that a legacy row implies. */
export function countImplied({ rows, contributions }: Expected): number {
  return rows.reduce((sum, of) => sum + of.length, contributions.length);
}

/** Tenant of a legacy row as projections derive it; null if the projection names no tenant column. */
export function tenantOfLegacy({ projection }: Plan, row: LegacyRow): string | null {
  if (projection.tenant === undefined) return null;
  const cell = row[projection.tenant.column];
  return has(cell) ? cell : unassignedTenant;
}

/** All verified tables, in the order of the projections. */
export function verifiedTables(projections: readonly Projection[]): string[] {
  const tables = projections
    .filter(({ history }) => history === undefined)
    .flatMap(({ owned, aggregates }) => [
      ...aggregates.flatMap(({ targets }) => targets.map(({ table }) => table)),
      ...owned.map(({ table }) => table),
    ]);
  return [...new Set([...tables, CONTRIBUTION])];
}

/** What a legacy row implies; null if the projection cannot map it. A missing row implies nothing. */
export function toExpected(plan: Plan, legacyKey: string, row: LegacyRow | null, tenants: Tenants): Expected | null {
  if (row === null) return { legacyKey, rows: plan.owned.map(() => []), contributions: [] };
  let implied: Implied;
  try {
    implied = plan.projection.map(row, tenants);
  } catch {
    return null;
  }
  return {
    legacyKey,
    rows: plan.owned.map(({ target, columns }) =>
      (implied.rows[target.table] ?? []).map((newRow) => toCells(newRow, columns)),
    ),
    contributions: implied.contributions,
  };
}

/** Tenant of a row or contribution; '' if it has none. */
export function tenantOf(cells: readonly Cell[], tenantAt: number): string {
  return cells[tenantAt] ?? '';
}
