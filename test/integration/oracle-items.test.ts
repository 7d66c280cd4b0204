import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, createBench, idAt, idOf, type Row, TIMES } from '../oracle/hand-written.ts';
import { createDatabases } from '../support/stack.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let bench: Bench;
beforeAll(async () => {
  databases = await createDatabases('oracle_items');
  bench = await createBench(databases);
});
beforeEach(() => bench.clear());
afterAll(async () => {
  await bench?.close();
  await databases?.drop();
});

const Q = idAt(1);
const KEY = `q:${Q}`;
const CUSTOMER = idOf(`customer:unassigned|${KEY}`);

/** A quote with these items, and its customer; with a projected quote unless the items imply none: then the customer keeps the times. */
async function quoteWith(items: string, isQuote = true) {
  await bench.legacy('quotes', { id: Q, items });
  const source_metadata = isQuote ? null : JSON.stringify({ [Q]: TIMES });
  await bench.projected('customers', { id: CUSTOMER, tenant_id: 'unassigned', customer_key: KEY, source_metadata });
  if (isQuote)
    await bench.projected('quotes_new', { id: Q, tenant_id: 'unassigned', customer_id: CUSTOMER, status: 'draft' });
}
const item = (ordinal: number, row: Row) =>
  bench.projected('quote_items_new', {
    id: idOf(`item:${Q}:${ordinal}`),
    tenant_id: 'unassigned',
    quote_id: Q,
    is_upsell: false,
    is_discount: false,
    quantity: 1,
    sort_order: ordinal,
    ...row,
  });
const reject = (path: string, raw_value: string, reason: string) =>
  bench.projected('rejects', {
    id: idOf(`reject:quotes|${Q}|${path}`),
    tenant_id: 'unassigned',
    path,
    raw_value,
    reason,
  });

describe('items', () => {
  it('read numbers and flags written as text, stand in for what is missing and keep other keys', async () => {
    await quoteWith(`[
      {"name": "A", "quantity": " 2.50\u00a0", "unit_price": "+.10", "is_upsell": "\u00a0TRUE", "is_discount": false, "sort_order": "5.0", "x": 1.50, "y": null},
      {"name": 1.0, "description": {"b": 1, "a": []}, "option_tier": null, "quantity": null, "unit_price": 10.00, "sort_order": " ", "is_upsell": null},
      {"unit_price": "1.5e1", "quantity": "3.", "total": 7},
      {"quantity": 1e3, "total": "-0.50"},
      {}
    ]`);
    await item(1, {
      name: 'A',
      quantity: '2.50',
      unit_price: '0.10',
      total: '0.2500',
      is_upsell: true,
      sort_order: 5,
      source_metadata: '{"x": 1.50, "y": null}',
    });
    await item(2, { name: '1.0', description: '{"a": [], "b": 1}', unit_price: '10.00', total: '10.00' });
    await item(3, { unit_price: '15', quantity: 3, total: 7 });
    await item(4, { quantity: 1000, total: '-0.50' });
    await item(5, {});
    expect(await bench.differences()).toEqual([]);
  });

  it('that cannot be read are rejects, and no default stands in for them', async () => {
    await quoteWith(`[
      {"quantity": "abc", "unit_price": 2},
      {"unit_price": "1,200", "total": "NaN", "sort_order": 1.5, "is_upsell": 1, "is_discount": "yes"},
      {"unit_price": 3, "total": true, "sort_order": 2147483648, "quantity": {"b": 1, "a": "1"}},
      "text", null, [1], 7,
      {"unit_price": 2, "total": "x"}
    ]`);
    await item(1, { quantity: null, unit_price: 2 });
    await item(2, { sort_order: null, is_upsell: null, is_discount: null });
    await item(3, { quantity: null, unit_price: 3, sort_order: null });
    await reject('items[1].quantity', 'abc', 'not a number');
    await reject('items[2].unit_price', '1,200', 'not a number');
    await reject('items[2].total', 'NaN', 'not a number');
    await reject('items[2].sort_order', '1.5', 'not an integer');
    await reject('items[2].is_upsell', '1', 'not true or false');
    await reject('items[2].is_discount', 'yes', 'not true or false');
    await reject('items[3].total', 'true', 'not a number');
    await reject('items[3].sort_order', '2147483648', 'not an integer');
    await reject('items[3].quantity', '{"a": "1", "b": 1}', 'not a number');
    await reject('items[4]', 'text', 'not an object');
    await reject('items[5]', 'null', 'not an object');
    await reject('items[6]', '[1]', 'not an object');
    await reject('items[7]', '7', 'not an object');
    await item(8, { unit_price: 2 });
    await reject('items[8].total', 'x', 'not a number');
    expect(await bench.differences()).toEqual([]);
  });

  it('end at a thousand digits on either side of the point', async () => {
    const [most, more] = [`1${'0'.repeat(999)}`, `1${'0'.repeat(1000)}`];
    const fraction = `0.${'0'.repeat(997)}1`;
    await quoteWith(`[{"unit_price": "${most}"}, {"unit_price": ${more}}, {"unit_price": "1e999"}, {"unit_price": "1e1000"},
      {"unit_price": "${fraction}"}, {"unit_price": "1e-1001"}, {"unit_price": "9e999999999999"}]`);
    await item(1, { unit_price: most, total: most });
    await item(2, {});
    await item(3, { unit_price: most, total: most });
    await item(4, {});
    await item(5, { unit_price: fraction, total: fraction });
    await item(6, {});
    await item(7, {});
    await reject('items[2].unit_price', more, 'not a number');
    await reject('items[4].unit_price', '1e1000', 'not a number');
    await reject('items[6].unit_price', '1e-1001', 'not a number');
    await reject('items[7].unit_price', '9e999999999999', 'not a number');
    expect(await bench.differences()).toEqual([]);
  });

  it('may be an array inside a JSON string', async () => {
    await quoteWith(JSON.stringify(' [{"name": "A", "total": "1.50"}, 2]'));
    await item(1, { name: 'A', total: '1.50' });
    await reject('items[2]', '2', 'not an object');
    expect(await bench.differences()).toEqual([]);
  });

  it.each(['null', '[]', '" \u00a0"', '" [] "'])('%s imply nothing', async (items) => {
    await quoteWith(items, false);
    expect(await bench.differences()).toEqual([]);
  });

  it.each([
    ['{"b": 1, "a": 2}', '{"a": 2, "b": 1}'],
    ['7', '7'],
    ['"{}"', '{}'],
    ['"[1,"', '[1,'],
    [JSON.stringify('["\\u0000"]'), '["\\u0000"]'],
    [JSON.stringify('"[]"'), '"[]"'],
  ])('%s are a reject', async (items, raw) => {
    await quoteWith(items, false);
    await reject('items', raw, 'not an array');
    expect(await bench.differences()).toEqual([]);
  });
});
