import { defineHistory, toStatusText, toTenantId, uuid5 } from 'crosswalk';
import { orderKey, toKey, toOrderId } from '../values/keys.ts';

/** orders → order_status_history: one row for each change of an order's status; `to_status` is null where the order is gone. */
export const orderHistory = defineHistory({
  name: 'order_history',
  version: '1',
  source: 'orders',
  requires: ['shop_id', 'order_no', 'status'],
  reads: ['shop_id', 'order_no', 'status'],
  history: {
    targets: [
      {
        table: 'order_status_history',
        columns: ['id', 'tenant_id', 'order_id', 'from_status', 'to_status', 'changed_at', 'ordinal'],
      },
    ],
    scope: { column: 'order_id', of: toOrderId },
    stateOf: (row) => ({
      tenant_id: toTenantId(row.shop_id),
      order_id: toOrderId(toKey(row, orderKey)),
      status: toStatusText(row.status),
    }),
    rowsOf: ({ id, ordinal, before, after, committedAt }) => {
      const { tenant_id = null, order_id = null } = after ?? before ?? {};
      return {
        order_status_history: [
          {
            id: uuid5(`order status:${id}`),
            ...{ tenant_id, order_id },
            from_status: before?.status ?? null,
            to_status: after?.status ?? null,
            changed_at: committedAt,
            ordinal,
          },
        ],
      };
    },
  },
});
