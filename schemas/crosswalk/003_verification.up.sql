-- What verification found, run by run, and how far the new tables are verified.

CREATE TABLE crosswalk.verification_run (
  id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('once', 'watch')),
  workspace text,                       -- the only tenant that was looked at; null: all of them
  through timestamptz NOT NULL,         -- clock of the legacy database when the run began: it covers everything that was committed before
  mapping text NOT NULL,                -- names and versions of the projections
  progress jsonb NOT NULL,              -- how far each part is, for --resume; saved together with the counts and differences up to there
  started_at timestamptz NOT NULL DEFAULT now(),
  saved_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  ok boolean                            -- null until it is finished
);

-- Rows compared and what was found, by tenant, of the runs that are kept.
CREATE TABLE crosswalk.verification_count (
  run_id uuid NOT NULL REFERENCES crosswalk.verification_run (id) ON DELETE CASCADE,
  table_name text NOT NULL,
  tenant_id text NOT NULL,
  expected bigint NOT NULL,             -- rows that the legacy tables imply
  actual bigint NOT NULL,               -- rows found
  missing bigint NOT NULL,
  extra bigint NOT NULL,
  differing bigint NOT NULL,
  unsettled bigint NOT NULL,            -- rows that changed at every look: neither equal nor different
  PRIMARY KEY (run_id, table_name, tenant_id)
);

-- Differences of the runs that are kept: a line for each column of a row that differs, one for a row that is missing or too much, or that never settled.
CREATE TABLE crosswalk.verification_difference (
  run_id uuid NOT NULL REFERENCES crosswalk.verification_run (id) ON DELETE CASCADE,
  number bigint GENERATED ALWAYS AS IDENTITY,
  table_name text NOT NULL,
  row_id text NOT NULL,
  tenant_id text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('missing', 'extra', 'differs', 'unsettled')),
  column_name text,
  expected text,
  actual text,
  legacy_table text,                    -- the legacy row that implies the row, or that the row names: what is sent again to repair it
  legacy_key text,
  aggregate text,                       -- of a merged row: what to fold again
  merge_key text,
  source_lsn pg_lsn,                    -- lineage of the row that was found
  source_xid bigint,
  source_committed_at timestamptz,
  mapping_version text,
  explained text,                       -- 'parked' or 'dead letter': a change of this legacy row waits, or could not be applied
  repaired_at timestamptz,              -- when it was sent again and found equal
  PRIMARY KEY (run_id, number)
);
CREATE INDEX verification_difference_row_idx ON crosswalk.verification_difference (run_id, table_name, row_id);

-- The last verification of each projected table, by tenant. Written when a run ends, for everything that the run looked at.
--   tenant_id '*' is the whole table over all tenants, rows whose tenant nobody knows included. Only a run over all tenants writes it.
--   A tenant without a row had no rows in that table, expected or found, when '*' was written: what '*' says of verified_through is true of it.
--   table_name is that of a projected table, or 'contribution' (what legacy rows say about merged rows).
--   Proven is: differences = 0 AND unsettled = 0, for everything committed in the legacy database before verified_through.
CREATE TABLE crosswalk.verified (
  table_name text NOT NULL,
  tenant_id text NOT NULL,
  verified_through timestamptz NOT NULL,
  rows bigint NOT NULL,
  differences bigint NOT NULL,
  unsettled bigint NOT NULL,
  checked_at timestamptz NOT NULL DEFAULT now(),
  run_id uuid NOT NULL,
  PRIMARY KEY (table_name, tenant_id)
);
CREATE INDEX verified_tenant_idx ON crosswalk.verified (tenant_id);
