import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DecimalSum } from '../../../projectors/verify/decimal-sum.ts';

const sumOf = (texts: readonly string[]) => {
  const sum = new DecimalSum();
  for (const text of texts) sum.add(text);
  return sum.toText();
};

test.each([
  [[], '0'],
  [['0.00'], '0'],
  [['1.50', '2.5'], '4'],
  [['-0.01', '-0.02'], '-0.03'],
  [['0.1', '0.2'], '0.3'],
  [['123456789012345678901234567890.5', '-0.25'], '123456789012345678901234567890.25'],
  [['10', '-10.000'], '0'],
  [['NaN', '1'], 'NaN'],
  [['Infinity', '-Infinity'], 'NaN'],
])('the sum of %j is %s', (texts, sum) => {
  expect(sumOf(texts)).toBe(sum);
});

test('any decimals are summed exactly, in any order', () => {
  const decimal = fc
    .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.integer({ min: 0, max: 6 }))
    .map(([unscaled, scale]) => ({ unscaled, scale }));
  fc.assert(
    fc.property(fc.array(decimal, { maxLength: 60 }), (list) => {
      const expected = list.reduce((total, { unscaled, scale }) => total + unscaled * 10n ** BigInt(6 - scale), 0n);
      const texts = list.map(({ unscaled, scale }) => toText(unscaled, scale));
      const total = sumOf(texts);
      const [whole, fraction = ''] = total.replace('-', '').split('.');
      const unscaled = BigInt(`${whole}${fraction.padEnd(6, '0')}`) * (total.startsWith('-') ? -1n : 1n);
      expect(unscaled).toBe(expected);
      expect(sumOf(texts.toReversed())).toBe(total);
    }),
  );
});

test('many small numbers do not lose a digit', () => {
  const sum = new DecimalSum();
  for (let count = 0; count < 20_000; count += 1) sum.add('99999999999.99');
  expect(sum.toText()).toBe('1999999999999800');
});

function toText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return `${unscaled < 0n ? '-' : ''}${text}`;
}
