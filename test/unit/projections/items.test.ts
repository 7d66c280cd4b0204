import { describe, expect, it } from 'vitest';
import type { Cell } from '../../../projectors/projection.ts';
import { expectedUuid } from '../values/expected-uuid.ts';
import { companyId, mapQuote, only, quoteId, rejectsOf } from './mapped.ts';

function itemOf(element: string): Readonly<Record<string, Cell>> & { readonly rejects: Cell[][] } {
  const implied = mapQuote({ items: `[${element}]` });
  return Object.assign({ ...only(implied, 'quote_items_new') }, { rejects: rejectsOf(implied) });
}

describe('items', () => {
  it.each([
    [null, 0],
    ['null', 0],
    ['[]', 0],
    ['""', 0],
    ['" \\t"', 0],
    ['"[]"', 0],
    ['[{}, {}]', 2],
    ['"[{}, {\\"a\\": [1]}]"', 2],
    ['" \\n[{}] "', 1],
  ])('%s holds %i', (items, count) => {
    const implied = mapQuote({ items });
    expect(implied.rows.quote_items_new).toHaveLength(count);
    expect(rejectsOf(implied)).toEqual([]);
  });

  it.each([
    ['{"b": 1.50, "a": 2}', '{"a": 2, "b": 1.50}'],
    ['5', '5'],
    ['true', 'true'],
    ['"abc"', 'abc'],
    ['"{}"', '{}'],
    ['"null"', 'null'],
    ['"\\"[]\\""', '"[]"'],
    ['"[1,]"', '[1,]'],
    ['"[] x"', '[] x'],
    ['"\u00a0[]"', '\u00a0[]'],
    ['"[\\"\\\\u0000\\"]"', '["\\u0000"]'],
    ['"[\\"\\\\ud800\\"]"', '["\\ud800"]'],
    ['"[1e131072]"', '[1e131072]'],
  ])('%s is not an array', (items, rawValue) => {
    expect(rejectsOf(mapQuote({ items }))).toEqual([['items', rawValue, 'not an array']]);
    expect(mapQuote({ items }).rows.quotes_new).toEqual([]);
  });

  it.each([
    ['null', 'null'],
    ['"a b"', 'a b'],
    ['[1,2]', '[1, 2]'],
    ['1.50', '1.50'],
    ['false', 'false'],
  ])('an element %s is no object', (element, rawValue) => {
    const implied = mapQuote({ items: `[{}, ${element}, {}]` });
    expect(rejectsOf(implied)).toEqual([['items[2]', rawValue, 'not an object']]);
    expect(implied.rows.rejects![0]!.id).toBe(expectedUuid(`reject:quotes|${quoteId}|items[2]`));
    expect(implied.rows.quote_items_new!.map(({ id, sort_order }) => [id, sort_order])).toEqual([
      [expectedUuid(`item:${quoteId}:1`), '1'],
      [expectedUuid(`item:${quoteId}:3`), '3'],
    ]);
  });

  it('have defaults', () => {
    expect(itemOf('{}')).toEqual({
      ...{
        id: expectedUuid(`item:${quoteId}:1`),
        tenant_id: companyId,
        quote_id: quoteId,
        name: null,
        description: null,
      },
      ...{ quantity: '1', unit_price: null, total: null, option_tier: null, is_upsell: 'f', is_discount: 'f' },
      ...{ sort_order: '1', source_metadata: null, rejects: [] },
    });
  });

  it('keep what they say', () => {
    const element =
      '{"sku":"x","name":" N ","total":"7","quantity":2.0,"unit_price":" 1e1 ","option_tier":{"b":1,"a":[1]},' +
      '"is_upsell":" TRUE ","is_discount":false,"sort_order":7.00,"description":5.10,"10":null,"9":1.50}';
    expect(itemOf(element)).toMatchObject({
      ...{ name: ' N ', description: '5.10', option_tier: '{"a": [1], "b": 1}', quantity: '2.0', unit_price: '10' },
      ...{ total: '7', is_upsell: 't', is_discount: 'f', sort_order: '7' },
      ...{ source_metadata: '{"9": 1.50, "10": null, "sku": "x"}', rejects: [] },
    });
  });

  it.each([
    ['{"unit_price": 12.50}', '12.50'],
    ['{"unit_price": 12.50, "quantity": 0.5}', '6.250'],
    ['{"unit_price": "0.1", "quantity": "3", "total": " "}', '0.3'],
    ['{"unit_price": 5, "total": null}', '5'],
    ['{"unit_price": 5, "total": 0}', '0'],
    ['{"quantity": 5}', null],
    ['{"unit_price": "abc", "quantity": 5}', null],
    ['{"unit_price": 5, "quantity": "abc"}', null],
    ['{"unit_price": 5, "total": "abc"}', null],
  ])('total of %s is %s', (element, total) => expect(itemOf(element).total).toBe(total));
});

