import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonNumber, parseJson } from '../../../projectors/values/json.ts';
import { joinJsonbObject, toJsonbText, toTextInJson } from '../../../projectors/values/json-text.ts';

function rewrite(text: string): string | undefined {
  const value = parseJson(text);
  return value === undefined ? undefined : toJsonbText(value);
}

// Right-hand sides are what PostgreSQL 18 prints.
describe('jsonb text', () => {
  it.each([
    ['null', 'null'],
    [' true\n', 'true'],
    ['"a"', '"a"'],
    ['[]', '[]'],
    ['{}', '{}'],
    ['[ 1 ,\t2,[ ] , { } ]', '[1, 2, [], {}]'],
    ['{"bb":1,"a":2,"c":{"é":3,"zz":4,"z":5}}', '{"a": 2, "c": {"z": 5, "zz": 4, "é": 3}, "bb": 1}'],
    ['{"10":1,"9":2,"__proto__":3,"constructor":4}', '{"9": 2, "10": 1, "__proto__": 3, "constructor": 4}'],
    ['{"a":1,"b":2,"a":3}', '{"a": 3, "b": 2}'],
    ['{"":1}', '{"": 1}'],
    ['{"\uffee":1,"\u{1f600}":2,"abcd":3}', '{"\uffee": 1, "abcd": 3, "\u{1f600}": 2}'],
    ['[1e2,1.50,-0,-0.0,0e-5,1E+3,1.50e1]', '[100, 1.50, 0, 0.0, 0.00000, 1000, 15.0]'],
    ['[123456789012345678901234567890.10]', '[123456789012345678901234567890.10]'],
    ['"\\u0041\\u00e9\\ud83d\\ude00\\/"', '"Aé\u{1f600}/"'],
    ['"\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001F\\u007f\u2028"', '"\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\u007f\u2028"'],
  ])('of %s', (text, expected) => expect(rewrite(text)).toBe(expected));

  it('is its own text', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const once = rewrite(text);
        expect(once === undefined ? undefined : rewrite(once)).toBe(once);
        if (once !== undefined) expect(JSON.parse(once)).toEqual(withoutNegativeZero(JSON.parse(text)));
      }),
    );
  });
});

describe('what jsonb refuses', () => {
  it.each([
    '',
    ' ',
    '[1] x',
    '[1,]',
    '[,1]',
    '[1 2]',
    '{"a":1,}',
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '{1:1}',
    '[1}',
    '[',
    '{"a":1',
    "['a']",
    '"a',
    '"\\x41"',
    '"\\u12"',
    '"\\u12G4"',
    '"\t"',
    '"\\u0000"',
    '"\\ud83d"',
    '"\\ud83dx"',
    '"\\ud83d\\u0041"',
    '"\\ude00"',
    '"\\',
    '01',
    '+1',
    '.5',
    '5.',
    '1e',
    '-',
    'NaN',
    'True',
    'nul',
    '1e131072',
    '[1e-16384]',
    '\u00a0[1]',
    '\ufeff[1]',
    '[1]\v',
  ])('%j', (text) => expect(parseJson(text)).toBeUndefined());

  it('any prefix of a text, or any text with a tail', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, at) => {
        const array = `[${text}]`;
        expect(parseJson(array.slice(0, at % array.length))).toBeUndefined();
        expect(parseJson(`${array}]`)).toBeUndefined();
      }),
    );
  });
});

describe('depth', () => {
  const nested = (depth: number) => `${'[{"a": '.repeat(depth)}1${'}]'.repeat(depth)}`;

  it('does not matter to parser and printer', () => {
    const text = nested(100_000);
    expect(rewrite(text) === text).toBe(true);
  });

  it('is bounded on request', () => {
    expect(parseJson('[[[]]]', 3)).toEqual([[[]]]);
    expect(parseJson('[[[]]]', 2)).toBeUndefined();
    expect(parseJson('[{"a":[]},[[]]]', 3)).toBeDefined();
  });
});

describe('text in JSON', () => {
  it.each([
    ['null', null],
    ['"  a\\n"', '  a\n'],
    ['""', ''],
    ['1.50', '1.50'],
    ['false', 'false'],
    ['{"b":[1,"x"]}', '{"b": [1, "x"]}'],
  ])('of %s', (text, expected) => expect(toTextInJson(parseJson(text))).toBe(expected));

  it('of nothing is nothing', () => expect(toTextInJson(undefined)).toBeNull());
});

it('an object is joined from texts in the order of jsonb', () => {
  expect(
    joinJsonbObject(
      new Map([
        ['bb', '1'],
        ['a"', '{"x": 1}'],
        ['c', 'null'],
      ]),
    ),
  ).toBe('{"c": null, "a\\"": {"x": 1}, "bb": 1}');
  expect(joinJsonbObject(new Map())).toBeNull();
});

it('numbers keep their digits', () => {
  expect(parseJson('0.10')).toEqual(new JsonNumber('0.10'));
});

function withoutNegativeZero(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(withoutNegativeZero);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withoutNegativeZero(member)]));
}
