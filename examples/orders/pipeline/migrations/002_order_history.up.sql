-- What became of orders, one row a change. Rows are only ever added, and outlive the order: no foreign key.
CREATE TABLE shop.order_status_history (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  order_id uuid NOT NULL,
  from_status text,
  to_status text,                       -- null: the order is gone
  changed_at timestamptz NOT NULL,
  ordinal integer NOT NULL DEFAULT 0    -- of the change in its transaction
);
CREATE INDEX order_status_history_order_idx ON shop.order_status_history (order_id, changed_at);
SELECT crosswalk.adopt('shop.order_status_history', 2, true);
