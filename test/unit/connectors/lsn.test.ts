import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLsn, toLsnText } from '../../../changes/lsn.ts';

describe('LSN', () => {
  test.each([
    ['0/0', 0n],
    ['16/B374D848', 0x16_b374_d848n],
    ['0/1', 1n],
    ['FFFFFFFF/FFFFFFFF', 0xffff_ffff_ffff_ffffn],
    ['1/0', 0x1_0000_0000n],
  ])('%s', (text, lsn) => {
    expect(parseLsn(text)).toBe(lsn);
    expect(toLsnText(lsn)).toBe(text);
  });

  test('reads every position it writes', () => {
    fc.assert(fc.property(fc.bigInt(0n, 0xffff_ffff_ffff_ffffn), (lsn) => parseLsn(toLsnText(lsn)) === lsn));
  });

  test('orders as numbers where the texts would not', () => {
    expect(parseLsn('10/0') > parseLsn('9/FFFFFFFF')).toBe(true);
    expect(parseLsn('0/10') > parseLsn('0/9')).toBe(true);
  });

  test.each(['', '0', '0/', '/0', '0/000000001', 'G/0', '0/0 ', '-1/0'])('refuses %j', (text) => {
    expect(() => parseLsn(text)).toThrow('not a log sequence number');
  });

  test.each([-1n, 0x1_0000_0000_0000_0000n])('refuses %s', (lsn) => {
    expect(() => toLsnText(lsn)).toThrow('out of range');
  });
});
