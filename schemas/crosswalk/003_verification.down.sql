DROP TABLE crosswalk.verified;
DROP TABLE crosswalk.verification_difference;
DROP TABLE crosswalk.verification_count;
DROP TABLE crosswalk.verification_run;
