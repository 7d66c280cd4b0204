DROP FUNCTION crosswalk.wait_for_lsn(pg_lsn, interval);
DROP FUNCTION crosswalk.applied_lsn();
DROP FUNCTION crosswalk.is_past(jsonb);
DROP INDEX crosswalk.parked_change_lsn_idx;
DROP TABLE crosswalk.log_position;
