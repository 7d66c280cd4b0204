-- In one transaction: the migrations before expect this index.
CREATE INDEX IF NOT EXISTS leads_tenant_idx ON crm.leads (tenant_id, created_at DESC) WHERE deleted_at IS NULL;
COMMENT ON INDEX crm.leads_tenant_idx IS 'the leads of a tenant, newest first, and those of the last days: ORDER BY created_at DESC, created_at >= $1';
DROP INDEX IF EXISTS crm.leads_figures_idx;
