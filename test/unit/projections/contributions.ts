import fc from 'fast-check';
import type { Cell, Contribution } from '../../../projectors/projection.ts';

/** A live contribution of `table` at noon, but for what is given. */
export function contribution(
  table: string,
  legacyKey: string,
  data: Readonly<Record<string, Cell>>,
  given: Partial<Contribution> = {},
): Contribution {
  return {
    legacyTable: table,
    legacyKey,
    live: true,
    movedTo: null,
    committedAt: '2024-06-01 12:00:00+00',
    data,
    ...given,
  };
}

/** Some times, close enough to tie. */
export const someTime = fc.constantFrom(
  '2024-01-01 00:00:00+00',
  '2024-01-01 00:00:00.5+00',
  '-infinity',
  'infinity',
  '0044-03-15 00:00:00+00 BC',
);

/** Contributions of distinct legacy rows with random data, each list twice: in two orders. */
export function inTwoOrders(table: string, data: fc.Arbitrary<Readonly<Record<string, Cell>>>) {
  const one = fc.record({
    legacyTable: fc.constant(table),
    legacyKey: fc.constantFrom(...'abcdefgh'),
    live: fc.boolean(),
    movedTo: fc.constantFrom(null, 'x', 'y'),
    committedAt: someTime,
    data,
  });
  return fc
    .uniqueArray(one, { minLength: 1, maxLength: 8, selector: ({ legacyKey }) => legacyKey })
    .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
}
