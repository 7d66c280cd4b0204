import { describe, expect, it } from 'vitest';
import { orderContacts } from '../../../pipelines/crm/projections/order-contacts.ts';
import { ordersAggregate } from '../../../pipelines/crm/projections/orders/order-fold.ts';
import { orders } from '../../../pipelines/crm/projections/orders.ts';
import type { Contribution, LegacyRow } from '../../../projectors/projection.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import { contribution } from './contributions.ts';
import { contactId, contributed, tenants } from './mapped.ts';

const orderId = uuid5('order:42');
const mapOrder = (cells: LegacyRow) => orders.map({ id: '42', contact_id: contactId, ...cells }, tenants);
const ofContact = (workspace: string | null, given: Partial<Contribution> = {}) =>
  contribution(
    'contacts',
    contactId,
    contributed(orderContacts.map({ id: contactId, workspace_id: workspace }, tenants)),
    given,
  );
const ofOrder = (cells: LegacyRow, given: Partial<Contribution> = {}) =>
  contribution('orders', cells.id ?? '42', contributed(mapOrder(cells)), given);
function fold(...contributions: Contribution[]) {
  const folded = ordersAggregate.fold(contactId, contributions);
  const rows = (table: string) => folded[table]!.map(({ row }) => row);
  return { orders: rows('orders'), items: rows('order_items'), rejects: rows('order_rejects'), folded };
}
const itemOf = (element: string) => fold(ofOrder({ items: `[${element}]` })).items[0]!;
const rejectsOf = (items: string) =>
  fold(ofOrder({ items })).rejects.map(({ path, raw_value, reason }) => [path, raw_value, reason]);

describe('an order', () => {
  it('has the tenant of its contact, with its items and its rejects', () => {
    const found = fold(ofOrder({ items: '[{"qty": "two"}]', total: 'NaN' }), ofContact('acme'));
    for (const rows of [found.orders, found.items, found.rejects])
      expect(rows.map(({ tenant_id, merge_key }) => [tenant_id, merge_key])).toEqual(
        rows.map(() => ['acme', contactId]),
      );
    expect([found.orders.length, found.items.length, found.rejects.length]).toEqual([1, 1, 2]);
    expect(fold(ofOrder({ items: '[{}]' })).items.map(({ tenant_id }) => tenant_id)).toEqual(['unassigned']);
    expect(fold(ofOrder({}), ofContact('acme', { live: false })).orders[0]!.tenant_id).toBe('unassigned');
    expect(fold(ofOrder({}), ofContact(null)).orders[0]!.tenant_id).toBe('unassigned');
  });

  it('is copied, under an id of its own', () => {
    const cells = { order_number: 'O-1', status: ' Open', total: '12.50', currency: 'C  ', placed_at: 'infinity' };
    expect(fold(ofOrder({ ...cells, channel: 'shop' })).orders).toEqual([
      {
        ...{ id: orderId, tenant_id: 'unassigned', merge_key: contactId, legacy_id: '42', contact_id: contactId },
        ...{ order_number: 'O-1', status: ' Open', total: '12.50', currency: 'C', placed_at: 'infinity' },
        ...{ updated_at: null, source_metadata: '{"channel": "shop"}' },
      },
    ]);
  });

  it('without a contact is folded by itself', () => {
    expect(mapOrder({ contact_id: null }).contributions[0]!.mergeKey).toBe(orderId);
    expect(mapOrder({}).contributions[0]!.mergeKey).toBe(contactId);
  });

  it('that is gone has no rows', () => {
    const found = fold(ofOrder({ items: '[{}, 7]' }, { live: false, movedTo: 'elsewhere' }), ofContact('acme'));
    expect([found.orders, found.items, found.rejects]).toEqual([[], [], []]);
  });

  it('names itself as the origin of its rejects, and who tells its tenant as one of its rows', () => {
    const [order, contact] = [ofOrder({ items: '[{}, 7]' }), ofContact('acme')];
    const { folded } = fold(order, contact);
    expect(folded.order_rejects!.map(({ from }) => from)).toEqual([[order]]);
    expect(folded.orders!.map(({ from }) => from)).toEqual([[order, contact]]);
  });
});

describe('items of an order', () => {
  it('are its elements, by their places', () => {
    const { items } = fold(ofOrder({ items: '[7, {"sku": "S", "qty": 2, "price": "1.50", "vat": 19.00}]' }));
    expect(items).toEqual([
      {
        ...{ id: uuid5('order_item:42:2'), tenant_id: 'unassigned', merge_key: contactId, order_id: orderId },
        ...{ position: '2', sku: 'S', name: null, quantity: '2', unit_price: '1.50', total: '3.00' },
        source_metadata: '{"vat": 19.00}',
      },
    ]);
  });

  it('are read from a JSON string, too', () => {
    expect(fold(ofOrder({ items: JSON.stringify('[{"sku": "S"}]') })).items).toMatchObject([{ sku: 'S' }]);
    for (const items of [null, 'null', '[]', '" "']) expect(fold(ofOrder({ items })).items).toEqual([]);
  });

  it.each([
    ['{}', { quantity: '1', unit_price: null, total: null }],
    ['{"price": 2.50}', { quantity: '1', unit_price: '2.50', total: '2.50' }],
    ['{"qty": " ", "price": 2, "total": null}', { quantity: '1', total: '2' }],
    ['{"qty": "x", "price": 2}', { quantity: null, total: null }],
    ['{"qty": 2, "price": 2, "total": "x"}', { total: null }],
    ['{"qty": 2, "price": 2, "total": 5}', { total: '5' }],
  ])('%s has its defaults where values are missing, not where they are rejected', (element, expected) => {
    expect(itemOf(element)).toMatchObject(expected);
  });

  it.each([
    ['{"a": 1}', [['items', '{"a": 1}', 'not an array']]],
    ['[7]', [['items[1]', '7', 'not an object']]],
    ['[null]', [['items[1]', 'null', 'not an object']]],
    [
      '[{}, {"qty": "two", "price": true, "total": "NaN"}]',
      [
        ['items[2].qty', 'two', 'not a number'],
        ['items[2].price', 'true', 'not a number'],
        ['items[2].total', 'NaN', 'not a number'],
      ],
    ],
  ])('%s is rejected', (items, expected) => {
    expect(rejectsOf(items)).toEqual(expected);
  });
});
