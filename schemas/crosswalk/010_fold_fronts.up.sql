-- The front of a merge key: those of its many contributions that its fold needs, so that not all of them are read for each. The next best ones are its reserve.

ALTER TABLE crosswalk.merge_key
  -- Whether the columns below are kept of every contribution to the key. Not so where there are few, and none is told apart.
  ADD COLUMN IF NOT EXISTS has_front boolean NOT NULL DEFAULT false,
  -- How many changes of contributions later the reserve may not hold the best ones any more: of the whole under '', and of parts. Null: there is none.
  ADD COLUMN IF NOT EXISTS reserves jsonb;

-- Of a merge key without a front they mean nothing. Looked up by these columns alone, no other index must seem to fit: each is found by one of its own.
ALTER TABLE crosswalk.contribution
  ADD COLUMN IF NOT EXISTS front uuid,                           -- the merge key, of what is in its front or its reserve
  ADD COLUMN IF NOT EXISTS front_rank smallint,                  -- 0: each fold may need it; 1: in the reserve
  ADD COLUMN IF NOT EXISTS part uuid,                            -- names the part of the merge key that it belongs to; null: to none
  ADD COLUMN IF NOT EXISTS part_rank smallint NOT NULL DEFAULT 2; -- 0: each fold of its part may need it; 1: in the part's reserve; 2: neither

-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contribution_front_idx ON crosswalk.contribution (front, front_rank) WHERE front IS NOT NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contribution_part_idx ON crosswalk.contribution (part, part_rank) WHERE part IS NOT NULL;
