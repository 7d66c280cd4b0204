import { compareBytes } from './text.ts';

const minusInfinity = 0;
const beforeChrist = 1;
const annoDomini = 2;
const infinity = 3;

function eraOf(timestamp: string): number {
  if (timestamp === 'infinity') return infinity;
  if (timestamp === '-infinity') return minusInfinity;
  return timestamp.endsWith(' BC') ? beforeChrist : annoDomini;
}

/**
 * Compares two `timestamptz` in PostgreSQL's ISO text form at UTC: negative, zero or positive. Supports infinity, years BC and years of more than four digits. Total:
 * other texts have some fixed place.
 */
export function compareTimestamps(left: string, right: string): number {
  if (left === right) return 0;
  const era = eraOf(left);
  const difference = era - eraOf(right);
  if (difference !== 0) return difference;
  const leftYear = left.indexOf('-');
  const rightYear = right.indexOf('-');
  const byYear = leftYear - rightYear || compareBytes(left.slice(0, leftYear), right.slice(0, rightYear));
  if (byYear !== 0) return era === beforeChrist ? -byYear : byYear;
  // Within a year all fields have fixed widths, and `+` of the zone sorts before `.` of a fraction and before digits.
  return compareBytes(left, right);
}

/** Orders as `compareTimestamps`, nulls first. */
export function compareTimestampsNullsFirst(left: string | null, right: string | null): number {
  if (left === null || right === null) return (left === null ? 0 : 1) - (right === null ? 0 : 1);
  return compareTimestamps(left, right);
}

/** The earliest non-null timestamp; null if there is none. */
export function earliest(timestamps: Iterable<string | null>): string | null {
  let found: string | null = null;
  for (const timestamp of timestamps) {
    if (timestamp !== null && (found === null || compareTimestamps(timestamp, found) < 0)) found = timestamp;
  }
  return found;
}

/** The latest non-null timestamp; null if there is none. */
export function latest(timestamps: Iterable<string | null>): string | null {
  let found: string | null = null;
  for (const timestamp of timestamps) {
    if (timestamp !== null && (found === null || compareTimestamps(timestamp, found) > 0)) found = timestamp;
  }
  return found;
}
