-- Who sees how much of the new schema: an append-only log of stages, and the evidence that they rest on. No legacy data flows into these tables, and
-- no replay, rebuild or repair touches them.
--   tenant_id null: all tenants.

-- Each gate that was evaluated, with what it rests on.
CREATE TABLE crosswalk.gate (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text,
  verdict text NOT NULL CHECK (verdict IN ('go', 'no-go')),
  evidence jsonb NOT NULL,              -- the checklist, line by line, and the limits that it was held against
  evaluated_by text NOT NULL,
  role text NOT NULL DEFAULT session_user,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What people vouch for: that a backup was taken and restored once, that the way back was tried.
CREATE TABLE crosswalk.confirmation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('backup', 'rollback')),
  tenant_id text,
  confirmed_by text NOT NULL CHECK (btrim(confirmed_by) <> ''),
  note text NOT NULL CHECK (btrim(note) <> ''),
  valid_until timestamptz NOT NULL,
  role text NOT NULL DEFAULT session_user,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE crosswalk.stage_log (
  number bigint PRIMARY KEY,            -- the order of the entries; given by the trigger below, like at, role and previous
  tenant_id text,
  stage integer NOT NULL CHECK (stage BETWEEN 0 AND 4),
  previous integer NOT NULL,            -- the tenant's stage before; of an entry for all: that of tenants without an entry of their own since
  set_by text NOT NULL CHECK (btrim(set_by) <> ''),
  role text NOT NULL,
  at timestamptz NOT NULL,
  reason text,
  forced boolean NOT NULL DEFAULT false, -- raised although the gate did not pass
  gate_id bigint REFERENCES crosswalk.gate (id),
  evidence jsonb NOT NULL DEFAULT '{}',
  CONSTRAINT stage_log_forced_check CHECK (NOT forced OR btrim(coalesce(reason, '')) <> '')
);
CREATE INDEX stage_log_tenant_idx ON crosswalk.stage_log (tenant_id, number);

-- How far each projection was behind the legacy database, four times a minute, for 25 hours.
CREATE TABLE crosswalk.lag_sample (
  projection text NOT NULL,
  at timestamptz NOT NULL,              -- the beginning of its quarter of a minute
  lag_seconds double precision,         -- from a commit in the legacy database to its rows here; null: not known, or the initial load is under way
  lag_offsets bigint NOT NULL,
  PRIMARY KEY (projection, at)
);

-- The newest entry that concerns the tenant: one of its own, or one for all. 0 without any. With null: the stage of tenants without an entry of their own.
-- STABLE, so that every row of a statement is seen under the same stage, and the next statement under the next one.
CREATE FUNCTION crosswalk.current_stage(tenant text) RETURNS integer
  LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce((SELECT stage FROM (
      (SELECT number, stage FROM crosswalk.stage_log WHERE tenant_id = tenant ORDER BY number DESC LIMIT 1)
      UNION ALL
      (SELECT number, stage FROM crosswalk.stage_log WHERE tenant_id IS NULL ORDER BY number DESC LIMIT 1)
    ) newest ORDER BY number DESC LIMIT 1), 0)
$$;

-- The lowest stage that any tenant has: an entry for all above it raises somebody.
CREATE FUNCTION crosswalk.lowest_stage() RETURNS integer
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT least(crosswalk.current_stage(NULL),
    (SELECT min(crosswalk.current_stage(tenant_id)) FROM (SELECT DISTINCT tenant_id FROM crosswalk.stage_log WHERE tenant_id IS NOT NULL) known))
$$;

-- One entry at a time, so that their numbers tell the order in which they took effect. Whoever may add an entry, by whatever program: nothing is raised
-- without a passed gate of the same tenant not older than an hour, unless it is said to be forced, and why. Lowering asks for nothing.
CREATE FUNCTION crosswalk.number_stage() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE lowest integer;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('crosswalk.stage_log', 0));
  NEW.number := (SELECT coalesce(max(number), 0) + 1 FROM crosswalk.stage_log);
  NEW.at := clock_timestamp();
  NEW.role := session_user;
  NEW.previous := crosswalk.current_stage(NEW.tenant_id);
  lowest := CASE WHEN NEW.tenant_id IS NULL THEN crosswalk.lowest_stage() ELSE NEW.previous END;
  IF NEW.stage > lowest AND NOT NEW.forced AND NOT EXISTS (SELECT FROM crosswalk.gate
      WHERE id = NEW.gate_id AND verdict = 'go' AND tenant_id IS NOT DISTINCT FROM NEW.tenant_id AND at > clock_timestamp() - interval '1 hour') THEN
    RAISE EXCEPTION 'raising % to stage % needs a passed gate of the last hour', coalesce(NEW.tenant_id, 'all tenants'), NEW.stage
      USING ERRCODE = 'check_violation', CONSTRAINT = 'stage_log_gate_check';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER number_stage BEFORE INSERT ON crosswalk.stage_log FOR EACH ROW EXECUTE FUNCTION crosswalk.number_stage();

CREATE FUNCTION crosswalk.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '%.% is only ever added to', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;
DO $$
DECLARE kept text;
BEGIN
  FOREACH kept IN ARRAY ARRAY['stage_log', 'gate', 'confirmation'] LOOP
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON crosswalk.%I FOR EACH STATEMENT EXECUTE FUNCTION crosswalk.refuse_change()', kept);
    EXECUTE format('ALTER TABLE crosswalk.%I ENABLE ALWAYS TRIGGER refuse_change', kept);
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION crosswalk.current_stage(text), crosswalk.lowest_stage(), crosswalk.number_stage(), crosswalk.refuse_change() FROM PUBLIC;
