import { describe, expect, it } from 'vitest';
import { type Claim, pickReleasable } from '../../../projectors/write/claims.ts';

/** `claims`: row number, value, holder. */
const picked = (keys: string, ...claims: [number, string, string | null][]) =>
  [
    ...pickReleasable(
      [...keys],
      claims.map(([row, value, holder]): Claim => ({ row, value, holder })),
    ),
  ].sort();

describe('rows that can be written together', () => {
  it('are all of them where nothing is claimed twice', () => {
    expect(picked('abc', [0, 'x', null], [1, 'y', null])).toEqual([0, 1, 2]);
  });

  it('are a whole circle, of two or of many, beside a value that is taken for good', () => {
    expect(picked('ab', [0, 'y', 'b'], [1, 'x', 'a'])).toEqual([0, 1]);
    expect(picked('aebc', [0, 'y', 'b'], [1, 'w', ''], [2, 'z', 'c'], [3, 'x', 'a'])).toEqual([0, 2, 3]);
    expect(picked('aebc', [0, 'y', 'b'], [1, 'w', 'd'], [2, 'z', 'c'], [3, 'x', 'a'])).toEqual([0, 2, 3]);
  });

  it('are none of a circle that one of them cannot leave', () => {
    expect(picked('abc', [0, 'y', 'b'], [1, 'z', 'c'], [2, 'x', 'a'], [2, 'w', ''])).toEqual([]);
  });

  it('are a chain whose end gives its value up, and none of one whose end keeps it', () => {
    expect(picked('abc', [0, 'y', 'b'], [1, 'z', 'c'])).toEqual([0, 1, 2]);
    expect(picked('abc', [0, 'y', 'b'], [1, 'z', 'c'], [2, 'z', null])).toEqual([2]);
  });

  it('have the first of two that claim a free value, and neither of two that claim a taken one', () => {
    expect(picked('ab', [0, 'x', null], [1, 'x', null])).toEqual([0]);
    expect(picked('ab', [0, 'x', 'z'], [1, 'x', 'z'])).toEqual([]);
  });

  it('may hand a value from one row to another that both are written', () => {
    expect(picked('abc', [0, 'x', 'c'], [1, 'x', 'c'])).toEqual([0, 2]);
  });
});
