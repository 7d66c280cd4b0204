-- Legacy values that have no valid form in the new tables. For operators alone: the application does not see them.
CREATE TABLE app.rejects (
  id uuid PRIMARY KEY,
  tenant_id text NOT NULL,
  path text NOT NULL,
  raw_value text NOT NULL,
  reason text NOT NULL
);
SELECT crosswalk.adopt('app.rejects', NULL);
CREATE INDEX rejects_legacy_key_idx ON app.rejects (legacy_key);
SELECT crosswalk.show_operators('app.rejects', ARRAY['tenant_id', 'legacy_table', 'reason']);
