import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareTimestamps,
  compareTimestampsNullsFirst,
  earliest,
  latest,
} from '../../../projectors/values/timestamp.ts';

// As PostgreSQL prints them, earliest first.
const ascending = [
  '-infinity',
  '4713-11-24 00:00:00+00 BC',
  '0100-01-01 00:00:00+00 BC',
  '0044-03-15 00:00:00+00 BC',
  '0044-03-15 00:00:00.5+00 BC',
  '0044-12-31 23:59:59+00 BC',
  '0001-12-31 23:59:59.999999+00 BC',
  '0001-01-01 00:00:00+00',
  '0999-12-31 00:00:00+00',
  '2024-01-01 00:00:00+00',
  '2024-01-01 00:00:00.000001+00',
  '2024-01-01 00:00:00.09+00',
  '2024-01-01 00:00:00.5+00',
  '2024-01-01 00:00:00.51+00',
  '2024-01-01 00:00:01+00',
  '2024-10-01 00:00:00+00',
  '9999-12-31 23:59:59+00',
  '10000-01-01 00:00:00+00',
  '294276-12-31 23:59:59.999999+00',
  'infinity',
];
const pairs = ascending.flatMap((left, i) => ascending.map((right, j) => [left, right, Math.sign(i - j)] as const));

describe('timestamps in text form are ordered by time', () => {
  it.each(pairs)('%s and %s', (left, right, expected) => {
    expect(Math.sign(compareTimestamps(left, right))).toBe(expected);
  });

  it('is total, and an order, on any text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (left, right) => {
        expect(Math.sign(compareTimestamps(left, right)) + Math.sign(compareTimestamps(right, left))).toBe(0);
      }),
    );
  });

  it('puts nulls first', () => {
    expect(compareTimestampsNullsFirst(null, '-infinity')).toBeLessThan(0);
    expect(compareTimestampsNullsFirst('-infinity', null)).toBeGreaterThan(0);
    expect(compareTimestampsNullsFirst(null, null)).toBe(0);
    expect(compareTimestampsNullsFirst('infinity', '-infinity')).toBeGreaterThan(0);
  });

  it('finds the earliest and the latest, leaving nulls aside', () => {
    const shuffled = [null, ...ascending.slice(1, -1).toReversed(), null];
    expect(earliest(shuffled)).toBe('4713-11-24 00:00:00+00 BC');
    expect(latest(shuffled)).toBe('294276-12-31 23:59:59.999999+00');
    expect(earliest([null])).toBeNull();
    expect(latest([])).toBeNull();
  });
});
