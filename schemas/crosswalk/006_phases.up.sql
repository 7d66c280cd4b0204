-- What was done to the databases in the course of a migration: by whom, when, and what was there before and after. `crosswalk migrate run` and
-- `crosswalk backup` write here before any other migration is applied: they run this file themselves, as often as they like.

CREATE TABLE IF NOT EXISTS crosswalk.phase_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id uuid NOT NULL,                 -- of one command
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  role text NOT NULL DEFAULT session_user,
  operator text NOT NULL,               -- account and host that the command ran under
  phase text NOT NULL CHECK (phase IN ('prepare', 'backup', 'schema', 'capture', 'load', 'verify', 'opt-in')),
  action text NOT NULL CHECK (action IN ('run', 'rollback', 'down', 'backup taken', 'backup verified')),
  verdict text NOT NULL CHECK (verdict IN ('begun', 'done', 'no-go', 'failed')),
  before jsonb,                         -- counts by table, or what rollback returns to
  after jsonb,
  detail jsonb NOT NULL DEFAULT '{}',
  reason text                           -- why something was done that is otherwise refused
);
CREATE INDEX IF NOT EXISTS phase_log_phase_idx ON crosswalk.phase_log (phase, id);

-- Entries are added and never changed: what may not be undone rests on them.
CREATE OR REPLACE FUNCTION crosswalk.refuse_phase_log_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'crosswalk.phase_log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON crosswalk.phase_log
  FOR EACH STATEMENT EXECUTE FUNCTION crosswalk.refuse_phase_log_change();
