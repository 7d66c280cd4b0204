-- One index in place of another: of a lead, and of a tenant, too.
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS lead_status_history_tenant_idx ON crm.lead_status_history (tenant_id, lead_id, changed_at);
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
COMMENT ON INDEX crm.lead_status_history_tenant_idx IS 'the statuses of a lead, and the time in each of all leads: crm.lead_time_in_stage';
COMMENT ON INDEX crm.leads_tenant_idx IS 'the leads of a tenant, newest first, and those of the last days: ORDER BY created_at DESC, created_at >= $1';
