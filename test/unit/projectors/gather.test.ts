import { describe, expect, it } from 'vitest';
import { createGatherer } from '../../../projectors/gather.ts';
import type { SourceChange } from '../../../projectors/source-change.ts';
import type { Slice } from '../../../projectors/write/apply-changes.ts';

function slice(partition: number, rows: number): Slice {
  const changes = Array.from({ length: rows }, () => ({}) as SourceChange);
  return { projection: 'p', topic: 't', partition, changes, expected: 0n, next: BigInt(rows) };
}

describe('slices of one turn', () => {
  async function partitionsApplied(rows: number, slices: readonly Slice[], failing: readonly number[] = []) {
    const applied: number[][] = [];
    const gatherer = createGatherer({
      lanes: 1,
      rows,
      apply: async (together) => {
        const partitions = together.map(({ partition }) => partition);
        applied.push(partitions);
        if (partitions.some((partition) => failing.includes(partition))) throw new Error(`refused ${partitions}`);
      },
    });
    const outcomes = await Promise.allSettled(slices.map((each) => gatherer.apply(each)));
    return { applied, outcomes: outcomes.map(({ status }) => status) };
  }

  it('are applied together as far as they fit, in order', async () => {
    const { applied } = await partitionsApplied(10, [slice(0, 4), slice(1, 6), slice(2, 1), slice(3, 20), slice(4, 1)]);
    expect(applied).toEqual([[0, 1], [2], [3], [4]]);
  });

  it('that fail together are tried alone: each answers for itself', async () => {
    const { applied, outcomes } = await partitionsApplied(10, [slice(0, 1), slice(1, 1), slice(2, 1)], [1]);
    expect(applied).toEqual([[0, 1, 2], [0], [1], [2]]);
    expect(outcomes).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});

it('never more transactions at a time than lanes', async () => {
  let busy = 0;
  let most = 0;
  const gatherer = createGatherer({
    lanes: 2,
    rows: 1,
    apply: async () => {
      busy += 1;
      most = Math.max(most, busy);
      await new Promise((resolve) => setImmediate(resolve));
      busy -= 1;
    },
  });
  await Promise.all([0, 1, 2, 3, 4].map((partition) => gatherer.apply(slice(partition, 1))));
  expect(most).toBe(2);
});
