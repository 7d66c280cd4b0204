import type { LegacyTotal } from '../pipeline.ts';
import type { Aggregate, Cell, Implied, LegacyRow, OwnedTarget, Projection, Tenants } from '../projection.ts';
import { toCells } from '../source-change.ts';
import { unassignedTenant } from '../values/cell.ts';
import { has } from '../values/text.ts';
import type { TargetShapes } from '../write/catalog.ts';
import type { TableShape } from '../write/statements.ts';

/** Table name under which contributions are counted and named. */
export const CONTRIBUTION = 'contribution';

/** Name of what a legacy row contributes to a merge key: keys of several legacy tables may be the same text. */
export function toContributionName(
  { aggregate, mergeKey }: { readonly aggregate: string; readonly mergeKey: string },
  of: { readonly legacyTable: string; readonly legacyKey: string },
): string {
  return `${aggregate} ${mergeKey} ${of.legacyTable} ${of.legacyKey}`;
}

/** A table as far as one projection owns rows of it. */
export interface OwnedPlan {
  readonly target: OwnedTarget;
  readonly shape: TableShape;
  /** Compared columns, `id` first: its own, and those that are null in all its rows. */
  readonly columns: readonly string[];
  readonly hasDeletedAt: boolean;
  readonly tenantAt: number;
  /** Places of numeric columns. */
  readonly numericAt: readonly number[];
}

/** The tables of one aggregate. */
export interface MergedPlan {
  readonly aggregate: Aggregate;
  readonly targets: readonly {
    readonly table: string;
    readonly key: string;
    readonly columns: readonly string[];
    /** Legacy tables whose rows in the table are none of the fold's. */
    readonly ownedFrom: readonly string[];
    readonly shape: TableShape;
    readonly tenantAt: number;
    readonly numericAt: readonly number[];
  }[];
}

/** What is compared of one projection. */
export interface Plan {
  readonly projection: Projection;
  readonly owned: readonly OwnedPlan[];
  readonly merged: readonly MergedPlan[];
  /** Totals that are taken of its legacy rows. */
  readonly totals: readonly LegacyTotal[];
}

/** What one legacy row implies, in the order of a plan: cells of rows by owned table, and contributions. Null rows: the row cannot be mapped. */
export interface Expected {
  readonly legacyKey: string;
  readonly rows: readonly (readonly (readonly Cell[])[])[];
  readonly contributions: Implied['contributions'];
}

/** Plans for the projections that have a state; a history has none. */
export function toPlans(
  projections: readonly Projection[],
  shapes: TargetShapes,
  totals: readonly LegacyTotal[] = [],
): Plan[] {
  return projections
    .filter(({ history }) => history === undefined)
    .map((projection) => ({
      projection,
      totals: totals.filter(({ source }) => source === projection.source),
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

/** Rows and contributions that a legacy row implies. */
export function countImplied({ rows, contributions }: Expected): number {
  return rows.reduce((sum, of) => sum + of.length, contributions.length);
}

/** Tenant of a legacy row as projections tell it; null where the projection names no column for it. */
export function tenantOfLegacy({ projection }: Plan, row: LegacyRow): string | null {
  if (projection.tenant === undefined) return null;
  const cell = row[projection.tenant.column];
  return has(cell) ? cell : unassignedTenant;
}

/** Every table that is verified, in the order of the projections. */
export function verifiedTables(projections: readonly Projection[]): string[] {
  const tables = projections
    .filter(({ history }) => history === undefined)
    .flatMap(({ owned, aggregates }) => [
      ...aggregates.flatMap(({ targets }) => targets.map(({ table }) => table)),
      ...owned.map(({ table }) => table),
    ]);
  return [...new Set([...tables, CONTRIBUTION])];
}

/** What a legacy row implies; null where the projection cannot map it. A row that does not exist implies nothing. */
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

/** Tenant of a row or contribution; '' where it names none. */
export function tenantOf(cells: readonly Cell[], tenantAt: number): string {
  return cells[tenantAt] ?? '';
}
