-- crosswalk: replaces 794b6954038ef2c0f1ee6524bfa6f69ee5e0e6b67c36dda0298e3f59926d5040
-- Shadows: copies of the projected tables and of the projectors' state, into which a rebuild replays the log before anything of it is shown. What makes one is in 011.

-- Drops a shadow, where there is one.
CREATE FUNCTION crosswalk.drop_shadow(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF name !~ '^[a-z][a-z0-9_]{0,30}$' THEN
    RAISE EXCEPTION 'a shadow has a name of 1 to 31 lower-case letters, digits and _' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', 'crosswalk_shadow_' || name);
END $$;

REVOKE ALL ON FUNCTION crosswalk.drop_shadow(text) FROM PUBLIC;
