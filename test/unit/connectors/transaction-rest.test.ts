import { expect, test } from 'vitest';
import { createTransactionRest } from '../../../connectors/transaction-rest.ts';

test('the first transaction, and one after a quiet time, wait for nothing', () => {
  const rest = createTransactionRest();
  expect(rest.restMs(1000)).toBe(0);
  rest.sent(1000, 1004);
  expect(rest.restMs(5000)).toBe(0);
});

test('behind a transaction comes a rest of twice its time', () => {
  const rest = createTransactionRest();
  rest.sent(1000, 1004);
  expect(rest.restMs(1004)).toBe(8);
  expect(rest.restMs(1010)).toBe(2);
  expect(rest.restMs(1012)).toBe(0);
});

test('a slow transaction keeps what comes after it waiting for 20 ms at most', () => {
  const rest = createTransactionRest();
  rest.sent(1000, 61_000);
  expect(rest.restMs(61_000)).toBe(20);
});
