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
