import {
  type Cell,
  cellOf,
  copyOf,
  defineProjection,
  filledCellOf,
  has,
  type JsonValue,
  parseJson,
  Rejects,
  rejectsTarget,
  toOthers,
  toStatusText,
  toTenantId,
} from 'crosswalk';
import type { ShopSettings } from '../tenants.ts';
import { toAmount } from '../values/amounts.ts';
import { toEmail } from '../values/email.ts';
import { orderKey, toKey, toOrderId } from '../values/keys.ts';
import { buyersAggregate, toBuyer, toBuyerId } from './buyers.ts';

const copied = ['order_no', 'placed_at', 'updated_at'];
const read = [...copied, 'shop_id', 'status', 'buyer_email', 'buyer_name', 'currency', 'total', 'shipping'];

/** orders → orders, buyers, rejects. */
export const orders = defineProjection<ShopSettings>({
  name: 'orders',
  version: '1',
  source: 'orders',
  tenant: { column: 'shop_id' },
  requires: ['shop_id', 'order_no', 'status', 'buyer_email', 'total'],
  reads: read,
  owned: [
    {
      table: 'orders',
      columns: [
        ...['id', 'tenant_id', 'buyer_id', 'status', 'currency', 'total', 'city', 'country', 'source_metadata'],
        ...copied,
      ],
      retract: 'soft-delete',
      scope: { column: 'id', of: toOrderId },
    },
    rejectsTarget,
  ],
  aggregates: [buyersAggregate],
  map: (row, tenants) => {
    const key = toKey(row, orderKey);
    const tenantId = toTenantId(row.shop_id);
    const rejects = new Rejects('orders', key, tenantId);
    const email = toEmail(row.buyer_email);
    if (email === null && has(row.buyer_email)) rejects.add('buyer_email', row.buyer_email, 'not an e-mail address');
    const order = {
      ...copyOf(row, copied),
      id: toOrderId(key),
      tenant_id: tenantId,
      buyer_id: email === null ? null : toBuyerId(tenantId, email),
      status: toStatusText(row.status),
      currency: filledCellOf(row, 'currency') ?? tenants(tenantId).currency,
      total: toAmount(row, 'total', rejects),
      ...toPlace(cellOf(row, 'shipping'), rejects),
      source_metadata: toOthers(row, (column) => read.includes(column)),
    };
    const said = { name: filledCellOf(row, 'buyer_name'), subscribed: null };
    const seen = { created_at: cellOf(row, 'placed_at'), updated_at: cellOf(row, 'updated_at') };
    return {
      rows: { orders: [order], rejects: rejects.rows },
      contributions: email === null ? [] : [toBuyer(tenantId, email, { ...said, ...seen })],
    };
  },
});

/** Where it is shipped to: of an address that is an object. */
function toPlace(shipping: Cell, rejects: Rejects) {
  const address = shipping === null ? null : parseJson(shipping);
  if (address instanceof Map) return { city: toText(address.get('city')), country: toText(address.get('country')) };
  if (shipping !== null && address !== null) rejects.add('shipping', shipping, 'not an object');
  return { city: null, country: null };
}

function toText(value: JsonValue | undefined): Cell {
  return typeof value === 'string' && has(value) ? value : null;
}
