-- Campaigns with their subscribers, and orders with their items. Whose a subscriber or an order is, its campaign or its contact says: their rows are folded from both, and so
-- are values of orders without a valid form. Campaigns and contacts come by other topics: nothing here refers to them by a foreign key.

CREATE TABLE crm.campaigns (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  workspace_id text,
  name text,
  channel text,
  status text,
  budget numeric,
  starts_at timestamptz,
  ends_at timestamptz,
  source_metadata jsonb,                -- legacy columns that no rule names
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  deleted_at timestamptz
);
CREATE INDEX campaigns_tenant_idx ON crm.campaigns (tenant_id, created_at DESC) WHERE deleted_at IS NULL;

CREATE TABLE crm.campaign_subscribers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  campaign_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  status text,
  subscribed_at timestamptz DEFAULT now(),
  source_metadata jsonb,
  deleted_at timestamptz
);
CREATE INDEX campaign_subscribers_campaign_idx ON crm.campaign_subscribers (campaign_id);
CREATE INDEX campaign_subscribers_contact_idx ON crm.campaign_subscribers (contact_id);

CREATE TABLE crm.orders (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  legacy_id bigint,
  merge_key uuid,                       -- of projected rows: contact_id, or where there is none the id of the order; they are found by it
  contact_id uuid,
  order_number text,
  status text,
  total numeric,
  currency text,
  source_metadata jsonb,
  placed_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  deleted_at timestamptz
);
CREATE INDEX orders_merge_key_idx ON crm.orders (merge_key);
CREATE INDEX orders_contact_idx ON crm.orders (contact_id);
CREATE INDEX orders_tenant_idx ON crm.orders (tenant_id, placed_at DESC) WHERE deleted_at IS NULL;

CREATE TABLE crm.order_items (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  order_id uuid NOT NULL REFERENCES crm.orders (id),
  merge_key uuid,
  position integer,
  sku text,
  name text,
  quantity numeric DEFAULT 1,
  unit_price numeric,
  total numeric,
  source_metadata jsonb,
  deleted_at timestamptz
);
CREATE INDEX order_items_merge_key_idx ON crm.order_items (merge_key);
CREATE INDEX order_items_order_idx ON crm.order_items (order_id);

-- As crm.rejects, of orders. For operators alone.
CREATE TABLE crm.order_rejects (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  merge_key uuid,
  path text NOT NULL,
  raw_value text NOT NULL,
  reason text NOT NULL,
  deleted_at timestamptz
);
CREATE INDEX order_rejects_merge_key_idx ON crm.order_rejects (merge_key);

SELECT crosswalk.adopt('crm.campaigns', 2), crosswalk.adopt('crm.campaign_subscribers', 2), crosswalk.adopt('crm.orders', 2), crosswalk.adopt('crm.order_items', 2),
  crosswalk.adopt('crm.order_rejects', NULL);
SELECT crosswalk.show_operators('crm.order_rejects', ARRAY['tenant_id', 'legacy_table', 'reason', 'deleted_at']);
-- Rows of the application: projected ones have the times of their legacy rows.
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON crm.campaigns FOR EACH ROW
  WHEN (OLD.origin = 'app' AND NEW.origin = 'app' AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION crm.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON crm.orders FOR EACH ROW
  WHEN (OLD.origin = 'app' AND NEW.origin = 'app' AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION crm.touch_updated_at();
