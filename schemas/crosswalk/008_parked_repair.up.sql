-- A repair that has to wait stays one: what its record's header said, null for every other change.
ALTER TABLE crosswalk.parked_change ADD COLUMN repair jsonb;
