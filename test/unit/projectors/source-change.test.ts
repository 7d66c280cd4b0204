import { expect, test } from 'vitest';
import { toLegacyKey, toTimestampText } from '../../../projectors/source-change.ts';

test.each([
  [0n, '1970-01-01 00:00:00+00'],
  [1_717_236_000_123_456n, '2024-06-01 10:00:00.123456+00'],
  [1_717_236_000_000_001n, '2024-06-01 10:00:00.000001+00'],
  [1_717_236_000_120_000n, '2024-06-01 10:00:00.12+00'],
  [-1n, '1969-12-31 23:59:59.999999+00'],
  [-1_000_000n, '1969-12-31 23:59:59+00'],
])('%s microseconds are %s', (micros, text) => {
  expect(toTimestampText(micros)).toBe(text);
});

test('a key of several columns is told from one that contains its text', () => {
  expect(toLegacyKey({ id: '7' })).toBe('7');
  expect(toLegacyKey({ a: '1', b: '2' })).toBe('["1","2"]');
});