describe('numbers in JSON', () => {
  it.each([
    ['1.50', '1.50'],
    ['-0', '0'],
    ['1e3', '1000'],
    ['"\u00a0-12.50\\n"', '-12.50'],
    ['"+.5"', '0.5'],
    ['"5."', '5'],
    ['"007"', '7'],
    ['"1E-2"', '0.01'],
    ['"1e999"', `1${'0'.repeat(999)}`],
    [`"${'1'.repeat(1000)}"`, '1'.repeat(1000)],
    ['1e-1000', `0.${'0'.repeat(999)}1`],
  ])('%.30s is a number', (value, expected) => {
    expect(itemOf(`{"unit_price": ${value}}`)).toMatchObject({ unit_price: expected, rejects: [] });
  });

  it.each([
    ['"abc"', 'abc'],
    ['"NaN"', 'NaN'],
    ['"Infinity"', 'Infinity'],
    ['" 1,200"', ' 1,200'],
    ['"$5"', '$5'],
    ['"0x10"', '0x10'],
    ['"1_000"', '1_000'],
    ['"\u20031"', '\u20031'],
    ['true', 'true'],
    ['[1]', '[1]'],
    ['{"a":1}', '{"a": 1}'],
    ['"1e1000"', '1e1000'],
    ['"1e-1001"', '1e-1001'],
    [`"${'0'.repeat(1001)}"`, '0'.repeat(1001)],
    ['1e1000', `1${'0'.repeat(1000)}`],
  ])('%.30s is a reject', (value, rawValue) => {
    for (const field of ['quantity', 'unit_price', 'total']) {
      const item = itemOf(`{"${field}": ${value}}`);
      expect(item).toMatchObject({ [field]: null });
      expect(item.rejects).toEqual([[`items[1].${field}`, rawValue, 'not a number']]);
    }
  });
});

describe('sort order', () => {
  it.each([
    ['3', '3'],
    ['"3.000"', '3'],
    ['-2147483648', '-2147483648'],
    ['2.147483647e9', '2147483647'],
    ['null', '1'],
    ['" "', '1'],
  ])('%s is %s', (value, expected) => {
    expect(itemOf(`{"sort_order": ${value}}`)).toMatchObject({ sort_order: expected, rejects: [] });
  });

  it.each(['1.5', '2147483648', '-2147483649', '"first"', 'false'])('%s is a reject', (value) => {
    const item = itemOf(`{"sort_order": ${value}}`);
    expect(item.sort_order).toBeNull();
    expect(item.rejects).toEqual([['items[1].sort_order', value.replaceAll('"', ''), 'not an integer']]);
  });
});

describe('flags', () => {
  const fields = ['is_upsell', 'is_discount'];

  it.each([
    ['true', 't'],
    ['false', 'f'],
    ['" True\u00a0"', 't'],
    ['"FALSE"', 'f'],
    ['null', 'f'],
    ['""', 'f'],
  ])('%s is %s', (value, expected) => {
    for (const field of fields)
      expect(itemOf(`{"${field}": ${value}}`)).toMatchObject({ [field]: expected, rejects: [] });
  });

  it.each([
    ['"yes"', 'yes'],
    ['"t"', 't'],
    ['1', '1'],
    ['[]', '[]'],
  ])('%s is a reject', (value, rawValue) => {
    for (const field of fields) {
      const item = itemOf(`{"${field}": ${value}}`);
      expect(item).toMatchObject({ [field]: null });
      expect(item.rejects).toEqual([[`items[1].${field}`, rawValue, 'not true or false']]);
    }
  });
});

describe('size', () => {
  it('of 10,000 items is fine', () => {
    const implied = mapQuote({ items: `[${Array.from({ length: 10_000 }, () => '{"unit_price": 2}').join(', ')}]` });
    expect(implied.rows.quote_items_new).toHaveLength(10_000);
    expect(implied.rows.quote_items_new!.at(-1)).toMatchObject({ sort_order: '10000', total: '2' });
  });

  it('of 10,000 levels is fine', () => {
    const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
    expect(itemOf(`{"deep": ${deep}}`).source_metadata).toBe(`{"deep": ${deep}}`);
    expect(rejectsOf(mapQuote({ items: deep }))).toEqual([['items[1]', deep.slice(1, -1), 'not an object']]);
    expect(rejectsOf(mapQuote({ items: `"${deep}"` }))).toEqual([['items', deep, 'not an array']]);
  });
});
