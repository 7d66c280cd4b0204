import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toE164 } from '../../../pipelines/crm/values/phone.ts';

describe('the number that identifies', () => {
  it.each([
    ['(415) 555-2732', 'US', '+14155552732'],
    ['415.555.2732', 'US', '+14155552732'],
    ['+1 415 555 2732', 'DE', '+14155552732'],
    ['call 415-555-2732 please', 'US', '+14155552732'],
    ['020 7946 0958', 'GB', '+442079460958'],
    ['+44 20 7946 0958', 'US', '+442079460958'],
    ['030 123467', 'DE', '+4930123467'],
    ['(206) 555-0010', 'US', '+12065550010'],
    ['+800 1357 2468', 'US', '+80013572468'],
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
    ['555-2732', 'US', 'not possible: a local number'],
    ['415-555-27321', 'US', 'not possible: too long'],
    ['415-555-2732 ext. 7', 'US', 'an extension'],
    ['415-555-2732 x7', 'US', 'an extension'],
    ['123-456-7890', 'US', 'not valid'],
    ['000-000-0001', 'US', 'not valid'],
    ['123 123 1234', 'US', 'not valid'],
    ['555-123-4567', 'US', 'not valid: no such area'],
    ['030 1234567', 'US', 'not valid: a number of another country'],
    ['+44 7700 900123', 'US', 'not valid: kept free for films'],
    ['415-555-0132', 'US', 'kept free for films'],
    ['234-567-8901', 'US', 'valid, and counts up'],
    ['+49 170 1234567', 'US', 'valid, and counts up'],
    ['212-987-6543', 'US', 'valid, and counts down'],
    ['212 212 2123', 'US', 'valid, and a group repeated'],
    ['06 66 66 66 67', 'FR', 'valid, and one digit repeated'],
    ['999-999-9999', 'US', 'one digit repeated'],
    ['+1 000 000 0000', 'US', 'one digit repeated'],
    ['+49 123456789012345', 'DE', 'more than 15 digits'],
    [`${'4155552732'.repeat(26)}`, 'US', 'longer than any number'],
    [`${' '.repeat(245)}4155552732`, 'US', 'behind 250 characters'],
  ])('%.30s in %s: none (%s)', (raw, country) => {
    expect(toE164(raw, country)).toBeNull();
    expect(toE164(raw, country)).toBeNull();
  });

  it('depends on the country', () => {
    expect(toE164('0415 571 132', 'AU')).toBe('+61415571132');
    expect(toE164('0415 571 132', 'US')).not.toBe('+61415571132');
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
    expect(toE164('(415) 555-2732', 'US')).toBe('+14155552732');
  });
});
