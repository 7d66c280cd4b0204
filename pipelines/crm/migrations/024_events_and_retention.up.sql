-- What happened in the application, by month; and what is kept for how long.

CREATE TABLE crm.analytics_events (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  user_id bigint REFERENCES crm.users (id) ON DELETE SET NULL,
  chatbot_id bigint REFERENCES crm.chatbots (id) ON DELETE SET NULL,
  event_type text NOT NULL CHECK (btrim(event_type) <> ''),
  event_data jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(event_data) = 'object'),
  session_id text,
  PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX analytics_events_user_idx ON crm.analytics_events (user_id, event_type, occurred_at DESC);
COMMENT ON INDEX crm.analytics_events_user_idx IS 'events of one account by kind: WHERE user_id = $1 AND event_type = $2';
CREATE INDEX analytics_events_tenant_idx ON crm.analytics_events (tenant_id, occurred_at DESC);
COMMENT ON INDEX crm.analytics_events_tenant_idx IS 'events of one tenant in a span of time: WHERE occurred_at >= $1';
CREATE INDEX analytics_events_chatbot_idx ON crm.analytics_events (chatbot_id) WHERE chatbot_id IS NOT NULL;
COMMENT ON INDEX crm.analytics_events_chatbot_idx IS 'events of one chatbot: WHERE chatbot_id = $1; and the foreign key when a chatbot is deleted';
-- Of months that nobody has made: no event is refused.
CREATE TABLE crm.analytics_events_other PARTITION OF crm.analytics_events DEFAULT;
SELECT crm.open_to_application('crm.analytics_events', 1, true);
SELECT crm.refer_within_tenant('crm.analytics_events', 'user_id', 'crm.users'), crm.refer_within_tenant('crm.analytics_events', 'chatbot_id', 'crm.chatbots');

-- Rows of lead_audit_log that are older than the retention time, as they were. Those of the application cannot be brought back; those that are projected come back with a replay of the log, and go again.
CREATE TABLE crm.lead_audit_archive (
  id uuid PRIMARY KEY,
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL,
  changed_at timestamptz NOT NULL,
  entry jsonb NOT NULL,
  archived_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX lead_audit_archive_lead_idx ON crm.lead_audit_archive (lead_id, changed_at);
COMMENT ON INDEX crm.lead_audit_archive_lead_idx IS 'what happened to one lead long ago: WHERE lead_id = $1 ORDER BY changed_at';
SELECT crm.open_to_application('crm.lead_audit_archive', 2, true);
REVOKE INSERT ON crm.lead_audit_archive FROM crosswalk_app;

-- Makes the partition of a month (UTC) where there is none, and moves what lies in the partition of other months into it. Returns its name; null: it is there.
CREATE FUNCTION crm.make_events_partition(month date) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := 'analytics_events_' || to_char(month, 'YYYY_MM');
  begins timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
  ends timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
  IF to_regclass(format('crm.%I', name)) IS NOT NULL THEN RETURN NULL; END IF;
  -- Nobody adds to the partition of other months between the move and the end.
  LOCK TABLE crm.analytics_events IN ACCESS EXCLUSIVE MODE;
  EXECUTE format('CREATE TABLE crm.%I (LIKE crm.analytics_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
  EXECUTE format('WITH moved AS (DELETE FROM crm.analytics_events_other e WHERE e.occurred_at >= $1 AND e.occurred_at < $2 RETURNING e.*) INSERT INTO crm.%I SELECT * FROM moved', name)
    USING begins, ends;
  EXECUTE format('ALTER TABLE crm.analytics_events ATTACH PARTITION crm.%I FOR VALUES FROM (%L) TO (%L)', name, begins, ends);
  RETURN name;
END $$;

-- What a person or a clock calls once a month, as the owner: makes the partitions of this month and the three after it, drops those that ended before `events_for` ago, and moves rows of lead_audit_log
-- that are older than `audit_for` into the archive. Safe to repeat. `as_of`: the time that it works for. One at a time.
CREATE FUNCTION crm.keep_retention(audit_for interval DEFAULT '1 year', events_for interval DEFAULT '2 years', as_of timestamptz DEFAULT now(),
  OUT archived bigint, OUT made text[], OUT dropped text[]) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first_month timestamp := date_trunc('month', as_of AT TIME ZONE 'UTC');
  name text;
BEGIN
  IF audit_for <= interval '0' OR events_for <= interval '0' OR audit_for IS NULL OR events_for IS NULL THEN
    RAISE EXCEPTION 'a retention time is longer than nothing' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('crosswalk.retention', 0));
  made := '{}';
  dropped := '{}';
  FOR month IN 0..3 LOOP
    name := crm.make_events_partition((first_month + make_interval(months => month))::date);
    IF name IS NOT NULL THEN made := made || name; END IF;
  END LOOP;
  FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'crm.analytics_events'::regclass AND c.relname ~ '^analytics_events_[0-9]{4}_[0-9]{2}$'
      AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= (as_of - events_for) AT TIME ZONE 'UTC' ORDER BY 1 LOOP
    EXECUTE format('DROP TABLE crm.%I', name);
    dropped := dropped || name;
  END LOOP;
  DELETE FROM crm.analytics_events_other e WHERE e.occurred_at < as_of - events_for;
  -- The same row twice is one: a replay of the log adds it under its old id.
  WITH moved AS (DELETE FROM crm.lead_audit_log l WHERE l.changed_at < as_of - audit_for RETURNING l.*)
    INSERT INTO crm.lead_audit_archive (id, tenant_id, lead_id, changed_at, entry) SELECT m.id, m.tenant_id, m.lead_id, m.changed_at, to_jsonb(m) FROM moved m ON CONFLICT (id) DO NOTHING;
  GET DIAGNOSTICS archived = ROW_COUNT;
END $$;
REVOKE ALL ON FUNCTION crm.make_events_partition(date), crm.keep_retention(interval, interval, timestamptz) FROM PUBLIC;
SELECT crm.make_events_partition((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => month))::date) FROM generate_series(0, 3) AS month;
