-- In one transaction: the migrations before expect these two.
CREATE INDEX IF NOT EXISTS leads_client_idx ON crm.leads (converted_to_client_id) WHERE converted_to_client_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS lead_status_history_lead_idx ON crm.lead_status_history (lead_id, changed_at);
DROP INDEX IF EXISTS crm.lead_status_history_tenant_idx;
