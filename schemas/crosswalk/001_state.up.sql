-- The projectors' own state. It lives beside the projected rows, so that rows and offsets commit together.

CREATE TABLE crosswalk.consumer_offset (
  projection text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  next_offset bigint NOT NULL,          -- the first offset that is not applied yet; compared and set with every batch
  source_lsn pg_lsn,                    -- commit LSN of the last change applied or parked
  source_committed_at timestamptz,      -- its commit time in the legacy database
  applied_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, topic, partition)
);

-- What each legacy row contributes to a merged row. A contribution that is no longer implied is kept, retired.
CREATE TABLE crosswalk.contribution (
  aggregate text NOT NULL,
  merge_key uuid NOT NULL,
  legacy_table text NOT NULL,
  legacy_key text NOT NULL,
  live boolean NOT NULL,
  moved_to uuid,                        -- where a retired contribution went; null when its legacy row was deleted
  data jsonb NOT NULL,
  source_lsn pg_lsn NOT NULL,
  source_xid bigint NOT NULL,
  source_committed_at timestamptz NOT NULL,
  mapping_version text NOT NULL,
  -- The merge key first: looked up by legacy key, nothing but the index below must seem to fit.
  PRIMARY KEY (merge_key, aggregate, legacy_table, legacy_key)
);
CREATE INDEX contribution_legacy_key_idx ON crosswalk.contribution (aggregate, legacy_table, legacy_key) WHERE live;

-- One row per merged key: what writers lock, in key order, before they fold.
CREATE TABLE crosswalk.merge_key (
  aggregate text NOT NULL,
  merge_key uuid NOT NULL,
  PRIMARY KEY (aggregate, merge_key)
);

-- Changes that wait for their cause (a parent row, a unique value still held by another row), and every later change of the same legacy key.
CREATE TABLE crosswalk.parked_change (
  projection text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  legacy_key text NOT NULL,
  source_lsn pg_lsn NOT NULL,
  record_key bytea NOT NULL,
  record_value bytea,
  reason text NOT NULL,                 -- SQLSTATE and constraint, never a value
  parked_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, topic, partition, record_offset)
);
CREATE INDEX parked_change_key_idx ON crosswalk.parked_change (projection, legacy_key);

-- Changes a projection could not apply: a defect of the mapping or a constraint violated for good.
CREATE TABLE crosswalk.dead_letter (
  projection text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  legacy_table text NOT NULL,
  legacy_key text NOT NULL,
  source_lsn pg_lsn NOT NULL,
  reason text NOT NULL,                 -- error code, constraint or class of the error, never a value
  mapping_version text NOT NULL,
  failed_at timestamptz NOT NULL DEFAULT now(),
  record_key bytea NOT NULL,
  record_value bytea,
  resolved_at timestamptz,
  resolution text,
  PRIMARY KEY (projection, topic, partition, record_offset)
);
CREATE INDEX dead_letter_open_idx ON crosswalk.dead_letter (projection, legacy_key) WHERE resolved_at IS NULL;
