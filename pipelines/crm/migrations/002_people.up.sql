-- People and what they may become.

CREATE TABLE crm.contacts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  user_id bigint NOT NULL REFERENCES crm.users (id),
  chatbot_id bigint NOT NULL REFERENCES crm.chatbots (id),
  workspace_id text,
  firstname text,
  lastname text,
  name text,
  phone_number text,                    -- as the legacy row spells it
  phone_e164 text,
  email text,
  market text,
  conversation_status text,
  tags text[],
  sentiment text,
  thread_id text,
  owner_id uuid,
  opted_out boolean,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT contacts_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0),
  CONSTRAINT contacts_phone_e164_check CHECK (phone_e164 ~ '^\+[1-9][0-9]{1,14}$'),
  CONSTRAINT contacts_user_phone_key EXCLUDE USING btree (user_id WITH =, phone_number WITH =)
    WHERE (origin = 'cdc' AND deleted_at IS NULL) DEFERRABLE,
  CONSTRAINT contacts_user_thread_key EXCLUDE USING btree (user_id WITH =, thread_id WITH =)
    WHERE (origin = 'cdc' AND deleted_at IS NULL) DEFERRABLE
);
CREATE INDEX contacts_tenant_idx ON crm.contacts (tenant_id, updated_at DESC) WHERE deleted_at IS NULL;
CREATE INDEX contacts_phone_idx ON crm.contacts (tenant_id, phone_e164) WHERE deleted_at IS NULL;

-- Merged: one row per customer key, folded from every quote that names this customer. References to it are checked at commit: merged rows are
-- written last, so that their locks are held for the shortest time.
CREATE TABLE crm.customers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  company_id uuid,
  customer_key text,
  name text,
  email text,
  phone_raw text,
  phone_e164 text,
  source_metadata jsonb,
  created_at timestamptz,
  updated_at timestamptz,
  superseded_by uuid,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT customers_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0),
  CONSTRAINT customers_phone_e164_check CHECK (phone_e164 ~ '^\+[1-9][0-9]{1,14}$'),
  CONSTRAINT customers_phone_key EXCLUDE USING btree (tenant_id WITH =, phone_e164 WITH =)
    WHERE (origin = 'cdc' AND deleted_at IS NULL) DEFERRABLE
);
CREATE INDEX customers_tenant_idx ON crm.customers (tenant_id, updated_at DESC) WHERE deleted_at IS NULL;

CREATE TABLE crm.customer_addresses (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  customer_id uuid NOT NULL REFERENCES crm.customers (id) DEFERRABLE INITIALLY DEFERRED,
  address text NOT NULL,
  normalised_address text NOT NULL,
  is_primary boolean NOT NULL,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT customer_addresses_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX customer_addresses_customer_idx ON crm.customer_addresses (customer_id);

CREATE TABLE crm.leads (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  contact_id uuid REFERENCES crm.contacts (id),
  customer_id uuid REFERENCES crm.customers (id) DEFERRABLE INITIALLY DEFERRED,
  company_id uuid,
  workspace_id text,
  status text CONSTRAINT leads_status_check CHECK (status IN ('new', 'contacted', 'qualified', 'nurturing', 'proposal', 'won', 'converted', 'lost', 'unqualified')),
  lead_status_id integer REFERENCES crm.status_options (id),
  lead_source text,
  sub_source text,
  product_interest text,
  description text,
  name text,
  email text,
  phone text CONSTRAINT leads_phone_check CHECK (phone ~ '^\+[1-9][0-9]{1,14}$'),
  phone_raw text,
  address text,
  priority text,
  campaign_id uuid,
  utm_source text,
  utm_medium text,
  utm_campaign text,
  estimated_value numeric,
  expected_close_date date,
  lead_score integer CONSTRAINT leads_score_check CHECK (lead_score BETWEEN 0 AND 100),
  lead_score_factors jsonb,
  qualification_status text,
  notes text,
  tags text[],
  source_metadata jsonb,
  scheduled_visit_at timestamptz,
  is_converted boolean NOT NULL DEFAULT false,
  converted_to_client_id uuid REFERENCES crm.customers (id) DEFERRABLE INITIALLY DEFERRED,
  conversion_date timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT leads_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0),
  -- A lead comes from a contact or from a quote, and from nothing else.
  CONSTRAINT leads_source_check CHECK (num_nonnulls(contact_id, customer_id) = 1),
  CONSTRAINT leads_conversion_check CHECK (is_converted OR num_nonnulls(converted_to_client_id, conversion_date) = 0)
);
CREATE INDEX leads_contact_idx ON crm.leads (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX leads_customer_idx ON crm.leads (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX leads_tenant_status_idx ON crm.leads (tenant_id, status) WHERE deleted_at IS NULL;

CREATE TABLE crm.lead_custom_fields (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL REFERENCES crm.leads (id),
  field_name text NOT NULL,
  field_value text,
  field_type text NOT NULL DEFAULT 'text' CHECK (field_type IN ('text', 'number', 'boolean', 'date', 'json')),
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT lead_custom_fields_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0),
  -- A field of the application may have the name of a projected one.
  CONSTRAINT lead_custom_fields_name_key UNIQUE (lead_id, field_name, origin)
);

-- Merged: lives while anyone opted out under this identity.
CREATE TABLE crm.dnc_list (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  identity text NOT NULL,
  identity_kind text NOT NULL CHECK (identity_kind IN ('phone', 'digits', 'email')),
  opted_out_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  deleted_at timestamptz,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT dnc_list_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX dnc_list_identity_idx ON crm.dnc_list (tenant_id, identity) WHERE deleted_at IS NULL;

CREATE TABLE crm.rejects (
  id uuid PRIMARY KEY,
  tenant_id text NOT NULL,
  path text NOT NULL,
  raw_value text NOT NULL,
  reason text NOT NULL,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT rejects_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX rejects_legacy_key_idx ON crm.rejects (legacy_key);
