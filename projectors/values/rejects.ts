import type { Cell, LegacyRow, NewRow, OwnedTarget } from '../projection.ts';
import { cellOf } from './cell.ts';
import { isFiniteNumeric } from './numeric.ts';
import { uuid5 } from './uuid5.ts';

/** Table of the rejects of a legacy row. They are found by its key, and by the projection's source table, which the runtime adds. */
export const rejectsTarget: OwnedTarget = {
  table: 'rejects',
  columns: ['id', 'tenant_id', 'path', 'raw_value', 'reason'],
  retract: 'delete',
  scope: { column: 'legacy_key', of: (legacyKey) => legacyKey },
};

/** Values of one legacy row that are invalid in the new schema. */
export class Rejects {
  readonly rows: NewRow[] = [];
  readonly #table: string;
  readonly #legacyKey: string;
  readonly #tenantId: string;

  constructor(table: string, legacyKey: string, tenantId: string) {
    this.#table = table;
    this.#legacyKey = legacyKey;
    this.#tenantId = tenantId;
  }

  /** Records a raw value and returns null, which is projected in its place. */
  add(path: string, rawValue: string, reason: string): null {
    this.rows.push({
      id: uuid5(`reject:${this.#table}|${this.#legacyKey}|${path}`),
      tenant_id: this.#tenantId,
      path,
      raw_value: rawValue,
      reason,
    });
    return null;
  }
}

/** The number in a column; NaN and infinity are rejected. */
export function toFiniteNumber(row: LegacyRow, column: string, rejects: Rejects): Cell {
  const cell = cellOf(row, column);
  return cell === null || isFiniteNumeric(cell) ? cell : rejects.add(column, cell, 'not a finite number');
}
