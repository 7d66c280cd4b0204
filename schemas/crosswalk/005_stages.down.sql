-- Who may see what is decided by people, and cannot be projected again.
DO $$
BEGIN
  IF EXISTS (SELECT FROM crosswalk.stage_log) THEN
    RAISE EXCEPTION 'crosswalk.stage_log holds the stages of tenants, which no replay brings back: drop it by hand if they are not needed any more';
  END IF;
END $$;
DROP TABLE crosswalk.stage_log;
DROP TABLE crosswalk.lag_sample;
DROP TABLE crosswalk.confirmation;
DROP TABLE crosswalk.gate;
DROP FUNCTION crosswalk.refuse_change();
DROP FUNCTION crosswalk.number_stage();
DROP FUNCTION crosswalk.lowest_stage();
DROP FUNCTION crosswalk.current_stage(text);
