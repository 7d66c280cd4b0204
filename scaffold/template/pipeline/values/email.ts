import { type Cell, has, hasWhiteSpace, toLowerCase, trim } from 'crosswalk';

/** Whether a cell holds an address to write to, as far as its form tells. */
export function isEmail(cell: Cell): boolean {
  return has(cell) && /^[^@]+@[^@]+\.[^@.]+$/.test(trim(cell)) && !hasWhiteSpace(trim(cell));
}

/** An address in the form in which the new table has it. */
export function toEmail(cell: string): string {
  return toLowerCase(trim(cell));
}
