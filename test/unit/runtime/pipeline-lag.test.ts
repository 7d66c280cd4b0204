import { describe, expect, it } from 'vitest';
import { sharpenLags, toPartitionLags, toSourceLag, toTotalLag } from '../../../monitor/lag.ts';

const T = 1_700_000_000_000_000n;
const topic = 'legacy.public.quotes';

describe('toSourceLag', () => {
  const cases: [string, bigint, bigint, { lagBytes: bigint; lagSeconds: number }][] = [
    ['at the end of the log', 100n, T - 9_000_000n, { lagBytes: 0n, lagSeconds: 0 }],
    ['behind', 40n, T - 2_500_000n, { lagBytes: 60n, lagSeconds: 2.5 }],
    ['read after the server was asked', 140n, T + 1n, { lagBytes: 0n, lagSeconds: 0 }],
    ['a clock that ran ahead', 40n, T + 1_000_000n, { lagBytes: 60n, lagSeconds: 0 }],
  ];
  it.each(cases)('%s', (_, lsn, sourceMicros, expected) => {
    expect(toSourceLag({ lsn, sourceMicros }, { flushLsn: 100n, nowMicros: T })).toEqual(expected);
  });
});

describe('toPartitionLags', () => {
  it('subtracts offsets partition by partition', () => {
    const stored = (partition: number, nextOffset: bigint, committedMicros: bigint | null, projection = 'quotes') => ({
      projection,
      topic,
      partition,
      nextOffset,
      committedMicros,
    });
    const lags = toPartitionLags(
      'quotes',
      topic,
      { sourceMicros: T, offsets: { [topic]: ['10', '20', '30', '0', '5'] } },
      [
        stored(0, 10n, T - 60_000_000n),
        stored(1, 13n, T - 4_000_000n),
        stored(2, 31n, T),
        stored(3, 0n, null),
        stored(4, 5n, T, 'another'),
      ],
    );
    expect(lags.map(({ lagOffsets, lagSeconds }) => [lagOffsets, lagSeconds])).toEqual([
      [0n, 0],
      [7n, 4],
      [0n, 0],
      [0n, 0],
      [5n, null],
    ]);
    expect(toTotalLag(lags.slice(0, 4))).toEqual({ lagOffsets: 7n, lagSeconds: 4 });
    expect(toTotalLag(lags)).toEqual({ lagOffsets: 12n, lagSeconds: null });
  });

  it('knows nothing of a topic that the position does not name', () => {
    const lags = toPartitionLags('quotes', topic, { sourceMicros: T, offsets: {} }, []);
    expect(toTotalLag(lags)).toEqual({ lagOffsets: null, lagSeconds: null });
  });
});

describe('sharpenLags', () => {
  const lag = (endOffset: bigint, nextOffset: bigint, lagSeconds: number | null) => ({
    projection: 'quotes',
    topic,
    partition: 0,
    endOffset,
    nextOffset,
    lagOffsets: endOffset - nextOffset,
    lagSeconds,
  });
  const cases: [string, ReturnType<typeof lag>[], ReturnType<typeof lag>, number | null][] = [
    ['passed its earlier end: no more than the time between', [lag(10n, 9n, 3600)], lag(12n, 10n, 3600), 1],
    ['never applied before', [lag(10n, 0n, null)], lag(12n, 11n, null), 1],
    ['moved, but not so far', [lag(10n, 3n, 3600)], lag(12n, 9n, 3600), 3600],
    ['stands still', [lag(10n, 9n, 3600)], lag(10n, 9n, 3601), 3601],
    ['caught up', [lag(10n, 9n, 3600)], lag(10n, 10n, 0), 0],
    ['no earlier look', [], lag(10n, 9n, 3600), 3600],
  ];
  it.each(cases)('%s', (_, earlier, later, seconds) => {
    expect(sharpenLags(earlier, [later], 1_000_000n)[0]!.lagSeconds).toBe(seconds);
  });
});
