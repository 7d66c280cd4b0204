import { describe, expect, it } from 'vitest';
import { noteAnswers, noteLag } from '../../../monitor/lag-watch.ts';
import { createProjectionStatus } from '../../../projectors/status.ts';

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

describe('noteAnswers', () => {
  const up = { state: 'up' } as const;
  const down = (problem: string) => ({ state: 'down', problem, remedy: 'Start it.' }) as const;

  it('names each server that does not answer, and knows of no lag until all do', () => {
    const status = { ...createProjectionStatus('quotes'), behindSinceMs: 1000 };
    noteAnswers(status, [up, up], 2000);
    expect(status).toMatchObject({ unreachable: null, behindSinceMs: 1000 });
    noteAnswers(status, [down('Kafka: silent'), down('target: silent')], 3000);
    expect(status).toMatchObject({
      unreachable: { problem: 'Kafka: silent; target: silent', askedMs: 3000 },
      behindSinceMs: null,
    });
    noteAnswers(status, [up, down('target: silent')], 4000);
    expect(status.unreachable).toEqual({ problem: 'target: silent', askedMs: 4000 });
    noteAnswers(status, [up, up], 5000);
    expect(status.unreachable).toBeNull();
  });
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
