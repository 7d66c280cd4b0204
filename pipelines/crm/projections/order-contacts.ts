import { defineProjection } from '../../../projectors/projection.ts';
import { cellOf } from '../../../projectors/values/cell.ts';
import { toTellerKey, toTenantData } from '../values/told-tenant.ts';
import { ordersAggregate } from './orders/order-fold.ts';

/** contacts → the tenant of orders. A separate projection, so that the projection of contacts need not lock merge keys for it. */
export const orderContacts = defineProjection({
  name: 'order_contacts',
  version: '1',
  source: 'contacts',
  tenant: { column: 'workspace_id' },
  requires: ['id', 'workspace_id'],
  reads: ['id', 'workspace_id'],
  owned: [],
  aggregates: [ordersAggregate],
  map: (row) => {
    const mergeKey = toTellerKey(cellOf(row, 'id') ?? '');
    return {
      rows: {},
      contributions: [{ aggregate: ordersAggregate.name, mergeKey, data: toTenantData(row.workspace_id) }],
    };
  },
});
