import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodePosition, type SignalProgress } from '../../../../connectors/position.ts';
import { askAndWait } from '../../../../connectors/snapshot/request.ts';
import type { Kafka } from '../../../../runtime/kafka.ts';

const config = { topicPrefix: 'p', slot: 's', tables: ['docs'] };
const TIMEOUT_MS = 1000;

let nowMs = 0;
let looks = 0;
/** Records of the signal topic. */
let signals: { id: string; kind: string }[] = [];
let tell: (value: Buffer) => void = () => undefined;
const kafka = {
  append: async (_: string, { value }: { value: Buffer }) => BigInt(signals.push(JSON.parse(value.toString())) - 1),
  fetchOffsets: async (topics: string[]) => new Map(topics.map((topic) => [topic, [{ low: 0n, high: 0n }]])),
  readLast: async () => null,
  readToEnd: async (_: string, __: bigint, onRecord: (record: object) => void) => {
    for (const [at, signal] of signals.entries())
      onRecord({ key: Buffer.from(config.slot), offset: BigInt(at), value: Buffer.from(JSON.stringify(signal)) });
  },
  follow: async (_: string, __: bigint, { onRecord }: { onRecord: (record: object) => void }) => {
    tell = (value) => onRecord({ key: Buffer.from(config.slot), value });
    return { close: async () => undefined };
  },
} as unknown as Kafka;

beforeEach(() => {
  [nowMs, looks, signals, tell] = [0, 0, [], () => undefined];
  vi.spyOn(performance, 'now').mockImplementation(() => {
    looks += 1;
    return nowMs;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Time passes, and then the connector stores a position; the one who waits has looked at both. */
async function pass(ms: number, lsn: bigint, of: Omit<SignalProgress, 'next'>, rows = 0): Promise<void> {
  nowMs += ms;
  const bound = { systemId: '1', timeline: 1, database: 'd', slot: config.slot, clusterId: 'c' };
  const snapshot = { docs: { done: false, lastKey: null, rows } };
  const position = { bound, lsn, sourceMicros: 0n, unseenXids: [], snapshot, offsets: {} };
  tell(encodePosition({ ...position, signals: { next: '9', ...of } }));
  const before = looks;
  await vi.waitUntil(() => looks > before + 1, { timeout: 20_000, interval: 1 });
}

const toActive = (id: string, rows: number) =>
  ({ id, offset: '0', table: 'docs', state: 'waiting', lastKey: null, rows, total: null }) as const;

async function start() {
  const result = askAndWait(
    config,
    kafka,
    { table: 'docs', keys: [['1']], repair: true },
    { signal: new AbortController().signal, timeoutMs: TIMEOUT_MS },
  );
  result.catch(() => undefined);
  await vi.waitUntil(() => looks > 1, { timeout: 20_000, interval: 1 });
  return { result, id: signals[0]!.id };
}

test('who waits behind others waits as long as they get on', async () => {
  const { result, id } = await start();
  for (let rows = 1; rows <= 4; rows += 1)
    await pass(900, 1n, { requests: [toActive('other', rows), toActive(id, 0)], finished: [] });
  for (let rows = 1; rows <= 4; rows += 1) await pass(900, 1n, { requests: [toActive(id, 0)], finished: [] }, rows);
  nowMs += 900;
  const done = { id, table: 'docs', state: 'done', rows: 1 } as const;
  tell(
    encodePosition({
      ...{ bound: { systemId: '1', timeline: 1, database: 'd', slot: 's', clusterId: 'c' }, lsn: 7n, sourceMicros: 0n },
      ...{ unseenXids: [], snapshot: {}, offsets: {}, signals: { next: '9', requests: [], finished: [done] } },
    }),
  );
  expect(await result).toEqual({ ...done, lsn: 7n });
  expect(signals.map(({ kind }) => kind)).toEqual(['snapshot']);
});

test('who gives up, since nothing gets on, takes the request back', async () => {
  const { result, id } = await start();
  const state = { requests: [toActive(id, 0)], finished: [] };
  await pass(600, 1n, state);
  // The stream goes on, and nothing is read.
  await pass(600, 2n, state);
  nowMs += 500;
  await expect(result).rejects.toMatchObject({
    code: 'not_reached',
    message: `Snapshot ${id} is not over, and nothing was read for 1 s`,
  });
  expect(signals.slice(1)).toEqual([{ v: 1, id, kind: 'cancel' }]);
});
