import { expect, test } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { kindOf } from '../../../pipelines/crm/sample/rows/proportions.ts';

const draw = (seed: string) => {
  const random = createRandom(seed);
  return Array.from({ length: 50 }, () => random.bits());
};

test('one seed gives one sequence, another seed another', () => {
  expect(draw('a')).toEqual(draw('a'));
  expect(draw('a')).not.toEqual(draw('b'));
});

test('integers reach both bounds and no further', () => {
  const random = createRandom('bounds');
  const values = new Set(Array.from({ length: 500 }, () => random.int(-1, 3)));
  expect([...values].sort((a, b) => a - b)).toEqual([-1, 0, 1, 2, 3]);
});

test('weights decide how often', () => {
  const random = createRandom('weights');
  const often = Array.from({ length: 2000 }, () =>
    random.weighted([
      ['rare', 1],
      ['often', 9],
    ]),
  ).filter((value) => value === 'often').length;
  expect(often).toBeGreaterThan(1700);
  expect(often).toBeLessThan(1900);
});

test('every block of a thousand rows holds each kind exactly as often as its share says', () => {
  const shares = [
    ['once', 1],
    ['some', 99],
    ['rest', 900],
  ] as const;
  for (const block of [0, 1, 7]) {
    const kinds = Array.from({ length: 1000 }, (_, i) => kindOf('seed', 'name', block * 1000 + i, shares));
    expect(shares.map(([kind]) => kinds.filter((k) => k === kind).length)).toEqual([1, 99, 900]);
  }
});
