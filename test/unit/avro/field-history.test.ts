// A field of a topic's schema stands for one column for good, whatever becomes of the table's columns.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FieldVersion, toFieldNames } from '../../../schemas/avro/names.ts';
import { toKeySchema } from '../../../schemas/avro/relation-schema.ts';
import { sampleRelation } from './sample-relation.ts';

const toVersion = (columns: readonly string[], fields: readonly string[]): FieldVersion =>
  new Map(fields.map((field, index) => [field, columns[index]!]));

/** The fields of each version of a table's columns, in their order. */
function nameAll(history: readonly (readonly string[])[]): string[][] {
  const earlier: FieldVersion[] = [];
  return history.map((columns) => {
    const fields = toFieldNames(columns, earlier);
    earlier.push(toVersion(columns, fields));
    return fields;
  });
}

describe('fields over time', () => {
  test.each<[string, string[][], string[]]>([
    ['a column that is added takes no field of another one', [['a-b'], ['a-b', 'a_b']], ['a_b', 'a_b_2']],
    ['nor where it comes first', [['a-b'], ['a_b', 'a-b']], ['a_b_2', 'a_b']],
    ['nor the field of a column that is gone', [['a-b'], ['c'], ['c', 'a_b']], ['c', 'a_b_2']],
    ['a field of long ago is not given away', [['a-b'], ['c'], ['d'], ['a b']], ['a_b_2']],
    ['a column that is back has its own field again', [['a-b'], ['a_b'], ['a_b', 'a-b']], ['a_b_2', 'a_b']],
    ['a column that is renamed has a field of its new name', [['text'], ['int']], ['int']],
    ['an allowed name that was dropped and added stays', [['text', 'int'], ['int'], ['int', 'text']], ['int', 'text']],
  ])('%s', (_, history, expected) => {
    expect(nameAll(history).at(-1)).toEqual(expected);
  });

  test('a key keeps its field names when its column is renamed', () => {
    const before = sampleRelation(
      [
        ['id', 'int4'],
        ['part-no', 'int4'],
      ],
      ['part-no', 'id'],
    );
    const now = sampleRelation(
      [
        ['number', 'int4'],
        ['part', 'int4'],
      ],
      ['part', 'number'],
    );
    const first = toKeySchema(before, 'a.b.c')!;
    const next = toKeySchema(now, 'a.b.c', { keys: [first], values: [] })!;
    expect(first.fields.map(({ name }) => name)).toEqual(['part_no', 'id']);
    expect(next.fields.map(({ name }) => name)).toEqual(['part_no', 'id']);
  });

  test('whatever is added, dropped and renamed: a field never stands for two columns, and names are distinct, valid and stable', () => {
    // Few names, which are adjusted to fewer.
    const name = fc.constantFrom('a-b', 'a b', 'a_b', 'a_b_2', 'a-b-2', '1', '_1', '', '_', '__proto__', 'ä', 'text');
    const columns = fc.uniqueArray(name, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(columns, { minLength: 1, maxLength: 8 }), (history) => {
        const owners = new Map<string, string>();
        const earlier: FieldVersion[] = [];
        for (const now of history) {
          const fields = toFieldNames(now, earlier);
          expect(new Set(fields).size).toBe(now.length);
          for (const [index, field] of fields.entries()) {
            expect(field).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
            expect(field).not.toBe('__proto__');
            expect(owners.get(field) ?? now[index]).toBe(now[index]);
            owners.set(field, now[index]!);
          }
          earlier.push(toVersion(now, fields));
          expect(toFieldNames(now, earlier)).toEqual(fields);
        }
        // A column has had one field all the time.
        expect(new Set(owners.values()).size).toBe(owners.size);
      }),
      { numRuns: 2000 },
    );
  });
});
