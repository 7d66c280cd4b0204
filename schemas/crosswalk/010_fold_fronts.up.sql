-- The front of a merge key: those of its many contributions that its fold needs, so that not all of them are read for each.

-- Whether the three columns below are kept of every contribution to the key. Not so where there are few, and none is told apart.
ALTER TABLE crosswalk.merge_key ADD COLUMN IF NOT EXISTS has_front boolean NOT NULL DEFAULT false;

-- Of a merge key without a front they mean nothing. Looked up by these columns alone, no other index must seem to fit: each is found by one of its own.
ALTER TABLE crosswalk.contribution
  ADD COLUMN IF NOT EXISTS front uuid,                                   -- the merge key, where each fold may need it; null: no fold needs it
  ADD COLUMN IF NOT EXISTS part uuid,                                    -- names the part of the merge key that it belongs to; null: to none
  ADD COLUMN IF NOT EXISTS in_part_front boolean NOT NULL DEFAULT false; -- whether each fold of its part may need it

-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contribution_front_idx ON crosswalk.contribution (front) WHERE front IS NOT NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contribution_part_idx ON crosswalk.contribution (part, in_part_front) WHERE part IS NOT NULL;
