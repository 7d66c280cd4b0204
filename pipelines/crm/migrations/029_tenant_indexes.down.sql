-- In one transaction: the migrations before expect these indexes.
CREATE INDEX IF NOT EXISTS leads_client_idx ON crm.leads (converted_to_client_id) WHERE converted_to_client_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS leads_tenant_status_idx ON crm.leads (tenant_id, status) WHERE deleted_at IS NULL;
DROP INDEX IF EXISTS crm.leads_tenant_idx;
CREATE INDEX IF NOT EXISTS lead_status_history_lead_idx ON crm.lead_status_history (lead_id, changed_at);
DROP INDEX IF EXISTS crm.lead_status_history_tenant_idx;
CREATE INDEX IF NOT EXISTS leads_tags_idx ON crm.leads USING gin (tags) WHERE tags IS NOT NULL AND deleted_at IS NULL;
CREATE OR REPLACE FUNCTION crm.leads_with_tags(organisation text, wanted text[]) RETURNS SETOF uuid
  LANGUAGE plpgsql STABLE ROWS 20 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF coalesce(cardinality(wanted), 0) = 0 OR NOT crm.may_ask_about(organisation, 1) THEN RETURN; END IF;
  RETURN QUERY SELECT l.id FROM crm.leads l WHERE l.tenant_id = organisation AND l.tags @> wanted AND l.tags IS NOT NULL AND l.deleted_at IS NULL;
END $$;
DROP INDEX IF EXISTS crm.leads_tenant_tags_idx;
DROP FUNCTION IF EXISTS crm.tenant_tags(text, text[]);
