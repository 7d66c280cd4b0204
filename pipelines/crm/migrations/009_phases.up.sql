-- crosswalk: replaces bce24b05e9be62533d42d7d7d599a3d7af7a8945a6fb3783c67c30bbe830687f
-- These tables may hold rows when this migration comes: each index is built beside the application's writes.
-- The application lists jobs and invoices of one tenant, the newest first, as it lists quotes.
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_new_tenant_idx ON crm.jobs_new (tenant_id, created_at DESC) WHERE deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS invoices_new_tenant_idx ON crm.invoices_new (tenant_id, created_at DESC) WHERE deleted_at IS NULL;

-- A row that goes, as when a load is taken back, is looked for by whoever refers to it.
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS quotes_new_lead_idx ON crm.quotes_new (lead_id) WHERE lead_id IS NOT NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_converted_idx ON crm.leads (converted_to_client_id) WHERE converted_to_client_id IS NOT NULL;
