-- In one transaction: the migrations before expect these three.
CREATE INDEX IF NOT EXISTS leads_client_idx ON crm.leads (converted_to_client_id) WHERE converted_to_client_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS leads_tenant_status_idx ON crm.leads (tenant_id, status) WHERE deleted_at IS NULL;
DROP INDEX IF EXISTS crm.leads_tenant_idx;
CREATE INDEX IF NOT EXISTS lead_status_history_lead_idx ON crm.lead_status_history (lead_id, changed_at);
DROP INDEX IF EXISTS crm.lead_status_history_tenant_idx;
