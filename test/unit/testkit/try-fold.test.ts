import { expect, test } from 'vitest';
import type { StoredContribution } from '../../../projectors/write/contributions.ts';
import { createDice } from '../../../testkit/dice.ts';
import { toVariants } from '../../../testkit/try-fold.ts';

const version = (legacyKey: string, name: string): StoredContribution => ({
  ...{ legacyTable: 'orders', legacyKey, live: true, movedTo: null, mergeKey: 'k', mappingVersion: '1' },
  ...{ committedAt: `2024-01-0${name} 00:00:00+00`, data: { name } },
  lineage: { lsn: '0/1', xid: '1', committedAt: '2024-01-01 00:00:00+00' },
});

test('folds are tried on what is contributed in the end, and on what might have been', () => {
  const versions = [[version('a', '1'), version('a', '2')], [version('b', '3')], [version('c', '4')]];
  const [last, ...others] = [...toVariants(versions, createDice(1))];
  expect(last!.map(({ data }) => data.name)).toEqual(['2', '3', '4']);
  for (const variant of others) {
    const keys = variant.map(({ legacyKey }) => legacyKey);
    expect(new Set(keys).size).toBe(keys.length);
    // What a legacy row has contributed stays its own.
    for (const { legacyKey, data } of variant)
      expect(versions.flat().some((known) => known.legacyKey === legacyKey && known.data === data)).toBe(true);
  }
  const all = others.flat();
  expect(new Set(all.map(({ live }) => live))).toEqual(new Set([true, false]));
  expect(all.map(({ data }) => data.name)).toContain('1');
  expect(others.some((variant) => variant.length < versions.length)).toBe(true);
});
