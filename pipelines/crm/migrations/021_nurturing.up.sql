-- What the application does with leads: costs of their sources, sequences that nurture them, saved filters, consents, and its own settings. How rows go when others go: docs/application.md.

CREATE TABLE crm.lead_source_costs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_source text NOT NULL CHECK (btrim(lead_source) <> ''),
  month date NOT NULL CONSTRAINT lead_source_costs_month_check CHECK (extract(day FROM month) = 1),
  cost numeric(12,2) NOT NULL CONSTRAINT lead_source_costs_cost_check CHECK (cost >= 0 AND cost <> 'NaN'),
  currency text NOT NULL DEFAULT 'USD' CONSTRAINT lead_source_costs_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
  notes text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT lead_source_costs_key UNIQUE (tenant_id, lead_source, month, currency)
);
COMMENT ON INDEX crm.lead_source_costs_key IS 'costs of one tenant by source and month: crm.lead_source_roi';

CREATE TABLE crm.nurture_sequences (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  name text NOT NULL CHECK (btrim(name) <> ''),
  description text,
  steps jsonb NOT NULL CONSTRAINT nurture_sequences_steps_check CHECK (CASE WHEN jsonb_typeof(steps) = 'array' THEN jsonb_array_length(steps) > 0 ELSE false END),
  channels text[] NOT NULL CONSTRAINT nurture_sequences_channels_check
    CHECK (cardinality(channels) > 0 AND array_position(channels, NULL) IS NULL AND channels <@ ARRAY['email', 'sms', 'call', 'whatsapp']),
  triggers jsonb NOT NULL DEFAULT '[]' CONSTRAINT nurture_sequences_triggers_check CHECK (jsonb_typeof(triggers) = 'array'),
  is_active boolean NOT NULL DEFAULT true,
  created_by text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT nurture_sequences_tenant_key UNIQUE (tenant_id, id)
);
CREATE UNIQUE INDEX nurture_sequences_name_key ON crm.nurture_sequences (tenant_id, name) WHERE deleted_at IS NULL;
COMMENT ON INDEX crm.nurture_sequences_name_key IS 'the live sequences of one tenant by name';

