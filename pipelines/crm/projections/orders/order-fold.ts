import type { Aggregate, Cell, Contribution, FoldedRow, NewRow } from '../../../../projectors/projection.ts';
import { copyOf } from '../../../../projectors/values/cell.ts';
import { readTold, toldNeeds } from '../../values/told-tenant.ts';
import { toOrderId } from './order-id.ts';

/** Columns copied to an order unchanged. */
export const copiedToOrder = ['contact_id', 'order_number', 'status', 'placed_at', 'updated_at'];

const ofOrder = ['legacy_id', 'total', 'currency', 'source_metadata', ...copiedToOrder];

/**
 * Orders of a contact, which alone determines their tenant. The merge key is the contact's id, or the order's own id if it has no contact. The column
 * with the merge key distinguishes an order that moved to another contact from one that is gone.
 */
export const ordersAggregate: Aggregate = {
  name: 'orders',
  targets: [
    { table: 'orders', columns: ['id', 'tenant_id', 'merge_key', ...ofOrder], key: 'merge_key' },
    {
      table: 'order_items',
      columns: [
        ...['id', 'tenant_id', 'merge_key', 'order_id', 'position', 'sku', 'name', 'quantity', 'unit_price', 'total'],
        'source_metadata',
      ],
      key: 'merge_key',
    },
    {
      table: 'order_rejects',
      columns: ['id', 'tenant_id', 'merge_key', 'path', 'raw_value', 'reason'],
      key: 'merge_key',
    },
  ],
  needsHistory: false,
  fold: foldOrders,
  needs: toldNeeds,
};

/** Rows stored in a contribution; null if there are none. */
export function toKept(rows: readonly NewRow[]): Cell {
  return rows.length === 0 ? null : JSON.stringify(rows);
}

/** Reads the output of `toKept`; empty for anything else. */
function readKept(cell: Cell | undefined): readonly NewRow[] {
  if (cell == null) return [];
  try {
    const rows: unknown = JSON.parse(cell);
    return Array.isArray(rows) ? (rows as NewRow[]) : [];
  } catch {
    return [];
  }
}

/** Returns no row for an order that is gone: rows that the fold leaves out are soft-deleted. */
function foldOrders(mergeKey: string, contributions: readonly Contribution[]) {
  const { tenantId, tellers, told } = readTold(contributions);
  const of = { tenant_id: tenantId, merge_key: mergeKey };
  const rowsOf = (column: string, from: (order: Contribution) => readonly Contribution[]) =>
    told.flatMap((order) =>
      readKept(order.data[column]).map(
        (row): FoldedRow => ({ row: { ...row, ...of }, deletedAt: null, from: from(order) }),
      ),
    );
  return {
    orders: told.map(
      (order): FoldedRow => ({
        row: { ...copyOf(order.data, ofOrder), ...of, id: toOrderId(order.data.legacy_id ?? '') },
        deletedAt: null,
        from: [order, ...tellers],
      }),
    ),
    order_items: rowsOf('items', (order) => [order, ...tellers]),
    // A reject names the legacy row of its value, not the contact.
    order_rejects: rowsOf('rejects', (order) => [order]),
  };
}
