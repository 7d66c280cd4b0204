import { AssertionError } from 'node:assert';
import type { Cell } from '../projectors/projection.ts';

/** A failed expectation. The kit shows the cells of a test's own rows: nothing here runs where real ones are. */
export function fault(message: string, cause?: unknown): AssertionError {
  const error = new AssertionError({ message });
  if (cause !== undefined) error.cause = cause;
  return error;
}

const LONGEST = 200;

/** A cell as a message shows it: quoted, and cut where it is long. */
export function show(cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return 'null';
  const text = JSON.stringify(cell);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}… (${cell.length} characters)`;
}

/** A row as a message shows it; columns that are null are left out. */
export function showRow(row: Readonly<Record<string, Cell>>): string {
  const cells = Object.entries(row).filter(([, cell]) => cell !== null);
  return `{ ${cells.map(([column, cell]) => `${column}: ${show(cell)}`).join(', ')} }`;
}
