import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ToldColumns } from '../../../connectors/position.ts';
import { tellColumns } from '../../../connectors/told-columns.ts';

const tellAll = (shapes: readonly (readonly string[])[]) =>
  shapes.reduce<{ told: ToldColumns | undefined; back: readonly string[] }>(
    ({ told }, shape) => tellColumns(told, shape),
    { told: undefined, back: [] },
  );

test.each([
  ['the first shape', [['a', 'b']], []],
  ['a column more', [['a'], ['a', 'b']], []],
  ['a column that is renamed', [['a'], ['b']], []],
  ['and back', [['a'], ['b'], ['a']], ['a']],
  ['and back over others', [['a', 'x'], ['x'], ['x', 'c'], ['x', 'c', 'a']], ['a']],
  [
    'the same shape again',
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [],
  ],
])('%s', (_, shapes, back) => {
  expect(tellAll(shapes).back).toEqual(back);
});

test('a name is back exactly where an earlier event had it and the last one did not', () => {
  const shape = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(shape, { minLength: 2, maxLength: 8 }), (shapes) => {
      const last = shapes.at(-1)!;
      const before = shapes.at(-2)!;
      const expected = last.filter(
        (name) => !before.includes(name) && shapes.slice(0, -2).some((each) => each.includes(name)),
      );
      expect([...tellAll(shapes).back].sort()).toEqual(expected.sort());
    }),
  );
});

const tell = (now: string, names: string, gone = '') => {
  const { back, moved } = tellColumns({ now: [...now], gone: [...gone] }, [...names]);
  return { back: back.join(''), moved: moved.join('') };
};

test.each([
  ['abc', 'abc', 'the same'],
  ['abc', 'abcxy', 'added'],
  ['abc', 'c', 'dropped'],
  ['abc', 'axc', 'renamed'],
  ['abc', 'xyz', 'all renamed'],
  ['abcd', 'axd', 'one dropped beside one renamed'],
  ['abc', 'acx', 'dropped, and another added'],
  ['', 'ab', 'the first'],
])('from %s to %s every name may stand for its column: %s', (now, names) => {
  expect(tell(now, names)).toEqual({ back: '', moved: '' });
});

test.each([
  ['abc', 'acb', 'b', 'dropped and added, or swapped'],
  ['abc', 'cba', 'ba', 'swapped over another'],
  ['abc', 'xab', 'ab', 'each has the name of the one before'],
  ['pqab', 'qta', 'a', 'the same, behind one that was dropped'],
  ['abc', 'axb', 'b', 'renamed, and its name given to the next'],
])('from %s to %s names moved: %s', (now, names, moved) => {
  expect(tell(now, names).moved).toBe(moved);
});

test('a name that is back', () => {
  expect(tell('ab', 'axb', 'x')).toEqual({ back: 'x', moved: 'b' });
  expect(tell('ab', 'abx', 'x')).toEqual({ back: 'x', moved: '' });
});
