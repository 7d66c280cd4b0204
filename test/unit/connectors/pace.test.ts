import { expect, test } from 'vitest';
import { createPace } from '../../../connectors/pace.ts';

test('the first transaction, and one after a quiet time, wait for nothing', () => {
  const pace = createPace();
  expect(pace.restMs(1000)).toBe(0);
  pace.sent(1000, 1004);
  expect(pace.restMs(5000)).toBe(0);
});

test('behind a transaction comes a rest of twice its time', () => {
  const pace = createPace();
  pace.sent(1000, 1004);
  expect(pace.restMs(1004)).toBe(8);
  expect(pace.restMs(1010)).toBe(2);
  expect(pace.restMs(1012)).toBe(0);
});

test('a slow transaction keeps what comes after it waiting for 20 ms at most', () => {
  const pace = createPace();
  pace.sent(1000, 61_000);
  expect(pace.restMs(61_000)).toBe(20);
});
