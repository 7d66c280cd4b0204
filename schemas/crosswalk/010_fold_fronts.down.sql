-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crosswalk.contribution_part_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crosswalk.contribution_front_idx;
-- crosswalk: transaction
DROP TRIGGER IF EXISTS forget_front ON crosswalk.merge_key;
DROP FUNCTION IF EXISTS crosswalk.forget_front();
ALTER TABLE crosswalk.contribution DROP COLUMN IF EXISTS part_rank, DROP COLUMN IF EXISTS part, DROP COLUMN IF EXISTS front_rank, DROP COLUMN IF EXISTS front;
ALTER TABLE crosswalk.merge_key DROP COLUMN IF EXISTS reserves, DROP COLUMN IF EXISTS front_version;
