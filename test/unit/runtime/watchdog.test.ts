import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Health, Sign } from '../../../monitor/health.ts';
import { watchStall } from '../../../monitor/watchdog.ts';
import type { CrosswalkError } from '../../../runtime/errors.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const health = (sign: Sign): Health => ({ live: sign !== 'stalled', ready: false, sign, reason: 'nothing for 61 s' });

test('gives a process up once it is stalled, and for no other sign', () => {
  let sign: Sign = 'healthy';
  const given: CrosswalkError[] = [];
  const watchdog = watchStall(
    () => health(sign),
    (error) => given.push(error),
  );
  for (const other of ['healthy', 'lagging', 'blocked', 'waiting', 'stopped'] as const) {
    sign = other;
    vi.advanceTimersByTime(60_000);
  }
  expect(given).toEqual([]);
  sign = 'stalled';
  vi.advanceTimersByTime(5000);
  expect(given[0]).toMatchObject({ code: 'stalled', message: 'Stalled: nothing for 61 s' });
  watchdog.close();
  const before = given.length;
  vi.advanceTimersByTime(60_000);
  expect(given).toHaveLength(before);
});
