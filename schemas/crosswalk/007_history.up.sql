-- The state of each legacy row that a history has last seen: what a later read of the row is compared with.
CREATE TABLE crosswalk.history_state (
  projection text NOT NULL,
  legacy_key text NOT NULL,
  record_offset bigint NOT NULL,        -- of the change that led to it, in its partition
  state jsonb,                          -- null: the legacy row had none, or is gone
  PRIMARY KEY (projection, legacy_key)
);
