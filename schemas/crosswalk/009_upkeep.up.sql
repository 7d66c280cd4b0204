-- What the projectors do beside projecting: figures that are refreshed, statistics that the planner needs after a table was filled.

-- When each was last done. One row a task; none: never, since the load.
CREATE TABLE crosswalk.upkeep (
  task text PRIMARY KEY CHECK (task IN ('figures', 'statistics')),
  as_of timestamptz NOT NULL,           -- what was committed before is in it
  took interval NOT NULL
);

-- Statistics of every table of the new schema, and of the projectors' state, as VACUUM has not come by yet where they were just filled. It blocks no reader and no writer.
CREATE FUNCTION crosswalk.analyze_projected() RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  started timestamptz := clock_timestamp();
  filled text;
BEGIN
  -- Two sessions that analyse the same tables at once would only wait for each other.
  PERFORM pg_advisory_xact_lock(hashtextextended('crosswalk.statistics', 0));
  FOR filled IN SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('crm', 'crosswalk') AND c.relkind IN ('r', 'p', 'm') ORDER BY 1 LOOP
    EXECUTE 'ANALYZE ' || filled;
  END LOOP;
  INSERT INTO crosswalk.upkeep VALUES ('statistics', started, clock_timestamp() - started)
    ON CONFLICT (task) DO UPDATE SET as_of = excluded.as_of, took = excluded.took;
END $$;

-- What a projector calls again and again: does what is due, unless another one is just at it. Statistics once the initial load is applied, with the figures; figures
-- when they are older than `every` (null: never by age). `is_filled`: whether what follows a load is done; until then it is worth asking often.
CREATE FUNCTION crosswalk.keep_up(every interval, OUT is_filled boolean, OUT did text[])
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  did := '{}';
  is_filled := EXISTS (SELECT FROM crosswalk.upkeep WHERE task = 'statistics');
  IF NOT pg_try_advisory_xact_lock(hashtextextended('crosswalk.upkeep', 0)) THEN RETURN; END IF;
  -- Asked again: the other one may just have ended.
  is_filled := EXISTS (SELECT FROM crosswalk.upkeep WHERE task = 'statistics');
  IF NOT is_filled AND EXISTS (SELECT FROM crosswalk.log_position l WHERE l.is_loaded AND crosswalk.is_past(l.offsets)) THEN
    PERFORM crosswalk.analyze_projected();
    PERFORM crm.refresh_dashboard_stats();
    is_filled := true;
    did := '{statistics,figures}';
  ELSIF NOT EXISTS (SELECT FROM crosswalk.upkeep WHERE task = 'figures' AND as_of > clock_timestamp() - every) AND every IS NOT NULL THEN
    PERFORM crm.refresh_dashboard_stats();
    did := '{figures}';
  END IF;
END $$;

-- Who may call them is granted beside the roles, in schema crm.
REVOKE ALL ON FUNCTION crosswalk.analyze_projected(), crosswalk.keep_up(interval) FROM PUBLIC;
