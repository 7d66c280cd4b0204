import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hasDigitsWithin,
  isFiniteNumeric,
  isZero,
  multiply,
  parseNumeric,
  toInt4,
} from '../../../projectors/values/numeric.ts';

describe('a decimal number is read as PostgreSQL reads it', () => {
  it.each([
    ['0', '0'],
    ['1.50', '1.50'],
    ['-1.50', '-1.50'],
    ['+7', '7'],
    ['.5', '0.5'],
    ['-.5', '-0.5'],
    ['5.', '5'],
    ['007', '7'],
    ['00.10', '0.10'],
    ['-0', '0'],
    ['-0.00', '0.00'],
    ['1e2', '100'],
    ['1E+2', '100'],
    ['1.50e1', '15.0'],
    ['1.5e3', '1500'],
    ['1e-3', '0.001'],
    ['0e-3', '0.000'],
    ['0e99999', '0'],
    ['12345678901234567890.123456789', '12345678901234567890.123456789'],
    ['1e131071', `1${'0'.repeat(131_071)}`],
    ['1e-16383', `0.${'0'.repeat(16_382)}1`],
  ])('%.30s', (text, expected) => expect(parseNumeric(text)).toBe(expected));

  it.each([
    '',
    '.',
    '-',
    'e5',
    '1e',
    '1,200',
    'abc',
    'NaN',
    'Infinity',
    '0x10',
    '1_000',
    ' 1',
    '1 ',
    '--1',
    '1.2.3',
    '١',
    '1e131072',
    '1e-16384',
    '0e-16384',
    '0e1073741824',
    `1e${'9'.repeat(400)}`,
  ])('%.30s is none', (text) => expect(parseNumeric(text)).toBeNull());
});

describe('zero', () => {
  it.each(['0', '0.00', '-0', '-0.0', '000'])('%s is', (text) => expect(isZero(text)).toBe(true));
  it.each(['0.01', '10', 'NaN', '-1', ''])('%s is not', (text) => expect(isZero(text)).toBe(false));
});

describe('finite', () => {
  it.each(['0', '-12.50'])('%s is', (text) => expect(isFiniteNumeric(text)).toBe(true));
  it.each(['NaN', 'Infinity', '-Infinity', ''])('%s is not', (text) => expect(isFiniteNumeric(text)).toBe(false));
});

describe('digits on either side of the point', () => {
  it.each([
    ['123', 3, true],
    ['1234', 3, false],
    ['-123', 3, true],
    ['123.456', 3, true],
    ['1.4567', 3, false],
    ['-1234.5', 3, false],
  ])('%s within %i: %s', (text, limit, expected) => expect(hasDigitsWithin(text, limit)).toBe(expected));
});

describe('int4', () => {
  it.each([
    ['7', '7'],
    ['7.00', '7'],
    ['-0', '0'],
    ['0.0', '0'],
    ['2147483647', '2147483647'],
    ['2147483648', null],
    ['-2147483648.0', '-2147483648'],
    ['-2147483649', null],
    ['7.5', null],
    [`1${'0'.repeat(400)}`, null],
    [`7.${'0'.repeat(400)}`, '7'],
  ])('of %.20s', (numeric, expected) => expect(toInt4(numeric)).toBe(expected));
});

describe('product', () => {
  it.each([
    ['2', '12.50', '25.00'],
    ['0.1', '0.2', '0.02'],
    ['-1.5', '1.5', '-2.25'],
    ['-0.10', '0.0', '0.000'],
    ['3', '0.333333333333333333333', '0.999999999999999999999'],
    ['99999999999999999999', '99999999999999999999', '9999999999999999999800000000000000000001'],
  ])('%s × %s', (left, right, expected) => expect(multiply(left, right)).toBe(expected));

  it('is exact, and its scale is the sum of both scales', () => {
    const factor = fc.record({ unscaled: fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), scale: fc.nat(20) });
    fc.assert(
      fc.property(factor, factor, (left, right) => {
        const product = multiply(print(left.unscaled, left.scale), print(right.unscaled, right.scale));
        expect(product).toBe(print(left.unscaled * right.unscaled, left.scale + right.scale));
      }),
    );
  });
});

function print(unscaled: bigint, scale: number): string {
  const power = 10n ** BigInt(scale);
  const magnitude = unscaled < 0n ? -unscaled : unscaled;
  const fraction = scale === 0 ? '' : `.${(magnitude % power).toString().padStart(scale, '0')}`;
  return `${unscaled < 0n ? '-' : ''}${magnitude / power}${fraction}`;
}
