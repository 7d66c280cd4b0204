-- Projected rows are the projectors': the application neither changes them nor makes them its own, and takes no id that a legacy row has. A row that is no
-- longer `cdc` would never be written by a projector again. Refused with an error, and not by a policy: that would also hide rows from SELECT … FOR UPDATE.
CREATE FUNCTION crm.refuse_taking_over() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'crm.% % is projected: it changes with its legacy row, and no application may take it over', TG_TABLE_NAME, OLD.id
    USING ERRCODE = 'insufficient_privilege';
END $$;
REVOKE ALL ON FUNCTION crm.refuse_taking_over() FROM PUBLIC;
DO $$
DECLARE projected text;
BEGIN
  FOR projected IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'origin' AND NOT a.attisdropped
      WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r' LOOP
    EXECUTE format($trigger$CREATE TRIGGER refuse_taking_over BEFORE UPDATE OF origin ON crm.%I FOR EACH ROW
      WHEN (OLD.origin = 'cdc' AND NEW.origin <> 'cdc') EXECUTE FUNCTION crm.refuse_taking_over()$trigger$, projected);
  END LOOP;
END $$;

-- Ids of tenants are those of workspaces: an application's own tenant is the one that it works for.
CREATE POLICY own_id ON crm.tenants AS RESTRICTIVE TO crosswalk_app USING (true) WITH CHECK (id = tenant_id);
