import { type Cell, type Checks, isFiniteNumeric } from 'crosswalk';

const finite = (cell: Cell | undefined): Cell => (cell != null && isFiniteNumeric(cell) ? cell : null);

/** Projected rows of one shop, where $1 names it. */
const of = (table: string, isLive = 'true') =>
  `(SELECT * FROM ${table} WHERE origin = 'cdc' AND ${isLive} AND ($1::text IS NULL OR tenant_id = $1))`;
const live = (table: string) => of(table, 'deleted_at IS NULL');
const none = (name: string, from: string) => ({
  name,
  sql: `SELECT '0' AS expected, count(*)::text AS actual FROM ${from}`,
});

/** What must hold of the whole, beside every row. */
export const checks: Checks = {
  totals: [
    {
      name: 'sum of order totals',
      source: 'orders',
      of: (row) => finite(row.total),
      table: 'orders',
      column: 'total',
    },
  ],
  target: [
    none(
      'orders of a buyer who is not there',
      `${live('orders')} o LEFT JOIN ${live('buyers')} b ON b.id = o.buyer_id WHERE o.buyer_id IS NOT NULL AND b.id IS NULL`,
    ),
    none(
      'lines without an order',
      `${of('order_lines')} l LEFT JOIN ${live('orders')} o ON o.id = l.order_id WHERE o.id IS NULL`,
    ),
  ],
  notes: [
    {
      counted: 'orders',
      summed: 'sum of totals',
      sql: `SELECT 'orders of nobody' AS reason, count(*)::text AS count, sum(total)::text AS sum FROM ${live('orders')} o WHERE buyer_id IS NULL`,
    },
  ],
};
