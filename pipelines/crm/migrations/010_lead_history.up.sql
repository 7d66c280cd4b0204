-- crosswalk: replaces 584fc89ba650c51ab3a0b2da4543dd3662c550c4680cc208d149dc423e01bf37
-- What happened to leads, one row a change. Rows are only ever added; their ids derive from the change, so that a replay adds the same ones.
-- They refer to no lead by a foreign key: a history outlives what it is about.

CREATE TABLE crm.lead_audit_log (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL,
  action text NOT NULL CHECK (action IN ('created', 'changed', 'deleted')),
  field_name text,                      -- a column of leads, or owner_id; null where the lead came or went
  old_value text,
  new_value text,
  changed_at timestamptz NOT NULL,
  ordinal integer NOT NULL DEFAULT 0,   -- of the change in its transaction
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT lead_audit_log_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX lead_audit_log_lead_idx ON crm.lead_audit_log (lead_id, changed_at);

CREATE TABLE crm.lead_status_history (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL,
  from_status text,
  to_status text,
  changed_at timestamptz NOT NULL,
  ordinal integer NOT NULL DEFAULT 0,   -- of the change in its transaction
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT lead_status_history_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX lead_status_history_lead_idx ON crm.lead_status_history (lead_id, changed_at);

CREATE TABLE crm.lead_score_history (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL,
  from_score integer,
  to_score integer,
  factors jsonb,
  changed_at timestamptz NOT NULL,
  ordinal integer NOT NULL DEFAULT 0,   -- of the change in its transaction
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT lead_score_history_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX lead_score_history_lead_idx ON crm.lead_score_history (lead_id, changed_at);

CREATE TABLE crm.lead_assignments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL,
  from_owner uuid,
  to_owner uuid,
  assigned_at timestamptz NOT NULL,
  ordinal integer NOT NULL DEFAULT 0,
  origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
  legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text,
  CONSTRAINT lead_assignments_lineage CHECK (origin = 'app' OR num_nulls(legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) = 0)
);
CREATE INDEX lead_assignments_lead_idx ON crm.lead_assignments (lead_id, assigned_at);

-- How long a lead was in each stage; the last one lasts still.
CREATE VIEW crm.lead_time_in_stage WITH (security_invoker = true) AS
  SELECT tenant_id, lead_id, to_status AS status, changed_at AS entered_at, lead(changed_at) OVER stages AS left_at,
    lead(changed_at) OVER stages - changed_at AS time_in_stage
  FROM crm.lead_status_history WINDOW stages AS (PARTITION BY lead_id ORDER BY changed_at, ordinal, id);

GRANT SELECT ON crm.lead_time_in_stage TO crosswalk_app, crosswalk_reader;
SELECT crosswalk.adopt(('crm.' || history)::regclass, 2, true) FROM unnest(ARRAY['lead_audit_log', 'lead_status_history', 'lead_score_history', 'lead_assignments']) AS history;
