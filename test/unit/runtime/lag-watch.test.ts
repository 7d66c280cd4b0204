import { describe, expect, it } from 'vitest';
import { createProjectionStatus } from '../../../projectors/status.ts';
import { noteLag } from '../../../runtime/lag-watch.ts';

const none = { offsets: [], projections: {} };
const lag = (partition: number, lagOffsets: bigint, lagSeconds: number | null, projection = 'quotes') => ({
  projection,
  topic: 'legacy.public.quotes',
  partition,
  endOffset: lagOffsets,
  nextOffset: 0n,
  lagOffsets,
  lagSeconds,
});

describe('noteLag', () => {
  it('counts the partitions of this process alone', () => {
    const status = { ...createProjectionStatus('quotes'), partitions: [1, 2] };
    noteLag(status, [lag(0, 5n, 50), lag(1, 3n, 4), lag(2, 2n, 9), lag(1, 100n, 100, 'contacts')], none, 1000);
    expect(status).toMatchObject({ lagOffsets: 5, lagSeconds: 9, behindSinceMs: 1000 });
  });

  it('keeps since when it is behind, and forgets it once it is not', () => {
    const status = { ...createProjectionStatus('quotes'), partitions: [1] };
    noteLag(status, [lag(1, 3n, null)], none, 1000);
    noteLag(status, [lag(1, 2n, null)], none, 6000);
    expect(status).toMatchObject({ lagOffsets: 2, lagSeconds: 5, behindSinceMs: 1000 });
    noteLag(status, [lag(1, 0n, 0)], none, 11_000);
    expect(status).toMatchObject({ lagOffsets: 0, lagSeconds: 0, behindSinceMs: null });
  });

  it('tells what is parked and dead, and forgets what no longer is', () => {
    const status = createProjectionStatus('quotes');
    const counts = { parked: 2, parkedSeconds: 7, deadLetters: 1 };
    noteLag(status, [], { offsets: [], projections: { quotes: counts } }, 1000);
    expect(status).toMatchObject({ parkedNow: 2, parkedSeconds: 7, deadLettersOpen: 1 });
    noteLag(status, [], none, 1000);
    expect(status).toMatchObject({ parkedNow: 0, parkedSeconds: 0, deadLettersOpen: 0 });
  });
});
