-- Rights on what verification writes, for databases whose roles were granted before these tables were made.
GRANT SELECT, INSERT, UPDATE, DELETE ON crosswalk.verification_run, crosswalk.verification_count, crosswalk.verification_difference, crosswalk.verified TO crosswalk_projector;
GRANT SELECT ON crosswalk.verification_run, crosswalk.verification_count, crosswalk.verification_difference, crosswalk.verified TO crosswalk_reader;
