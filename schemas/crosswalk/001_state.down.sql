DROP TABLE crosswalk.dead_letter;
DROP TABLE crosswalk.parked_change;
DROP TABLE crosswalk.merge_key;
DROP TABLE crosswalk.contribution;
DROP TABLE crosswalk.consumer_offset;
DO $$
DECLARE role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['crosswalk_app', 'crosswalk_projector', 'crosswalk_reader', 'crosswalk_operator'] LOOP
    IF to_regrole(role) IS NOT NULL THEN EXECUTE format('REVOKE ALL ON SCHEMA crosswalk FROM %I', role); END IF;
  END LOOP;
END $$;
