REVOKE ALL ON crosswalk.verification_run, crosswalk.verification_count, crosswalk.verification_difference, crosswalk.verified FROM crosswalk_projector, crosswalk_reader;
