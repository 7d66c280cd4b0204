-- One index in place of another: of a lead, and of a tenant, too.
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS lead_status_history_tenant_idx ON crm.lead_status_history (tenant_id, lead_id, changed_at);
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.lead_status_history_lead_idx;
-- The same as leads_converted_idx.
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_client_idx;
-- crosswalk: transaction
COMMENT ON INDEX crm.lead_status_history_tenant_idx IS 'the statuses of a lead, and the time in each of all leads: crm.lead_time_in_stage';
