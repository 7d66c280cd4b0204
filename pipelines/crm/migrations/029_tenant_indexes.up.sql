-- What an application asks about all leads of its tenant must not grow with those of others.
-- crosswalk: transaction
-- Each tag with its tenant before it: an index of tags alone holds those of all tenants together.
CREATE OR REPLACE FUNCTION crm.tenant_tags(tenant text, tags text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN ARRAY(SELECT tenant || chr(31) || tag FROM unnest(tags) AS tag);

-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_tenant_tags_idx ON crm.leads USING gin (crm.tenant_tags(tenant_id, tags)) WHERE tags IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: transaction
CREATE OR REPLACE FUNCTION crm.leads_with_tags(organisation text, wanted text[]) RETURNS SETOF uuid
  LANGUAGE plpgsql STABLE ROWS 20 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF coalesce(cardinality(wanted), 0) = 0 OR NOT crm.may_ask_about(organisation, 1) THEN RETURN; END IF;
  RETURN QUERY SELECT l.id FROM crm.leads l WHERE crm.tenant_tags(l.tenant_id, l.tags) @> crm.tenant_tags(organisation, wanted)
    AND l.tenant_id = organisation AND l.tags IS NOT NULL AND l.deleted_at IS NULL;
END $$;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_tags_idx;

-- One index in place of another: of a lead, and of a tenant, too. It holds all that the time in each status is made of.
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS lead_status_history_tenant_idx ON crm.lead_status_history (tenant_id, lead_id, changed_at, ordinal, id) INCLUDE (to_status);
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.lead_status_history_lead_idx;

-- Lists come newest first, and figures are of a time. No index holds the status any more: PostgreSQL may change it in place.
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_tenant_idx ON crm.leads (tenant_id, created_at DESC) WHERE deleted_at IS NULL;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_tenant_status_idx;

-- The same as leads_converted_idx.
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_client_idx;
-- crosswalk: transaction
COMMENT ON INDEX crm.leads_tenant_tags_idx IS 'leads with all of some tags: crm.leads_with_tags()';
COMMENT ON INDEX crm.lead_status_history_tenant_idx IS 'the statuses of a lead, and the time in each of all leads: crm.lead_time_in_stage';
COMMENT ON INDEX crm.leads_tenant_idx IS 'the leads of a tenant, newest first, and those of the last days: ORDER BY created_at DESC, created_at >= $1';
