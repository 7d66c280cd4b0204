import { defineProjection } from '../../../projectors/projection.ts';
import { cellOf, copyOf, toOthers, unassignedTenant } from '../../../projectors/values/cell.ts';
import { Rejects, toFiniteNumber } from '../../../projectors/values/rejects.ts';
import { toTellerKey } from '../values/told-tenant.ts';
import { copiedToOrder, ordersAggregate, toKept } from './orders/order-fold.ts';
import { toOrderId } from './orders/order-id.ts';
import { toOrderItems } from './orders/order-items.ts';
import { readItems } from './quotes/items.ts';

const read = ['id', 'items', 'total', 'currency', ...copiedToOrder];
const taken: ReadonlySet<string> = new Set(read);

/** orders → orders, order_items, order_rejects. */
export const orders = defineProjection({
  name: 'orders',
  version: '1',
  source: 'orders',
  requires: ['id', 'contact_id', 'items', 'total'],
  reads: read,
  owned: [],
  aggregates: [ordersAggregate],
  map: (row) => {
    const legacyId = cellOf(row, 'id') ?? '';
    // The fold sets the tenant.
    const rejects = new Rejects('orders', legacyId, unassignedTenant);
    const order = {
      ...copyOf(row, copiedToOrder),
      legacy_id: cellOf(row, 'id'),
      total: toFiniteNumber(row, 'total', rejects),
      currency: cellOf(row, 'currency')?.replace(/ +$/, '') ?? null,
      source_metadata: toOthers(row, (column) => taken.has(column)),
    };
    const items = toOrderItems(readItems(cellOf(row, 'items'), rejects), legacyId, rejects);
    const data = { ...order, items: toKept(items), rejects: toKept(rejects.rows) };
    const contactId = cellOf(row, 'contact_id');
    const mergeKey = contactId === null ? toOrderId(legacyId) : toTellerKey(contactId);
    return { rows: {}, contributions: [{ aggregate: ordersAggregate.name, mergeKey, data }] };
  },
});
