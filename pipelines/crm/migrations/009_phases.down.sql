-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_converted_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.quotes_new_lead_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.invoices_new_tenant_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.jobs_new_tenant_idx;
