REVOKE ALL ON FUNCTION crosswalk.applied_lsn(), crosswalk.wait_for_lsn(pg_lsn, interval) FROM crosswalk_app, crosswalk_reader, crosswalk_projector;
REVOKE USAGE ON SCHEMA crosswalk FROM crosswalk_app;
REVOKE ALL ON crosswalk.log_position FROM crosswalk_projector, crosswalk_reader;
