import type { Cell, Contribution } from '../projection.ts';
import { compareBytes, has } from '../values/text.ts';
import { compareTimestamps, compareTimestampsNullsFirst, latest } from '../values/timestamp.ts';

/** Contributions, greatest first: by their row's `updated_at` (nulls are least), then by legacy key in byte order; of several legacy tables then by table. */
export function toGreatestFirst(contributions: readonly Contribution[]): readonly Contribution[] {
  if (contributions.length < 2) return contributions;
  return [...contributions].sort(
    (left, right) =>
      compareTimestampsNullsFirst(right.data.updated_at ?? null, left.data.updated_at ?? null) ||
      compareBytes(right.legacyKey, left.legacyKey) ||
      compareBytes(right.legacyTable, left.legacyTable),
  );
}

/** The first non-blank cell of a column. */
export function firstFilled(contributions: readonly Contribution[], column: string): Cell {
  for (const { data } of contributions) {
    const cell = data[column];
    if (has(cell)) return cell;
  }
  return null;
}

/** All cells of a column. */
export function cellsOf(contributions: readonly Contribution[], column: string): Cell[] {
  return contributions.map(({ data }) => data[column] ?? null);
}

/** Latest commit time among contributions; null when there are none. */
export function latestCommitOf(contributions: readonly Contribution[]): Cell {
  return latest(contributions.map(({ committedAt }) => committedAt));
}

/** The contribution that was retired last, ties by legacy key, then by legacy table; undefined when there is none. */
export function lastRetiredOf(retired: readonly Contribution[]): Contribution | undefined {
  let last: Contribution | undefined;
  for (const contribution of retired) {
    if (last === undefined || compareRetirement(contribution, last) > 0) last = contribution;
  }
  return last;
}

function compareRetirement(left: Contribution, right: Contribution): number {
  return (
    compareTimestamps(left.committedAt, right.committedAt) ||
    compareBytes(left.legacyKey, right.legacyKey) ||
    compareBytes(left.legacyTable, right.legacyTable)
  );
}
