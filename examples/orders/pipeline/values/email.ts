import { type Cell, hasWhiteSpace, toLowerCase, trim } from 'crosswalk';

/** An e-mail address in the one form under which it is looked up; null where it is none. */
export function toEmail(cell: Cell | undefined): string | null {
  const email = toLowerCase(trim(cell ?? ''));
  return /^[^@]+@[^@]+$/.test(email) && !hasWhiteSpace(email) ? email : null;
}
