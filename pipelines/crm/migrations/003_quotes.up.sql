-- Quotes, the work they turn into, and its money. Money keeps the digits of the legacy row: numeric without precision or scale.

CREATE TABLE crm.quotes_new (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  company_id uuid,
  customer_id uuid NOT NULL REFERENCES crm.customers (id) DEFERRABLE INITIALLY DEFERRED,
  lead_id uuid REFERENCES crm.leads (id),
  quote_number text,
  customer_name text,                   -- name, email, phone and address as this quote gave them
  email text,
  phone text,
  address text,
  job_name text,
  description text,
  subtotal numeric,
  discount_amount numeric,
  tax_rate numeric,
  tax_amount numeric,
  total numeric,
  notes text,
  status text,
  sent_at timestamptz,
  created_by uuid,
  source_metadata jsonb,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT quotes_new_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX quotes_new_customer_idx ON crm.quotes_new (customer_id);
CREATE INDEX quotes_new_tenant_idx ON crm.quotes_new (tenant_id, created_at DESC) WHERE deleted_at IS NULL;

CREATE TABLE crm.quote_items_new (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  quote_id uuid NOT NULL REFERENCES crm.quotes_new (id),
  name text,
  description text,
  quantity numeric,
  unit_price numeric,
  total numeric,
  option_tier text,
  is_upsell boolean,
  is_discount boolean,
  sort_order integer,
  source_metadata jsonb,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT quote_items_new_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX quote_items_new_quote_idx ON crm.quote_items_new (quote_id);

CREATE TABLE crm.jobs_new (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  company_id uuid,
  quote_id uuid NOT NULL REFERENCES crm.quotes_new (id),
  customer_id uuid NOT NULL REFERENCES crm.customers (id) DEFERRABLE INITIALLY DEFERRED,
  job_number text,
  title text,
  description text,
  status text NOT NULL CHECK (status IN ('scheduled', 'in_progress', 'completed')),
  scheduled_start timestamptz,
  actual_start timestamptz,
  actual_end timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT jobs_new_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX jobs_new_quote_idx ON crm.jobs_new (quote_id);
CREATE INDEX jobs_new_customer_idx ON crm.jobs_new (customer_id);

CREATE TABLE crm.invoices_new (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  company_id uuid,
  job_id uuid NOT NULL REFERENCES crm.jobs_new (id),
  customer_id uuid NOT NULL REFERENCES crm.customers (id) DEFERRABLE INITIALLY DEFERRED,
  invoice_number text,
  amount_due numeric NOT NULL,
  amount_paid numeric NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'sent', 'paid')),
  sent_at timestamptz,
  paid_at timestamptz,
  payment_method text,
  payment_link_url text,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT invoices_new_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX invoices_new_job_idx ON crm.invoices_new (job_id);
CREATE INDEX invoices_new_customer_idx ON crm.invoices_new (customer_id);

CREATE TABLE crm.payments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  invoice_id uuid NOT NULL REFERENCES crm.invoices_new (id),
  amount numeric NOT NULL,
  method text NOT NULL,
  paid_at timestamptz NOT NULL,
  created_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT payments_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX payments_invoice_idx ON crm.payments (invoice_id);
