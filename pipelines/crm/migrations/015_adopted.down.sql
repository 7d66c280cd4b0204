-- The tables stay as they are. The guard of their rows is the earlier one again, where there was one.
DELETE FROM crosswalk.figures WHERE refresh = 'crm.refresh_dashboard_stats';
DO $$
DECLARE guarded regclass;
BEGIN
  IF to_regprocedure('crm.refuse_taking_over()') IS NULL THEN RETURN; END IF;
  PERFORM crosswalk.adopt('crm.rejects', 1);
  REVOKE ALL ON crm.rejects FROM crosswalk_app;
  FOR guarded IN SELECT t.tgrelid::regclass FROM pg_trigger t WHERE t.tgname = 'refuse_taking_over' AND t.tgfoid = 'crosswalk.refuse_taking_over'::regproc LOOP
    EXECUTE format($trigger$CREATE OR REPLACE TRIGGER refuse_taking_over BEFORE UPDATE OF origin ON %s FOR EACH ROW
      WHEN (OLD.origin = 'cdc' AND NEW.origin <> 'cdc') EXECUTE FUNCTION crm.refuse_taking_over()$trigger$, guarded);
  END LOOP;
END $$;
