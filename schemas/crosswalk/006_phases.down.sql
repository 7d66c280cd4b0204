-- A log that says something stays, as the list of migrations does: it also says what was undone.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM crosswalk.phase_log) THEN
    DROP TABLE crosswalk.phase_log;
    DROP FUNCTION crosswalk.refuse_phase_log_change();
  END IF;
END $$;