CREATE TABLE crm.lead_sequence_enrollments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL REFERENCES crm.leads (id),
  sequence_id uuid NOT NULL,
  status text NOT NULL DEFAULT 'active' CONSTRAINT lead_sequence_enrollments_status_check CHECK (status IN ('active', 'paused', 'completed', 'stopped')),
  current_step integer NOT NULL DEFAULT 0 CHECK (current_step >= 0),
  next_step_at timestamptz,
  execution_log jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(execution_log) = 'array'),
  stop_reason text,
  enrolled_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT lead_sequence_enrollments_completed_check CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
  CONSTRAINT lead_sequence_enrollments_sequence_fkey FOREIGN KEY (tenant_id, sequence_id) REFERENCES crm.nurture_sequences (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX lead_sequence_enrollments_open_key ON crm.lead_sequence_enrollments (lead_id, sequence_id) WHERE status IN ('active', 'paused');
COMMENT ON INDEX crm.lead_sequence_enrollments_open_key IS 'a lead is in a sequence once at a time';
CREATE INDEX lead_sequence_enrollments_lead_idx ON crm.lead_sequence_enrollments (lead_id);
COMMENT ON INDEX crm.lead_sequence_enrollments_lead_idx IS 'sequences of one lead: WHERE lead_id = $1';
CREATE INDEX lead_sequence_enrollments_sequence_idx ON crm.lead_sequence_enrollments (tenant_id, sequence_id);
COMMENT ON INDEX crm.lead_sequence_enrollments_sequence_idx IS 'leads of one sequence: WHERE sequence_id = $1; and the cascade when a sequence is deleted';
CREATE INDEX lead_sequence_enrollments_due_idx ON crm.lead_sequence_enrollments (tenant_id, next_step_at) WHERE status = 'active';
COMMENT ON INDEX crm.lead_sequence_enrollments_due_idx IS 'steps that are due: WHERE status = ''active'' AND next_step_at <= now() ORDER BY next_step_at';

CREATE TABLE crm.segments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  name text NOT NULL CHECK (btrim(name) <> ''),
  description text,
  filter jsonb NOT NULL CONSTRAINT segments_filter_check CHECK (jsonb_typeof(filter) = 'object'),
  is_public boolean NOT NULL DEFAULT false,
  user_id bigint REFERENCES crm.users (id),   -- whose it is; the application keeps private ones from others
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
CREATE UNIQUE INDEX segments_name_key ON crm.segments (tenant_id, name) WHERE deleted_at IS NULL;
COMMENT ON INDEX crm.segments_name_key IS 'the live segments of one tenant by name';
CREATE INDEX segments_user_idx ON crm.segments (user_id) WHERE user_id IS NOT NULL;
COMMENT ON INDEX crm.segments_user_idx IS 'segments of one person: WHERE user_id = $1';

CREATE TABLE crm.system_config (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  key text NOT NULL CHECK (btrim(key) <> ''),
  value jsonb NOT NULL,
  description text,
  updated_by text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT system_config_key UNIQUE (tenant_id, key)
);
COMMENT ON INDEX crm.system_config_key IS 'a setting of one tenant: WHERE key = $1';

-- What people have agreed to, and taken back. A table of its own, since the application changes no projected row. The newest entry of a person and a channel counts: crm.current_consents.
CREATE TABLE crm.consents (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  contact_id uuid REFERENCES crm.contacts (id),
  lead_id uuid REFERENCES crm.leads (id),
  channel text NOT NULL CONSTRAINT consents_channel_check CHECK (channel IN ('email', 'sms', 'call', 'whatsapp')),
  is_given boolean NOT NULL,            -- false: taken back
  method text NOT NULL CONSTRAINT consents_method_check CHECK (method IN ('person', 'form', 'import', 'ai')),
  evidence text,
  ip_address inet,
  given_by text,
  at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  number bigint GENERATED ALWAYS AS IDENTITY, -- of entries of one moment the greater one is the newer
  CONSTRAINT consents_subject_check CHECK (num_nonnulls(contact_id, lead_id) = 1)
);
CREATE INDEX consents_contact_idx ON crm.consents (contact_id, channel, at DESC) WHERE contact_id IS NOT NULL;
COMMENT ON INDEX crm.consents_contact_idx IS 'the newest consent of a contact: WHERE contact_id = $1 AND channel = $2';
CREATE INDEX consents_lead_idx ON crm.consents (lead_id, channel, at DESC) WHERE lead_id IS NOT NULL;
COMMENT ON INDEX crm.consents_lead_idx IS 'the newest consent of a lead: WHERE lead_id = $1 AND channel = $2';
CREATE VIEW crm.current_consents WITH (security_invoker = true) AS
  SELECT DISTINCT ON (tenant_id, contact_id, lead_id, channel) tenant_id, contact_id, lead_id, channel,
    is_given AND (expires_at IS NULL OR expires_at > now()) AS is_given, method, at, expires_at
  FROM crm.consents ORDER BY tenant_id, contact_id, lead_id, channel, at DESC, number DESC;

-- What leads of a source cost, by the month in which they came (UTC). Of one currency at a time: nothing is converted.
CREATE VIEW crm.lead_source_roi WITH (security_invoker = true) AS
  SELECT c.tenant_id, c.lead_source, c.month, c.currency, c.cost, coalesce(l.leads, 0) AS leads, coalesce(l.converted, 0) AS converted,
    round(c.cost / l.leads, 2) AS cost_per_lead, round(c.cost / nullif(l.converted, 0), 2) AS cost_per_conversion
  FROM crm.lead_source_costs c LEFT JOIN (
    SELECT tenant_id, lead_source, date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month, count(*) AS leads, count(*) FILTER (WHERE is_converted) AS converted
    FROM crm.leads WHERE deleted_at IS NULL AND lead_source IS NOT NULL GROUP BY 1, 2, 3) l USING (tenant_id, lead_source, month);

SELECT crm.open_to_application('crm.lead_source_costs', 1), crm.open_to_application('crm.nurture_sequences', 1), crm.open_to_application('crm.lead_sequence_enrollments', 1),
  crm.open_to_application('crm.segments', 1), crm.open_to_application('crm.system_config', 0), crm.open_to_application('crm.consents', 1, true);
SELECT crm.refer_within_tenant('crm.lead_sequence_enrollments', 'lead_id', 'crm.leads'),
  crm.refer_within_tenant('crm.consents', 'lead_id', 'crm.leads'),
  crm.refer_within_tenant('crm.consents', 'contact_id', 'crm.contacts'),
  crm.refer_within_tenant('crm.segments', 'user_id', 'crm.users');
GRANT SELECT ON crm.current_consents, crm.lead_source_roi TO crosswalk_app, crosswalk_reader;
