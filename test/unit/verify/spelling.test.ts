import { expect, test } from 'vitest';
import { toArrayText, toJsonbObjectText, toRecordText } from '../../../projectors/verify/spelling.ts';
import { toTenantCondition } from '../../../projectors/verify/tenant-condition.ts';

// That PostgreSQL spells them so is seen in test/integration/verify/spelling.test.ts.
test.each([
  [[], '()'],
  [[null], '()'],
  [['a', null, 'b'], '(a,,b)'],
  [['', 'a b', 'a,b'], '("","a b","a,b")'],
  [['(', 'say "hi"', 'c:\\d', '\t', '\n'], '("(","say ""hi""","c:\\\\d","\t","\n")'],
  [['ü\u00a0x', '-1.50', '{}'], '(ü\u00a0x,-1.50,{})'],
])('the record %j is %s', (cells, text) => {
  expect(toRecordText(cells)).toBe(text);
});

test('a cell may stand behind the others', () => {
  expect(toRecordText(['a'], 'b c')).toBe('(a,"b c")');
  expect(toRecordText(['a'], null)).toBe('(a,)');
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
