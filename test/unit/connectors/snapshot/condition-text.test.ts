import { describe, expect, test } from 'vitest';
import { readCondition } from '../../../../connectors/snapshot/condition-text.ts';

describe('a condition stays one expression between parentheses', () => {
  test.each([
    `a = 1 AND (b IN (1, 2) OR c[1] = 'x')`,
    `a = ';' AND b = '--' AND c = ')' AND d = '/*' AND e = '$1'`,
    `name = 'it''s' AND "odd ""name;" IS NULL`,
    `'' = a`,
    `date'2020-01-01' < day AND N'x' = b`,
    `a ->> 'b' = 'c' AND d @> '{"e": [1]}'`,
    `path ~ '\\d+(' AND x LIKE '50\\%'`,
    `EXISTS (SELECT FROM public.other o WHERE o.id = docs.id)`,
    `"größe" > 1e5 AND "Füße" < .5`,
    `a = 'two\nlines' AND\n\tb`,
  ])('%s', (text) => {
    expect(readCondition(text).problem).toBeNull();
  });

  test.each([
    [`a) OR (b`, 'a ) in it closes nothing'],
    [`a OR (b`, 'a ) is missing in it'],
    [`(a[1)]`, 'a ) in it closes nothing'],
    [`a; DELETE FROM docs`, 'it holds a ;'],
    [`a --`, 'it holds a comment'],
    [`a--b`, 'it holds a comment'],
    [`a /* ) */`, 'it holds a comment'],
    [`a */ b /*`, 'it holds a comment'],
    [`a = $1`, 'it holds a $ outside of quotes'],
    [`a = $$ ) $$`, 'it holds a $ outside of quotes'],
    [`a = $x$ ' $x$`, 'it holds a $ outside of quotes'],
    [`a = '`, `a ' in it is not closed`],
    [`a = 'b''`, `a ' in it is not closed`],
    [`"a = 1`, `a " in it is not closed`],
    [`"a""`, `a " in it is not closed`],
    // For PostgreSQL the string goes on behind the escaped quote.
    [`a = E'\\'' OR (' = '`, `it holds a string with escapes, E'…'`],
    [`a = e'b'`, `it holds a string with escapes, E'…'`],
    [`a = 1e'\\'`, `it holds a string with escapes, E'…'`],
    // And its second line has the escapes of its first one.
    [`a = E'b'\n'\\' ) '`, `it holds a string with escapes, E'…'`],
    [`U&"pg_slee\\0070"(1)`, 'it holds a name with escapes, U&"…"'],
    ['a\0', 'it holds a zero byte'],
    ['', 'it is empty'],
    [' \n', 'it is empty'],
  ])('%j is refused', (text, problem) => {
    expect(readCondition(text)).toEqual({ problem, functions: [] });
  });
});

test('the functions that it calls are named as the catalog names them', () => {
  const { functions } = readCondition(
    `LOWER (a) = 'b(' AND public.mine(1) AND "Other"."Yours""s"(2) OR 1=1and(x(3)) AND a = ANY('{1}') AND b.c > 1 AND "d" (4)`,
  );
  expect(functions.filter(({ name }) => !['and', 'any'].includes(name))).toEqual([
    { schema: null, name: 'lower' },
    { schema: 'public', name: 'mine' },
    { schema: 'Other', name: 'Yours"s' },
    { schema: null, name: 'x' },
    { schema: null, name: 'd' },
  ]);
});
