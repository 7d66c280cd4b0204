import { expect, test } from 'vitest';
import { createTally } from '../../../projectors/verify/tally.ts';

test('counts are those since they were last taken, sums go on', () => {
  const tally = createTally([{ table: 'quotes_new', column: 'total', expected: '1.5', actual: '2' }]);
  tally.countEqual('quotes_new', 'a', 2);
  tally.count('quotes_new', 'a', { expected: 1, missing: 1 });
  tally.count('quotes_new', 'b', { actual: 1, extra: 1 });
  tally.sum('quotes_new', 'total', 'both', '1');
  tally.sum('quotes_new', 'total', 'expected', '0.25');
  tally.sum('quotes_new', 'total', 'actual', null);
  tally.sum('quotes_new', 'tax_rate', 'both', null);
  const counts = tally.takeCounts();
  expect(counts.get('quotes_new')?.get('a')).toEqual({
    expected: 3,
    actual: 2,
    missing: 1,
    extra: 0,
    differing: 0,
    unsettled: 0,
  });
  expect(counts.get('quotes_new')?.get('b')).toMatchObject({ actual: 1, extra: 1 });
  expect(tally.takeCounts().size).toBe(0);
  expect(tally.sums()).toEqual([
    { table: 'quotes_new', column: 'total', expected: '2.75', actual: '3' },
    { table: 'quotes_new', column: 'tax_rate', expected: '0', actual: '0' },
  ]);
});

test('counts that could not be saved are taken back', () => {
  const tally = createTally();
  tally.count('quotes_new', 'a', { expected: 1, missing: 1 });
  const taken = tally.takeCounts();
  tally.count('quotes_new', 'a', { expected: 2 });
  tally.putBack(taken);
  expect(tally.takeCounts().get('quotes_new')?.get('a')).toMatchObject({ expected: 3, missing: 1 });
});
