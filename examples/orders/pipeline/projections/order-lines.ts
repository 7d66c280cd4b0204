import { copyOf, defineProjection, multiply, Rejects, rejectsTarget, toTenantId } from 'crosswalk';
import { toAmount } from '../values/amounts.ts';
import { lineKey, orderKey, toKey, toLineId, toOrderId } from '../values/keys.ts';

const copied = ['line_no', 'sku', 'options'];

/** order_lines → order_lines, rejects. */
export const orderLines = defineProjection({
  name: 'order_lines',
  version: '1',
  source: 'order_lines',
  tenant: { column: 'shop_id' },
  requires: ['shop_id', 'order_no', 'line_no', 'quantity', 'unit_price'],
  reads: ['shop_id', 'order_no', 'quantity', 'unit_price', ...copied],
  owned: [
    {
      table: 'order_lines',
      columns: ['id', 'tenant_id', 'order_id', 'quantity', 'unit_price', 'amount', ...copied],
      retract: 'delete',
      scope: { column: 'id', of: toLineId },
    },
    rejectsTarget,
  ],
  aggregates: [],
  map: (row) => {
    const key = toKey(row, lineKey);
    const tenantId = toTenantId(row.shop_id);
    const rejects = new Rejects('order_lines', key, tenantId);
    const quantity = toAmount(row, 'quantity', rejects);
    const unitPrice = toAmount(row, 'unit_price', rejects);
    const line = {
      ...copyOf(row, copied),
      id: toLineId(key),
      tenant_id: tenantId,
      order_id: toOrderId(toKey(row, orderKey)),
      quantity,
      unit_price: unitPrice,
      amount: quantity === null || unitPrice === null ? null : multiply(quantity, unitPrice),
    };
    return { rows: { order_lines: [line], rejects: rejects.rows }, contributions: [] };
  },
});
