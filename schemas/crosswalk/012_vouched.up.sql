-- People vouch for two more things: that the team is briefed, and that monitoring is in place.
ALTER TABLE crosswalk.confirmation DROP CONSTRAINT confirmation_kind_check;
ALTER TABLE crosswalk.confirmation ADD CONSTRAINT confirmation_kind_check CHECK (kind IN ('backup', 'rollback', 'team', 'monitoring')) NOT VALID;
ALTER TABLE crosswalk.confirmation VALIDATE CONSTRAINT confirmation_kind_check;
