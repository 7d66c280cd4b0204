-- What the application searches in projected tables that may hold rows by now: each index is built beside its writes. An operator that row-level security does not trust uses no index under it: so these are asked
-- in functions, as crm.leads_by_email() is.

-- Where somebody has put the extension into another schema, its operators have another name: then these two are built here, while writers wait, and found below.
-- crosswalk: transaction
DO $$
DECLARE
  elsewhere name := (SELECT n.nspname FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = 'pg_trgm' AND n.nspname <> 'crm');
BEGIN
  IF elsewhere IS NULL THEN RETURN; END IF;
  EXECUTE format('CREATE INDEX IF NOT EXISTS leads_name_trgm_idx ON crm.leads USING gin (name %I.gin_trgm_ops) WHERE name IS NOT NULL AND deleted_at IS NULL', elsewhere);
  EXECUTE format($index$CREATE INDEX IF NOT EXISTS contacts_name_trgm_idx ON crm.contacts
    USING gin ((coalesce(name, '') || ' ' || coalesce(firstname, '') || ' ' || coalesce(lastname, '')) %I.gin_trgm_ops) WHERE deleted_at IS NULL$index$, elsewhere);
END $$;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_name_trgm_idx ON crm.leads USING gin (name crm.gin_trgm_ops) WHERE name IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contacts_name_trgm_idx ON crm.contacts USING gin ((coalesce(name, '') || ' ' || coalesce(firstname, '') || ' ' || coalesce(lastname, '')) crm.gin_trgm_ops) WHERE deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_tags_idx ON crm.leads USING gin (tags) WHERE tags IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contacts_user_phone_idx ON crm.contacts (user_id, phone_number) WHERE deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS contacts_user_thread_idx ON crm.contacts (user_id, thread_id) WHERE thread_id IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: transaction
COMMENT ON INDEX crm.leads_name_trgm_idx IS 'leads of quotes by part of a name: crm.search_leads()';
COMMENT ON INDEX crm.contacts_name_trgm_idx IS 'leads of contacts by part of a name: crm.search_leads()';
COMMENT ON INDEX crm.leads_tags_idx IS 'leads with all of some tags: crm.leads_with_tags()';
COMMENT ON INDEX crm.contacts_user_phone_idx IS 'get_or_create_contact: WHERE user_id = $1 AND phone_number = $2 AND deleted_at IS NULL';
COMMENT ON INDEX crm.contacts_user_thread_idx IS 'the contact of a conversation: WHERE user_id = $1 AND thread_id = $2 AND deleted_at IS NULL';

-- Leads of a tenant whose name holds `part`, in any case: of a contact's lead it is the contact's name. At least three characters, of which the index is made.
CREATE OR REPLACE FUNCTION crm.search_leads(organisation text, part text) RETURNS SETOF uuid
  LANGUAGE plpgsql STABLE ROWS 20 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  pattern text := '%' || replace(replace(replace(btrim(part), '\', '\\'), '%', '\%'), '_', '\_') || '%';
BEGIN
  IF part IS NULL OR length(btrim(part)) < 3 OR NOT crm.may_ask_about(organisation, 1) THEN RETURN; END IF;
  RETURN QUERY
    SELECT l.id FROM crm.leads l WHERE l.tenant_id = organisation AND l.name ILIKE pattern AND l.name IS NOT NULL AND l.deleted_at IS NULL AND l.contact_id IS NULL
    UNION ALL
    SELECT l.id FROM crm.contacts c JOIN crm.leads l ON l.contact_id = c.id
      WHERE c.tenant_id = organisation AND (coalesce(c.name, '') || ' ' || coalesce(c.firstname, '') || ' ' || coalesce(c.lastname, '')) ILIKE pattern AND c.deleted_at IS NULL
        AND l.tenant_id = organisation AND l.deleted_at IS NULL;
END $$;

-- Leads of a tenant that have all of these tags.
CREATE OR REPLACE FUNCTION crm.leads_with_tags(organisation text, wanted text[]) RETURNS SETOF uuid
  LANGUAGE plpgsql STABLE ROWS 20 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF coalesce(cardinality(wanted), 0) = 0 OR NOT crm.may_ask_about(organisation, 1) THEN RETURN; END IF;
  RETURN QUERY SELECT l.id FROM crm.leads l WHERE l.tenant_id = organisation AND l.tags @> wanted AND l.tags IS NOT NULL AND l.deleted_at IS NULL;
END $$;
REVOKE ALL ON FUNCTION crm.search_leads(text, text), crm.leads_with_tags(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION crm.search_leads(text, text), crm.leads_with_tags(text, text[]) TO crosswalk_app, crosswalk_reader;
