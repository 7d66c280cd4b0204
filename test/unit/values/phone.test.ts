import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toE164 } from '../../../projectors/values/phone.ts';

describe('the number that identifies', () => {
  it.each([
    ['(415) 555-0132', 'US', '+14155550132'],
    ['415.555.0132', 'US', '+14155550132'],
    ['+1 415 555 0132', 'DE', '+14155550132'],
    ['call 415-555-0132 please', 'US', '+14155550132'],
    ['020 7946 0958', 'GB', '+442079460958'],
    ['+44 20 7946 0958', 'US', '+442079460958'],
    ['030 123456', 'DE', '+4930123456'],
    ['+800 1234 5678', 'US', '+80012345678'],
  ])('%s in %s', (raw, country, expected) => {
    // Asked twice: the second answer comes from the cache.
    expect(toE164(raw, country)).toBe(expected);
    expect(toE164(raw, country)).toBe(expected);
  });

  it.each<[string | null | undefined, string, string]>([
    [null, 'US', 'nothing given'],
    [undefined, 'US', 'a missing column'],
    ['', 'US', 'nothing given'],
    ['   ', 'US', 'blank'],
    ['n/a', 'US', 'no digits'],
    ['555-0132', 'US', 'not possible: a local number'],
    ['415-555-01321', 'US', 'not possible: too long'],
    ['415-555-0132 ext. 7', 'US', 'an extension'],
    ['415-555-0132 x7', 'US', 'an extension'],
    ['999-999-9999', 'US', 'one digit repeated'],
    ['+1 000 000 0000', 'US', 'one digit repeated'],
    ['+49 123456789012345', 'DE', 'more than 15 digits'],
    [`${'4155550132'.repeat(26)}`, 'US', 'longer than any number'],
    [`${' '.repeat(245)}4155550132`, 'US', 'behind 250 characters'],
  ])('%.30s in %s: none (%s)', (raw, country) => {
    expect(toE164(raw, country)).toBeNull();
    expect(toE164(raw, country)).toBeNull();
  });

  it('depends on the country', () => {
    expect(toE164('0415 550 132', 'AU')).toBe('+61415550132');
    expect(toE164('0415 550 132', 'US')).not.toBe('+61415550132');
  });

  it('never throws, and gives an E.164 number or none', { timeout: 30_000 }, () => {
    const part = fc.constantFrom(
      '+',
      '0',
      '1',
      '44',
      '555',
      '-',
      ' ',
      '(',
      ')',
      'x',
      'ext',
      ';',
      '#',
      '٣',
      'tel:',
      '\u0000',
    );
    const raw = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(part).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(raw, fc.constantFrom('US', 'GB', 'DE', 'AR', 'XX', ''), (text, country) => {
        expect(toE164(text, country) ?? '+12').toMatch(/^\+[1-9][0-9]{1,14}$/);
      }),
      { numRuns: 200 },
    );
  });

  it('forgets old numbers without changing its answers', { timeout: 30_000 }, () => {
    for (let line = 0; line < 45_000; line += 1) toE164(`x${line}`, 'US');
    expect(toE164('(415) 555-0132', 'US')).toBe('+14155550132');
  });
});
