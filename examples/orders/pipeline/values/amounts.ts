import { type Cell, cellOf, hasDigitsWithin, type LegacyRow, parseNumeric, type Rejects, trim } from 'crosswalk';

const MOST_DIGITS = 1000;

/** The number in a column, to the last digit; null, and a reject, where there is something else. */
export function toAmount(row: LegacyRow, column: string, rejects: Rejects): Cell {
  const cell = cellOf(row, column);
  if (cell === null) return null;
  const number = parseNumeric(trim(cell));
  return number !== null && hasDigitsWithin(number, MOST_DIGITS) ? number : rejects.add(column, cell, 'not a number');
}
