import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createCatchUp } from '../../../projectors/catch-up.ts';
import type { FeedMember } from '../../../projectors/feed-member.ts';

/** A member at an offset that stays there. */
const memberAt = (name: string, offset: bigint): FeedMember => ({
  name,
  position: async () => offset,
  locate: async () => offset,
  forget: () => undefined,
  apply: async () => true,
});

test('a member that is parted from a partition in which it catches up already is followed once', async () => {
  let reading = 0;
  const late = memberAt('late', 0n);
  const catchUp = createCatchUp({
    topic: 'a',
    members: [memberAt('ahead', 10_000n), late],
    kafka: {
      readRanges: async (_topic, _ranges, { signal }) => {
        reading += 1;
        await new Promise<void>((_resolve, reject) =>
          signal!.addEventListener('abort', () => reject(signal!.reason), { once: true }),
        );
      },
    },
    apply: async () => true,
    onFailure: (error) => expect.unreachable(String(error)),
  });
  await catchUp.begin(0);
  await expect.poll(() => reading).toBe(1);
  // Its last batch, of before a rebalance, is found to take long.
  const pending = Promise.withResolvers<boolean>();
  catchUp.leave(late, 0, pending.promise);
  pending.resolve(true);
  await setImmediate();
  await setImmediate();
  expect(reading).toBe(1);
  await catchUp.stop();
});

test('what a member that is followed already has at hand is not lost sight of', async () => {
  const failures: unknown[] = [];
  const late = memberAt('late', 0n);
  const catchUp = createCatchUp({
    topic: 'a',
    members: [memberAt('ahead', 10_000n), late],
    kafka: {
      readRanges: (_topic, _ranges, { signal }) =>
        new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason))),
    },
    apply: async () => true,
    onFailure: (error) => failures.push(error),
  });
  await catchUp.begin(0);
  catchUp.leave(late, 0, Promise.reject(new Error('refused')));
  await expect.poll(() => failures).toMatchObject([{ message: 'refused' }]);
  await catchUp.stop();
});

test('records that were read before the member was found further on are not applied to it again', async () => {
  const recordAt = (offset: bigint) => ({ offset, key: null, value: null, timestampMs: '0' });
  let position = 0n;
  const late: FeedMember = { ...memberAt('late', 0n), position: async () => position, locate: async () => position };
  const applied: [from: bigint, offsets: bigint[]][] = [];
  const catchUp = createCatchUp({
    topic: 'a',
    members: [memberAt('ahead', 10_000n), late],
    kafka: {
      readRanges: async (_topic, _ranges, { onBatch, signal }) => {
        // While the first batch comes another process applies as far as that, and a rebalance tells of it.
        position = 3n;
        for (const batch of [
          [0n, 1n, 2n],
          [2n, 3n, 4n],
        ])
          await onBatch({ partition: 0, records: batch.map(recordAt), next: batch.at(-1)! + 1n });
        await new Promise<void>((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        );
      },
    },
    apply: async (_member, _partition, records, from) => {
      applied.push([from, records.map(({ offset }) => offset)]);
      return true;
    },
    onFailure: (error) => expect.unreachable(String(error)),
  });
  await catchUp.begin(0);
  await expect.poll(() => applied.length).toBe(1);
  await catchUp.stop();
  expect(applied).toEqual([[3n, [3n, 4n]]]);
});
