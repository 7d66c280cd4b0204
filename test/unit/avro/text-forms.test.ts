import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toFloat4Text, toFloat8Text } from '../../../schemas/avro/float-text.ts';
import {
  dateToIso,
  isoToDate,
  isoToTime,
  isoToTimetz,
  isPlainTimestamp,
  isPlainTimestamptz,
  timeToIso,
  timetzToIso,
} from '../../../schemas/avro/temporal-text.ts';

describe('dates and times', () => {
  test.each([
    ['2025-01-01 08:00:00+00', true],
    ['2025-01-01 08:00:00.123456+00', true],
    ['0001-01-01 00:00:00+00', true],
    ['10000-01-01 00:00:00+00', false],
    ['0044-03-15 00:00:00+00 BC', false],
    ['2025-01-01 08:00:00+02', false],
    ['2025-01-01 08:00:00+05:30', false],
    ['infinity', false],
    ['-infinity', false],
  ])('timestamptz %s is plain: %s', (text, plain) => {
    expect(isPlainTimestamptz(text)).toBe(plain);
  });

  test.each([
    ['2025-01-01 08:00:00', true],
    ['2025-01-01 08:00:00.1', true],
    ['10000-01-01 00:00:00', false],
    ['0044-03-15 00:00:00 BC', false],
    ['-infinity', false],
  ])('timestamp %s is plain: %s', (text, plain) => {
    expect(isPlainTimestamp(text)).toBe(plain);
  });

  test.each([
    ['2025-01-01', '2025-01-01Z'],
    ['10000-01-01', '10000-01-01'],
    ['0044-03-15 BC', '0044-03-15 BC'],
    ['infinity', 'infinity'],
  ])('date %s is %s', (text, iso) => {
    expect(dateToIso(text)).toBe(iso);
    expect(isoToDate(iso)).toBe(text);
  });

  test.each([
    ['14:30:00', '14:30:00Z'],
    ['14:30:00.5', '14:30:00.5Z'],
    ['24:00:00', '24:00:00'],
  ])('time %s is %s', (text, iso) => {
    expect(timeToIso(text)).toBe(iso);
    expect(isoToTime(iso)).toBe(text);
  });

  test.each([
    ['14:30:00+00', '14:30:00Z'],
    ['14:30:00.25-08', '14:30:00.25-08:00'],
    ['14:30:00+05:30', '14:30:00+05:30'],
    ['14:30:00+05:30:15', '14:30:00+05:30:15'],
    ['24:00:00+00', '24:00:00+00'],
  ])('timetz %s is %s', (text, iso) => {
    expect(timetzToIso(text)).toBe(iso);
    expect(isoToTimetz(iso)).toBe(text);
  });
});

describe('floats', () => {
  test.each([
    [0, '0'],
    [-0, '-0'],
    [1, '1'],
    [-1.5, '-1.5'],
    [0.1, '0.1'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [123456789012345, '123456789012345'],
    [1e15, '1e+15'],
    [1234567890123456, '1.234567890123456e+15'],
    [1e100, '1e+100'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [2.2250738585072014e-308, '2.2250738585072014e-308'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
  ])('float8 %d is %s', (value, text) => {
    expect(toFloat8Text(value)).toBe(text);
  });

  test.each([
    [1, '1'],
    [0.1, '0.1'],
    [2.7182817, '2.7182817'],
    [123456, '123456'],
    [1234567, '1.234567e+06'],
    [1e6, '1e+06'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [16777216, '1.6777216e+07'],
    [3.4028235e38, '3.4028235e+38'],
    [1e-45, '1e-45'],
    [1.1754944e-38, '1.1754944e-38'],
    [-0, '-0'],
  ])('float4 %d is %s', (value, text) => {
    expect(toFloat4Text(Math.fround(value))).toBe(text);
  });

  test('every text reads back as the same value', () => {
    fc.assert(
      fc.property(fc.double(), (value) => Object.is(Number(toFloat8Text(value)), value)),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(fc.float(), (value) => Object.is(Math.fround(Number(toFloat4Text(value))), value)),
      { numRuns: 5000 },
    );
  });
});
