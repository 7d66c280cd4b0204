-- The front of a merge key: those of its many contributions that its fold needs, so that not all of them are read for each. The next best ones are its reserve.

ALTER TABLE crosswalk.merge_key
  -- By which version of what the fold needs the columns below are kept of every contribution to the key. Null: they are not, as where there are few.
  ADD COLUMN IF NOT EXISTS front_version text,
  -- How many changes of contributions later the reserve may not hold the best ones any more: of the whole under '', and of parts. Null: there is none.
  ADD COLUMN IF NOT EXISTS reserves jsonb;

-- Of a merge key without a front they mean nothing. Looked up by these columns alone, no other index must seem to fit: each is found by one of its own.
ALTER TABLE crosswalk.contribution
  ADD COLUMN IF NOT EXISTS front uuid,                           -- the merge key, of what is in its front or its reserve
  ADD COLUMN IF NOT EXISTS front_rank smallint,                  -- 0: each fold may need it; 1: in the reserve
  ADD COLUMN IF NOT EXISTS part uuid,                            -- names the part of the merge key that it belongs to; null: to none
  ADD COLUMN IF NOT EXISTS part_rank smallint NOT NULL DEFAULT 2; -- 0: each fold of its part may need it; 1: in the part's reserve; 2: neither

-- Projectors of an earlier version, which write contributions without these columns, lock a merge key by an update of this column. Others name another one.
CREATE OR REPLACE FUNCTION crosswalk.forget_front() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.front_version := NULL;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION crosswalk.forget_front() FROM PUBLIC;
CREATE OR REPLACE TRIGGER forget_front BEFORE UPDATE OF merge_key ON crosswalk.merge_key
  FOR EACH ROW WHEN (OLD.front_version IS NOT NULL) EXECUTE FUNCTION crosswalk.forget_front();

-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contribution_front_idx ON crosswalk.contribution (front, front_rank) WHERE front IS NOT NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contribution_part_idx ON crosswalk.contribution (part, part_rank) WHERE part IS NOT NULL;
