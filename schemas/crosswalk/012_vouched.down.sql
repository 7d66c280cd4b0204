-- Entries are only ever added: those of the two kinds stay, and the constraint then holds for new entries alone.
ALTER TABLE crosswalk.confirmation DROP CONSTRAINT confirmation_kind_check;
ALTER TABLE crosswalk.confirmation ADD CONSTRAINT confirmation_kind_check CHECK (kind IN ('backup', 'rollback')) NOT VALID;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM crosswalk.confirmation WHERE kind NOT IN ('backup', 'rollback')) THEN
    ALTER TABLE crosswalk.confirmation VALIDATE CONSTRAINT confirmation_kind_check;
  END IF;
END $$;
