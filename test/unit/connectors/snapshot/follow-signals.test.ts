import { expect, test } from 'vitest';
import { followSignals } from '../../../../connectors/snapshot/follow-signals.ts';
import { createWorkList } from '../../../../connectors/snapshot/work.ts';
import { createLog } from '../../../../runtime/log.ts';

const relation = { oid: 1, schema: 'public', table: 'docs', columns: [], key: [] };
const request = {
  ...{ id: '00000000-0000-4000-8000-000000000001', offset: '6', table: 'docs', state: 'running' as const },
  ...{ lastKey: ['4'], rows: 4, total: 9 },
};

/** Follows signals of a topic whose metadata are these, until it has begun to read, or has said why it cannot. */
async function follow(ends: Map<string, { low: bigint; high: bigint }[]>) {
  const work = createWorkList({
    ...{ relations: [relation], progress: { docs: { done: true, lastKey: null, rows: 0 } } },
    signals: { next: '7', requests: [request], finished: [] },
  });
  const stopping = new AbortController();
  const warnings: string[] = [];
  let from: bigint | null = null;
  const kafka = {
    fetchSettledOffsets: async () => ends,
    follow: async (_: string, offset: bigint) => {
      from = offset;
      stopping.abort();
      return { close: async () => undefined };
    },
  };
  const log = createLog('silent');
  log.warn = (message: unknown) => {
    warnings.push(String(message));
    stopping.abort();
  };
  const snapshot = {
    ...{ state: work.state, signalsFrom: work.signalsFrom },
    ...{ signal: () => undefined, signalsCaughtUp: () => undefined },
  };
  await followSignals(kafka, { topicPrefix: 'p', slot: 's' }, snapshot, { log, signal: stopping.signal });
  return { from, warnings, signals: work.state().signals };
}

test('signals are read from the first one of a request that is not over', async () => {
  const found = await follow(new Map([['p.crosswalk.signal', [{ low: 0n, high: 9n }]]]));
  expect(found).toMatchObject({ from: 6n, warnings: [], signals: { requests: [request], finished: [] } });
});

test('an answer without the topic ends nothing, and is asked for again', async () => {
  const found = await follow(new Map());
  expect(found).toEqual({
    from: null,
    warnings: ['Kafka does not name topic p.crosswalk.signal'],
    signals: { next: '7', requests: [request], finished: [] },
  });
});
