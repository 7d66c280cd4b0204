import type { PlantedReject, Row } from '../rows/row.ts';

/** One statement of the legacy application. `by` is the column whose values `keys` lists. */
export type Change =
  | {
      readonly op: 'insert';
      readonly table: string;
      readonly rows: readonly Row[];
      readonly rejects: readonly PlantedReject[];
    }
  | {
      readonly op: 'update';
      readonly table: string;
      readonly by: string;
      readonly keys: readonly string[];
      readonly set: Row;
      /** The expected rejects of the new values. */
      readonly rejects: readonly PlantedReject[];
    }
  /** An update without changes: the column is set to itself. */
  | {
      readonly op: 'touch';
      readonly table: string;
      readonly by: string;
      readonly keys: readonly string[];
      readonly column: string;
    }
  | { readonly op: 'delete'; readonly table: string; readonly by: string; readonly keys: readonly string[] };

/** Statements that commit together, or are rolled back together after all of them have run. */
export interface Transaction {
  readonly changes: readonly Change[];
  readonly rollback: boolean;
}

/** One action of the legacy application: consecutive transactions. */
export interface Action {
  readonly name: string;
  readonly transactions: readonly Transaction[];
  /** Number of rows generated for it. The next action continues the numbering. */
  readonly made: number;
}

/** An insert of rows without planted rejects. */
export function insert(table: string, ...rows: Row[]): Change {
  return { op: 'insert', table, rows, rejects: [] };
}

/** An update of the rows with these ids. */
export function update(
  table: string,
  ids: readonly string[],
  set: Row,
  rejects: readonly PlantedReject[] = [],
): Change {
  return { op: 'update', table, by: 'id', keys: ids, set, rejects };
}

/** An action of one transaction that commits. */
export function inOne(name: string, changes: readonly Change[], made = 0): Action {
  return { name, transactions: [{ changes, rollback: false }], made };
}
