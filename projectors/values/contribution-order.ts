import type { Cell, Choice, Contribution } from '../projection.ts';
import { compareBytes, has } from './text.ts';
import { compareTimestamps, compareTimestampsNullsFirst, latest } from './timestamp.ts';

/** Orders by `updated_at` of the row (nulls are least), then by legacy key in byte order, then by legacy table. */
function compareGreatness(left: Contribution, right: Contribution): number {
  return (
    compareTimestampsNullsFirst(left.data.updated_at ?? null, right.data.updated_at ?? null) || compareKeys(left, right)
  );
}

function compareKeys(left: Contribution, right: Contribution): number {
  return compareBytes(left.legacyKey, right.legacyKey) || compareBytes(left.legacyTable, right.legacyTable);
}

/** The greatest contributor, which `toGreatestFirst` puts first; it also has the greatest `updated_at`. */
export const greatestOf = (among: Choice['among'] = () => true): Choice => ({ among, compare: compareGreatness });

/** A contributor with the least `created_at`, for `earliest`. */
export const earliestOf = (among: Choice['among'] = () => true): Choice => ({
  among: (contribution) => (contribution.data.created_at ?? null) !== null && among(contribution),
  compare: (left, right) =>
    compareTimestamps(right.data.created_at ?? '', left.data.created_at ?? '') || compareKeys(left, right),
});

/** The contribution retired last, for `lastRetiredOf` and `latestCommitOf`. */
export const lastRetired: Choice = { among: ({ live }) => !live, compare: compareRetirement };

/** Contributions, greatest first. */
export function toGreatestFirst(contributions: readonly Contribution[]): readonly Contribution[] {
  if (contributions.length < 2) return contributions;
  return [...contributions].sort((left, right) => compareGreatness(right, left));
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

/** Latest commit time among contributions; null if there are none. */
export function latestCommitOf(contributions: readonly Contribution[]): Cell {
  return latest(contributions.map(({ committedAt }) => committedAt));
}

/** The contribution retired last; ties are broken by legacy key, then by legacy table. Undefined if there is none. */
export function lastRetiredOf(retired: readonly Contribution[]): Contribution | undefined {
  let last: Contribution | undefined;
  for (const contribution of retired) {
    if (last === undefined || compareRetirement(contribution, last) > 0) last = contribution;
  }
  return last;
}

function compareRetirement(left: Contribution, right: Contribution): number {
  return compareTimestamps(left.committedAt, right.committedAt) || compareKeys(left, right);
}
