-- Figures over all leads of a tenant read one index, not a page of the table for each lead. An entry has room for about 2,700 bytes: the legacy lead_source has at most 255 characters.
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_figures_idx ON crm.leads (tenant_id, created_at DESC)
  INCLUDE (id, status, lead_source, lead_score, is_converted, conversion_date, contact_id, customer_id) WHERE deleted_at IS NULL;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_tenant_idx;
-- crosswalk: transaction
COMMENT ON INDEX crm.leads_figures_idx IS 'the leads of a tenant, newest first, those of the last days, and figures over all of them: ORDER BY created_at DESC, created_at >= $1, crm.lead_conversion_summary';
