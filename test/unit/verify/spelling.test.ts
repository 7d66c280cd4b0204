import { expect, test } from 'vitest';
import { toArrayText, toJsonbObjectText, toMarkedText } from '../../../projectors/verify/spelling.ts';
import { toTenantCondition } from '../../../projectors/verify/tenant-condition.ts';

// That PostgreSQL spells them so is seen in test/integration/verify/spelling.test.ts.
test.each([
  [['a', null, 'b'], 'a|~|b|!'],
  [['', 'a b', 'a,b'], '|a b|a,b|!'],
  [['ü\u00a0x', '-1.50', '{}\n'], 'ü\u00a0x|-1.50|{}\n|!'],
  // Texts that hold what could be a mark are never compared so.
  [['a', 'b\u001fc'], null],
  [['a\u001d'], null],
  [['\u001e'], null],
])('the row %j is %j', (cells, text) => {
  const readable = toMarkedText(cells, '~')?.replaceAll('\u001f', '|').replaceAll('\u001d', '!');
  expect(readable ?? null).toBe(text);
});

test('objects have the order of jsonb: by length, then by bytes', () => {
  expect(toJsonbObjectText({ bb: 'x', a: null, ab: 'say "hi"\n\u0001', ü: 'é' })).toBe(
    '{"a": null, "ab": "say \\"hi\\"\\n\\u0001", "bb": "x", "ü": "é"}',
  );
  expect(toJsonbObjectText({})).toBe('{}');
});

test('arrays are quoted where they must be', () => {
  expect(toArrayText([])).toBe('{}');
  expect(toArrayText(['a', 'b,c', ''])).toBe('{"a","b,c",""}');
  expect(toArrayText(['a"b', 'c\\d'])).toBe('{"a\\"b","c\\\\d"}');
  expect(toArrayText(['","'])).toBe('{"\\",\\""}');
});

test('a tenant is told from the legacy column', () => {
  expect(toTenantCondition('workspace_id', "o'brien")).toBe(`"workspace_id"::text = 'o''brien'`);
  expect(toTenantCondition('a"b', 'unassigned')).toContain(`"a""b"::text IS NULL`);
});
