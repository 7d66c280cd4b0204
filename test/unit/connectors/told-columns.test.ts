import { expect, test } from 'vitest';
import { tellColumns } from '../../../connectors/told-columns.ts';

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
