-- The new tables. adopt() gives each the columns that say which legacy row and change it came from, its rights, and the stage from which on the application sees it.
-- crosswalk makes the schema itself, before the first migration.

CREATE TABLE shop.shops (
  id text PRIMARY KEY,
  tenant_id text NOT NULL,
  name text,
  settings jsonb,
  source_metadata jsonb,                -- legacy columns that no rule names
  opened_at timestamptz,
  deleted_at timestamptz
);

-- Merged from orders and newsletter sign-ups: what refers to it is checked at commit, since merged rows are written last.
CREATE TABLE shop.buyers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  email text NOT NULL,
  name text,
  is_subscribed boolean NOT NULL,
  first_seen_at timestamptz,
  last_seen_at timestamptz,
  deleted_at timestamptz
);
CREATE INDEX buyers_email_idx ON shop.buyers (tenant_id, email) WHERE deleted_at IS NULL;

CREATE TABLE shop.orders (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  order_no integer,
  buyer_id uuid REFERENCES shop.buyers (id) DEFERRABLE INITIALLY DEFERRED,
  status text CHECK (status IN ('new', 'paid', 'shipped', 'delivered', 'cancelled')),
  currency text NOT NULL,
  total numeric,
  city text,
  country text,
  source_metadata jsonb,
  placed_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz
);
CREATE INDEX orders_buyer_idx ON shop.orders (buyer_id);

CREATE TABLE shop.order_lines (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  order_id uuid NOT NULL REFERENCES shop.orders (id),
  line_no integer,
  sku text,
  quantity numeric,
  unit_price numeric,
  amount numeric,
  options jsonb
);
CREATE INDEX order_lines_order_idx ON shop.order_lines (order_id);

-- Values without a valid form. For operators alone.
CREATE TABLE shop.rejects (
  id uuid PRIMARY KEY,
  tenant_id text NOT NULL,
  path text NOT NULL,
  raw_value text NOT NULL,
  reason text NOT NULL
);

SELECT crosswalk.adopt('shop.shops', 0), crosswalk.adopt('shop.buyers', 1), crosswalk.adopt('shop.orders', 1), crosswalk.adopt('shop.order_lines', 1),
  crosswalk.adopt('shop.rejects', NULL);
CREATE INDEX rejects_legacy_key_idx ON shop.rejects (legacy_key);
SELECT crosswalk.show_operators('shop.shops', ARRAY['id', 'tenant_id', 'name', 'deleted_at']),
  crosswalk.show_operators('shop.rejects', ARRAY['tenant_id', 'legacy_table', 'reason']);
