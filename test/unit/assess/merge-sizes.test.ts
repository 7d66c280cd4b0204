import { expect, test } from 'vitest';
import { MergeSizes, toShape } from '../../../assess/merge-sizes.ts';

const add = (sizes: MergeSizes, key: string, times: number) => {
  for (let at = 0; at < times; at += 1) sizes.add(key);
};

test('keys are counted by how many contributions they have, the largest by their shape', () => {
  const sizes = new MergeSizes();
  add(sizes, 'ws|p:+12015550123', 1500);
  add(sizes, 'ws|e:nobody@example.com', 11);
  for (let at = 0; at < 100; at += 1) add(sizes, `ws|q:${at}`, 1);
  for (let at = 0; at < 20; at += 1) add(sizes, `ws|n:name ${at}`, 2);
  const { largest, buckets, ...rest } = sizes.summary();
  expect(rest).toEqual({ contributions: 1651, keys: 122, isExact: true });
  expect(buckets.filter(({ keys }) => keys > 0)).toEqual([
    { least: 1, most: 1, keys: 100 },
    { least: 2, most: 2, keys: 20 },
    { least: 11, most: 100, keys: 1 },
    { least: 1001, most: 10_000, keys: 1 },
  ]);
  expect(largest.slice(0, 3)).toEqual([
    { contributions: 1500, shape: 'a|a:+9' },
    { contributions: 11, shape: 'a|a:a@a.a' },
    { contributions: 2, shape: 'a|a:a 9' },
  ]);
  expect(largest).toHaveLength(10);
});

test('a shape says nothing of the key', () => {
  expect(toShape('ws-1|p:+12015550123')).toBe('a-9|a:+9');
  expect(toShape('José O’Neil|12 Main St')).toBe('a a’a|9 a a');
  expect(toShape('2D931510-D99F-494A-8C67-87FEB05E1594')).toBe('#');
  expect(toShape('x\u0000\n\u202Ey')).toBe('a a');
  expect(toShape('!?'.repeat(100))).toHaveLength(41);
});

test('with more keys than fit into memory, their number is about right and the large ones are found', () => {
  const sizes = new MergeSizes(1000);
  for (let at = 0; at < 50_000; at += 1) {
    sizes.add(`key ${at}`);
    if (at % 10 === 0) sizes.add('a large one');
    if (at > 40_000 && at % 5 === 0) sizes.add('late: one');
  }
  const { contributions, keys, isExact, largest, buckets } = sizes.summary();
  expect(contributions).toBe(50_000 + 5000 + 1999);
  expect(isExact).toBe(false);
  expect(keys).toBeGreaterThan(45_000);
  expect(keys).toBeLessThan(55_000);
  expect(buckets[0]!.keys).toBeGreaterThan(45_000);
  expect(largest.slice(0, 2)).toEqual([
    { contributions: 5000, shape: 'a a a' },
    { contributions: 1999, shape: 'a: a' },
  ]);
});
