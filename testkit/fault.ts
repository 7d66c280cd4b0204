import { AssertionError } from 'node:assert';
import type { Cell } from '../projectors/projection.ts';

/** A failed expectation. Messages show cells of test rows; this code never runs on real data. */
export function fault(message: string, cause?: unknown): AssertionError {
  const error = new AssertionError({ message });
  if (cause !== undefined) error.cause = cause;
  return error;
}

const LONGEST = 200;

/** A cell for a message: quoted, and truncated if long. */
export function show(cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return 'null';
  const text = JSON.stringify(cell);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}… (${cell.length} characters)`;
}

/** A row for a message, without null columns. */
export function showRow(row: Readonly<Record<string, Cell>>): string {
  const cells = Object.entries(row).filter(([, cell]) => cell !== null);
  return `{ ${cells.map(([column, cell]) => `${column}: ${show(cell)}`).join(', ')} }`;
}
