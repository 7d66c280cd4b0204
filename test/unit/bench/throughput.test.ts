import { expect, it } from 'vitest';
import { toRowsAfter, toThroughput } from '../../../bench/steps/throughput.ts';

it('counts the rows behind the first batch, by the share of the offsets', () => {
  // A thousand rows and as many markers: what was seen first is a quarter.
  expect(toRowsAfter(1000, { before: 500, seen: 1000, end: 2500 })).toBe(750);
});

it('counts all of them where all came at once', () => {
  expect(toRowsAfter(1000, { before: 500, seen: 1500, end: 1500 })).toBe(1000);
});

it('gives each process its CPU for a million rows, and no start where none was seen', () => {
  const measured = { rows: 2000, firstMs: 1000, lastMs: 3000, cpuSeconds: { connect: 0.2, postgres: 1 }, peakMiB: {} };
  expect(toThroughput(measured)).toEqual({
    ...{ rows: 2000, seconds: 2, rowsPerSecond: 1000, cpuSeconds: measured.cpuSeconds, peakMiB: {} },
    cpuPerMillion: { connect: 100, postgres: 500 },
  });
  expect(toThroughput({ ...measured, startedMs: 250 }).startupSeconds).toBe(0.75);
});

it('refuses a leg that took no time', () => {
  expect(() => toThroughput({ rows: 1, firstMs: 5, lastMs: 5, cpuSeconds: {}, peakMiB: {} })).toThrow(RangeError);
});
