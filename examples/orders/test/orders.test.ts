import { describe, test } from 'node:test';
import { checkProjection, gone, insert, remove, spec, update } from 'crosswalk/testkit';
import pipeline from '../pipeline/pipeline.ts';

const keys = { orders: ['shop_id', 'order_no'], order_lines: ['shop_id', 'order_no', 'line_no'] };

const order = {
  ...{
    shop_id: 'north',
    order_no: '7',
    status: 'new',
    buyer_email: ' Ada@Example.org',
    buyer_name: 'Ada',
    currency: null,
  },
  ...{ total: '25.00', shipping: '{"city": "Leeds", "country": "GB", "floor": 3}', gift_note: null },
  ...{ placed_at: '2026-01-02 03:04:05+00', updated_at: '2026-01-02 03:04:05+00' },
};
const line = {
  ...{ shop_id: 'north', order_no: '7', line_no: '1', sku: 'tea', quantity: ' 2 ', unit_price: '12.50', options: null },
};
const signup = {
  ...{ id: '1', shop_id: 'north', email: 'ADA@example.org', name: 'Ada L.', confirmed: 't' },
  ...{ created_at: '2025-12-01 00:00:00+00', updated_at: '2026-02-01 00:00:00+00' },
};
const given = () => spec(pipeline, { keys }).given({ orders: [order], order_lines: [line] });

describe('orders', () => {
  test('have the currency of their shop where they name none, and the place of their address', () => {
    given().then({ orders: [{ order_no: '7', total: '25.00', currency: 'CAD', city: 'Leeds', country: 'GB' }] });
    given()
      .when(insert('orders', { ...order, shop_id: 'south' }), update('orders', ['north', '7'], { currency: 'USD' }))
      .then({
        orders: [
          { tenant_id: 'north', currency: 'USD' },
          { tenant_id: 'south', currency: 'EUR' },
        ],
      });
  });

  test('keep columns that no rule names', () => {
    given()
      .when(update('orders', ['north', '7'], { gift_note: 'For you' }))
      .then({ orders: [{ source_metadata: '{"gift_note": "For you"}' }] });
  });

  test('are soft-deleted with their row, and have a new one under a new number', () => {
    given()
      .when(update('orders', ['north', '7'], { order_no: '8' }))
      .then({ orders: [gone({ order_no: '7' }), { order_no: '8' }] });
  });

  test('reject what has no valid form', () => {
    given()
      .when(update('orders', ['north', '7'], { buyer_email: 'n/a', shipping: '"call me"', total: 'NaN' }))
      .then({ orders: [{ buyer_id: null, city: null, total: null }], buyers: [gone({ email: 'ada@example.org' })] })
      .rejects([
        { path: 'buyer_email', raw_value: 'n/a', reason: 'not an e-mail address' },
        { path: 'shipping', raw_value: '"call me"', reason: 'not an object' },
        { path: 'total', raw_value: 'NaN', reason: 'not a number' },
      ]);
  });
});

describe('lines', () => {
  test('have their exact amount, and none where the quantity is no number', () => {
    given().then({ order_lines: [{ quantity: '2', unit_price: '12.50', amount: '25.00' }] });
    given()
      .when(update('order_lines', ['north', '7', '1'], { quantity: 'two' }))
      .then({ order_lines: [{ quantity: null, amount: null }] })
      .rejects([{ path: 'quantity', raw_value: 'two' }]);
    given()
      .when(update('order_lines', ['north', '7', '1'], { quantity: '9'.repeat(1001) }))
      .then({ order_lines: [{ quantity: null, amount: null }] });
  });
});

describe('buyers', () => {
  test('are one for an address, whether they ordered or signed up', () => {
    given()
      .when(insert('newsletter_signups', signup))
      .then({
        buyers: [
          {
            ...{ email: 'ada@example.org', name: 'Ada L.', is_subscribed: 't' },
            ...{ first_seen_at: '2025-12-01 00:00:00+00', last_seen_at: '2026-02-01 00:00:00+00' },
          },
        ],
      });
  });

  test('stay as long as one of both is there', () => {
    const both = [insert('newsletter_signups', signup), remove('orders', ['north', '7'])];
    given()
      .when(...both)
      .then({ buyers: [{ name: 'Ada L.', is_subscribed: 't' }] });
    given()
      .when(...both, remove('newsletter_signups', '1'))
      .then({ buyers: [gone({ email: 'ada@example.org' })] });
  });

  test('are others in another shop', () => {
    given()
      .when(insert('newsletter_signups', { ...signup, shop_id: 'south' }))
      .then({
        buyers: [
          { tenant_id: 'north', is_subscribed: 'f' },
          { tenant_id: 'south', is_subscribed: 't' },
        ],
      });
  });
});

test('the history of an order has each change of its status', () => {
  given()
    .when(
      update('orders', ['north', '7'], { status: 'paid' }),
      update('orders', ['north', '7'], { total: '24.00' }),
      remove('orders', ['north', '7']),
    )
    .then({
      order_status_history: [
        { from_status: 'new', to_status: 'paid' },
        { from_status: 'paid', to_status: null },
      ],
    });
});

test('the projections keep their promises, whatever the legacy rows are', () => {
  checkProjection(pipeline, {
    keys,
    examples: { orders: [order], order_lines: [line], newsletter_signups: [signup] },
  });
});
