import { describe, expect, it } from 'vitest';
import { round, toDistribution, toRange, toRatePerSecond, toSpread } from '../../../bench/statistics.ts';

describe('distribution', () => {
  it('takes percentiles by nearest rank, whatever the order of the values', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(toDistribution(values)).toEqual({ count: 200, p50: 100, p95: 190, p99: 198, max: 200 });
    expect(values[0]).toBe(200);
  });

  it('is that value for a single one, and refuses none', () => {
    expect(toDistribution([7])).toEqual({ count: 1, p50: 7, p95: 7, p99: 7, max: 7 });
    expect(() => toDistribution([])).toThrow(RangeError);
  });

  it('orders by number, not by text', () => {
    expect(toDistribution([9, 10, 100]).p50).toBe(10);
  });
});

describe('rate', () => {
  it('is units over the seconds between two moments', () => {
    expect(toRatePerSecond(500, 1_000, 3_500)).toBe(200);
  });

  it.each([
    [5, 5],
    [6, 5],
    [Number.NaN, 5],
  ])('refuses moments %s and %s', (first, last) => {
    expect(() => toRatePerSecond(1, first, last)).toThrow(RangeError);
  });
});

describe('spread', () => {
  it.each([
    [40, 1000, 0],
    [40, 40, 17],
    [3, 100, 7919 * 12],
  ])('names %i different rows of %i from offset %i', (count, rows, offset) => {
    const numbers = toSpread(count, rows, offset);
    expect(new Set(numbers).size).toBe(count);
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...numbers)).toBeLessThanOrEqual(rows);
  });

  it('reaches over the whole table and moves with the offset', () => {
    expect(toSpread(4, 100)).toEqual([1, 26, 51, 76]);
    expect(toSpread(4, 100, 30)).toEqual([31, 56, 81, 6]);
  });

  it('refuses more rows than there are', () => {
    expect(() => toSpread(5, 4)).toThrow(RangeError);
  });
});

it('rounds to digits', () => {
  expect(round(1.25)).toBe(1.3);
  expect(round(1234.5678, 2)).toBe(1234.57);
  expect(round(12.5, 0)).toBe(13);
});

describe('range', () => {
  it('is of least, middle and greatest, whatever their order; the middle of two is between them', () => {
    expect(toRange([9, 100, 10])).toEqual({ min: 9, median: 10, max: 100 });
    expect(toRange([4, 1, 2, 9])).toEqual({ min: 1, median: 3, max: 9 });
    expect(toRange([7])).toEqual({ min: 7, median: 7, max: 7 });
  });

  it('refuses none', () => {
    expect(() => toRange([])).toThrow(RangeError);
  });
});
