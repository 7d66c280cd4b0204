import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareBytes,
  has,
  hasWhiteSpace,
  toLowerCase,
  toNormalisedAddress,
  toNormalisedName,
  toStatusText,
  trim,
  utf8Length,
} from '../../../projectors/values/text.ts';

const whiteSpace = ['\t', '\n', '\v', '\f', '\r', ' ', '\u00a0'];
const noWhiteSpace = ['\u0085', '\u2003', '\u200b', '\u3000', '\ufeff', '\u001f', '\u2028'];

describe('white space is seven characters and nothing else', () => {
  it.each(whiteSpace)('%j is', (character) => {
    expect(trim(`${character}a${character}b${character}${character}`)).toBe(`a${character}b`);
    expect(has(character)).toBe(false);
    expect(hasWhiteSpace(`a${character}`)).toBe(true);
  });

  it.each(noWhiteSpace)('%j is not', (character) => {
    expect(trim(`${character}a${character}`)).toBe(`${character}a${character}`);
    expect(has(character)).toBe(true);
    expect(hasWhiteSpace(`a${character}`)).toBe(false);
  });

  it.each([null, undefined, '', whiteSpace.join('')])('%j is blank', (cell) => expect(has(cell)).toBe(false));
});

describe('lower case', () => {
  it.each([
    ['ABC', 'abc'],
    ['ΟΔΥΣΣΕΥΣ', 'οδυσσευσ'],
    ['Σ', 'σ'],
    ['ς', 'ς'],
    ['İstanbul', 'istanbul'],
    ['I', 'i'],
    ['ÀÉ', 'àé'],
    ['ẞ', 'ß'],
    ['\u{10400}', '\u{10428}'],
  ])('of %j is %j', (text, expected) => expect(toLowerCase(text)).toBe(expected));
});

describe('status text', () => {
  it.each([
    [null, null],
    [undefined, null],
    [' \t\u00a0', null],
    [' Won\n', 'won'],
    ['In  Progress', 'in  progress'],
    ['\u2003Won', '\u2003won'],
  ])('of %j is %j', (cell, expected) => expect(toStatusText(cell)).toBe(expected));
});

describe('normalised name', () => {
  it.each([
    [null, ''],
    ['  ', ''],
    ['  Ada \t\u00a0 LOVELACE ', 'ada lovelace'],
    ['O’Brien-Smith, J.', 'o’brien-smith, j.'],
    ['Ａｄａ', 'ada'],
    ['Ada\u2003L', 'ada l'],
    ['ﬁn', 'fin'],
    ['e\u0301', 'é'],
  ])('of %j is %j', (cell, expected) => expect(toNormalisedName(cell)).toBe(expected));
});

describe('normalised address', () => {
  it.each([
    [null, ''],
    [' .,-- ', ''],
    ['12 Main St., Apt #4', '12 main st apt 4'],
    ['12-14 Main_St', '12 14 main st'],
    ['１２ Main', '12 main'],
    ['A+B $5 <c>', 'a+b $5 <c>'],
    ['Κεντρικής Οδός ΣΑΣ', 'κεντρικής οδός σασ'],
    ['«Rue» — 5', 'rue 5'],
  ])('of %j is %j', (cell, expected) => expect(toNormalisedAddress(cell)).toBe(expected));
});

describe('byte order', () => {
  it.each([
    ['', 'a', -1],
    ['a', 'B', 1],
    ['a', 'a', 0],
    ['ab', 'a', 1],
    ['z', 'é', -1],
    ['\uffee', '\u{1f600}', -1],
    ['\ud7ff', '\u{10000}', -1],
  ])('of %j and %j', (left, right, expected) => expect(Math.sign(compareBytes(left, right))).toBe(expected));

  it('is the order of the UTF-8 bytes', { timeout: 30_000 }, () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, (left, right) => {
        expect(Math.sign(compareBytes(left, right))).toBe(Buffer.compare(Buffer.from(left), Buffer.from(right)));
        expect(utf8Length(left)).toBe(Buffer.byteLength(left));
      }),
    );
  });
});
