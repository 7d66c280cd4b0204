import type { Cell } from '../projection.ts';
import { joinJsonbObject } from './json-text.ts';
import { has } from './text.ts';

/** Cell of a column; a missing column counts as null. */
export function cellOf(row: Readonly<Record<string, Cell>>, column: string): Cell {
  return row[column] ?? null;
}

/** Cell of a column, null if blank. */
export function filledCellOf(row: Readonly<Record<string, Cell>>, column: string): Cell {
  const cell = row[column];
  return has(cell) ? cell : null;
}

/** The named columns of a row, unchanged; missing ones are null. */
export function copyOf(row: Readonly<Record<string, Cell>>, columns: readonly string[]): Record<string, Cell> {
  const copy: Record<string, Cell> = {};
  for (const column of columns) copy[column] = row[column] ?? null;
  return copy;
}

/** Tenant of rows without a tenant in their legacy column. */
export const unassignedTenant = 'unassigned';

/** Tenant in a legacy cell; `unassigned` if it is blank. */
export function toTenantId(cell: Cell | undefined): string {
  return has(cell) ? cell : unassignedTenant;
}

/** The remaining cells of a row as a `jsonb` object of texts by column; null if all of them are null. */
export function toOthers(row: Readonly<Record<string, Cell>>, isTaken: (column: string) => boolean): Cell {
  const others = new Map<string, string>();
  for (const column of Object.keys(row)) {
    const cell = row[column];
    if (cell != null && !isTaken(column)) others.set(column, JSON.stringify(cell));
  }
  return joinJsonbObject(others);
}
