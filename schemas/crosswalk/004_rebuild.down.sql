DO $$
DECLARE shadow text;
BEGIN
  FOR shadow IN SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'crosswalk_shadow_') LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', shadow);
  END LOOP;
END $$;
DROP FUNCTION crosswalk.drop_shadow(text);
DROP FUNCTION IF EXISTS crosswalk.create_shadow(text, text[], boolean);
