// Numbers that are read without the library's detours: as the library reads them.
import fc from 'fast-check';
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { expect, it } from 'vitest';
import { isValidInNorthAmerica, toTenDigits } from '../../../pipelines/crm/values/north-american-phone.ts';

const seed = Number(process.env.CROSSWALK_SEED ?? Date.now() % 2 ** 31);
const countries = [
  ...['US', 'AG', 'AI', 'AS', 'BB', 'BM', 'BS', 'CA', 'DM', 'DO', 'GD', 'GU', 'JM', 'KN', 'KY', 'LC', 'MP', 'MS', 'PR'],
  ...['SX', 'TC', 'TT', 'VC', 'VG', 'VI', 'DE', 'GB', 'XX', ''],
];
/** Areas of islands, of numbers that belong to no place, and of none at all. */
const rare =
  '268 264 684 246 441 242 767 809 829 849 800 833 900 500 521 522 523 524 525 533 544 710 721 758 340 939 876 658 555 999';

const digits = (least: number, most: number, length: number) =>
  fc.integer({ min: least, max: most }).map((number) => String(number).padStart(length, '0'));
const number = fc.record({
  area: fc.oneof(digits(200, 999, 3), fc.constantFrom(...rare.split(' '))),
  exchange: digits(0, 999, 3),
  line: digits(0, 9999, 4),
});
const writings: readonly ((of: { area: string; exchange: string; line: string }) => string)[] = [
  ({ area, exchange, line }) => `+1-${area}-${exchange}-${line}`,
  ({ area, exchange, line }) => `+1 (${area}) ${exchange}-${line}`,
  ({ area, exchange, line }) => `+1${area}${exchange}${line}`,
  ({ area, exchange, line }) => `+1.${area}-${exchange} ${line}`,
  ({ area, exchange, line }) => `(${area}) ${exchange}-${line}`,
  ({ area, exchange, line }) => `(${area}${exchange}${line}`,
  ({ area, exchange, line }) => `${area}.${exchange}.${line}`,
  ({ area, exchange, line }) => `${area}${exchange}${line}`,
];

it(`agrees with the library, seed ${seed}`, () => {
  fc.assert(
    fc.property(number, fc.constantFrom(...writings), fc.constantFrom(...countries), (of, write, country) => {
      const raw = write(of);
      const ten = toTenDigits(raw, country);
      if (ten === null) return;
      const phone = parsePhoneNumberFromString(raw, country as 'US');
      expect(`${raw} ${country} +1${ten.digits} ${isValidInNorthAmerica(ten)}`).toBe(
        `${raw} ${country} ${phone?.number} ${phone?.isValid()}`,
      );
    }),
    { seed, numRuns: 3000 },
  );
});

it.each([
  ['+1 415-555-2732', 'DE', '4155552732'],
  ['(415) 555-2732', 'US', '4155552732'],
  ['264.497.2518', 'AI', '2644972518'],
  ['415-555-2732', 'DE', null],
  ['415-555-2732', '', null],
  ['1-415-555-2732', 'US', null],
  ['115-555-2732', 'US', null],
  ['415-555-2732 x7', 'US', null],
  ['+44 20 7946 0958', 'US', null],
  ['call 415-555-2732', 'US', null],
  ['415-555-2732\n', 'US', null],
])('of %j in %j the digits are %j', (raw, country, expected) => {
  expect(toTenDigits(raw, country)?.digits ?? null).toBe(expected);
});
