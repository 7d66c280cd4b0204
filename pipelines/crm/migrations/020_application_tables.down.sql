DROP FUNCTION crm.refer_within_tenant(regclass, text, regclass);
DROP FUNCTION crm.open_to_application(regclass, integer, boolean);
-- These are gone by now; where this is only tried they go as well.
DROP INDEX IF EXISTS crm.leads_name_trgm_idx, crm.contacts_name_trgm_idx;
-- Those that were there before this, in a schema of somebody else's, stay.
DO $$
DECLARE
  made text;
BEGIN
  FOR made IN SELECT x.extname FROM pg_extension x WHERE x.extname IN ('uuid-ossp', 'pg_trgm', 'pgcrypto') AND x.extnamespace = 'crm'::regnamespace LOOP
    EXECUTE format('DROP EXTENSION %I', made);
  END LOOP;
END $$;
