import { expect, test } from 'vitest';
import { createHopTrace, msSince } from '../../../runtime/hop-trace.ts';
import type { Log } from '../../../runtime/log.ts';

test('percentiles of each hop, and nothing where it is off', () => {
  const lines: unknown[] = [];
  const log = { info: (fields: unknown) => lines.push(fields) } as unknown as Log;
  const trace = createHopTrace(log, 3600)!;
  for (let ms = 100; ms >= 1; ms--) trace.add('one', ms);
  trace.add('other', 2.04);
  trace.close();
  expect(lines).toEqual([
    { hops: { one: { count: 100, p50: 51, p99: 100, max: 100 }, other: { count: 1, p50: 2, p99: 2, max: 2 } } },
  ]);
  expect(createHopTrace(log, 0)).toBeNull();
});

test('a time as text and as microseconds is the same time', () => {
  const micros = 1_767_225_600_123_456n;
  expect(msSince('2026-01-01 00:00:00.123456+00') - msSince(micros)).toBeCloseTo(0, -2);
});
