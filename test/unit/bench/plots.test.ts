import { expect, it } from 'vitest';
import { fillPage } from '../../../bench/page-text.ts';
import { toPlots } from '../../../bench/plots.ts';
import { latencyOf, leg, quiet } from './sample-results.ts';

const results = {
  ...quiet,
  legs: { backfill: [leg(9000), leg(10_000), leg(12_000)], limit: [leg(5000, { peakMiB: {} })] },
  latency: { crosswalk: [latencyOf(5)] },
  growth: [10_000, 100_000].map((rows) => ({ shape: 'as usual' as const, rows, measured: leg(8000), applied: rows })),
};

it('draws what was measured, and nothing else', () => {
  expect(toPlots(quiet).size).toBe(0);
  expect([...toPlots(results).keys()]).toEqual([
    'rates.svg',
    'latency.svg',
    'memory.svg',
    'growth-rate.svg',
    'growth-memory.svg',
  ]);
});

it('draws bars as long as their values, from 0', () => {
  const svg = toPlots(results).get('rates.svg')!;
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map((match) => Number(match[1]));
  expect(widths[0]! / widths[1]!).toBeCloseTo(2, 2);
  expect(svg).toContain('>10,000<');
  expect(svg).not.toMatch(/NaN|undefined/);
});

it('leaves an unfinished size out of the curve', () => {
  const growth = [...results.growth, { shape: 'as usual' as const, rows: 1_000_000, measured: null, applied: 5 }];
  expect(toPlots({ ...results, growth }).get('growth-rate.svg')).not.toContain('1,000,000');
});

const page = 'before\n<!-- figures: written by `make figures`, do not edit -->\nold\n<!-- end of figures -->\nafter\n';

it('fills the page between its marks, again and again', () => {
  const once = fillPage(page, results, ['rates.svg']);
  expect(once).toMatch(/^before\n[\s\S]*\| backfill \| 3 \| 9,000 \| 10,000 \| 12,000 \|[\s\S]*\nafter\n$/);
  expect(once).toContain('![rates](plots/rates.svg)');
  expect(once).toContain('ROWS=100000 bench/main.ts');
  expect(once).not.toContain('old');
  expect(fillPage(once, results, ['rates.svg'])).toBe(once);
});

it('refuses a page without the marks', () => {
  expect(() => fillPage('no marks', results, [])).toThrow('must have');
});
