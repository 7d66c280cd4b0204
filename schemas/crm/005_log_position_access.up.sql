-- Everybody may wait for a write. USAGE shows the application names and nothing else: it has no right on any table of the schema, and no other function there is for everybody.
GRANT SELECT, INSERT, UPDATE, DELETE ON crosswalk.log_position TO crosswalk_projector;
GRANT SELECT ON crosswalk.log_position TO crosswalk_reader;
GRANT USAGE ON SCHEMA crosswalk TO crosswalk_app;
GRANT EXECUTE ON FUNCTION crosswalk.applied_lsn(), crosswalk.wait_for_lsn(pg_lsn, interval) TO crosswalk_app, crosswalk_reader, crosswalk_projector;
