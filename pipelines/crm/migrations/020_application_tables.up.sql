-- What tables of the application share: tables that no legacy table fills, and that no projection writes.

-- Extensions of PostgreSQL's own distribution that a plain owner of the database may create: they are trusted. One that is there already stays where it is.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['uuid-ossp', 'pg_trgm', 'pgcrypto'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_extension x WHERE x.extname = wanted);
    IF NOT EXISTS (SELECT FROM pg_available_extensions x WHERE x.name = wanted) THEN
      RAISE EXCEPTION 'the server has no extension %: install the package of its additional modules (postgresql-contrib)', wanted;
    END IF;
    BEGIN
      EXECUTE format('CREATE EXTENSION %I WITH SCHEMA crm', wanted);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE EXCEPTION 'this role may not create the extension %: GRANT CREATE ON DATABASE % TO %, or have somebody else create it', wanted,
        quote_ident(current_database()), quote_ident(current_user);
    END;
  END LOOP;
END $$;

-- Opens a table of the application to it: row-level security by tenant and stage, as crosswalk.adopt() has it for projected tables, and the grants. The table needs a column tenant_id.
-- `stage`: from which on the application sees and writes it. `is_appended`: the application only ever adds rows. Safe to repeat. Projectors have no business here: no rights, and no columns of lineage.
CREATE FUNCTION crm.open_to_application(own regclass, stage integer, is_appended boolean DEFAULT false) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
  shown text := $own$tenant_id = current_setting('crosswalk.tenant_id', true)$own$;
BEGIN
  -- The stage is asked for in a subquery of its own, which PostgreSQL evaluates once a statement.
  IF stage > 0 THEN
    shown := format($policy$%s AND (SELECT crosswalk.current_stage(current_setting('crosswalk.tenant_id', true))) >= %s$policy$, shown, stage);
  END IF;
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', own);
  EXECUTE format('DROP POLICY IF EXISTS reader ON %s', own);
  EXECUTE format('CREATE POLICY reader ON %s FOR SELECT TO crosswalk_reader USING (true)', own);
  EXECUTE format('DROP POLICY IF EXISTS tenant ON %s', own);
  EXECUTE format('CREATE POLICY tenant ON %s TO crosswalk_app USING (%s) WITH CHECK (%s)', own, shown, shown);
  EXECUTE format('GRANT SELECT ON %s TO crosswalk_reader', own);
  EXECUTE format('GRANT SELECT, INSERT%s ON %s TO crosswalk_app', CASE WHEN is_appended THEN '' ELSE ', UPDATE, DELETE' END, own);
  IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = own AND a.attname = 'updated_at' AND NOT a.attisdropped) THEN
    EXECUTE format('CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE ON %s FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION crm.touch_updated_at()', own);
  END IF;
END $$;

-- A foreign key asks no policy: without this a row of one tenant could refer to a row of another. What a row of the application refers to in `referred` must be there for whoever writes it.
CREATE FUNCTION crm.refer_within_tenant(own regclass, referring text, referred regclass) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
  command text;
  name text := (SELECT c.relname FROM pg_class c WHERE c.oid = own);
  condition text := format('EXISTS (SELECT FROM %s referred WHERE referred.id = %I.%I)', referred, name, referring);
BEGIN
  -- An account may be everybody's.
  IF referred = 'crm.users'::regclass THEN condition := format('crm.may_belong_to(%I)', referring); END IF;
  FOREACH command IN ARRAY ARRAY['INSERT', 'UPDATE'] LOOP
    EXECUTE format('DROP POLICY IF EXISTS %I ON %s', 'own_' || referring || '_' || lower(command), own);
    EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR %s TO crosswalk_app %s WITH CHECK (%I IS NULL OR %s)', 'own_' || referring || '_' || lower(command), own, command,
      CASE command WHEN 'UPDATE' THEN 'USING (true)' ELSE '' END, referring, condition);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION crm.open_to_application(regclass, integer, boolean), crm.refer_within_tenant(regclass, text, regclass) FROM PUBLIC;
