DROP FUNCTION crm.refresh_dashboard_stats();
DROP VIEW crm.dashboard_stats;
DROP MATERIALIZED VIEW crm.dashboard_stats_data;
DROP FUNCTION crm.is_on_dnc_list(text, text);
DROP VIEW crm.client_lead_history;
DROP VIEW crm.lead_conversion_summary;
DROP VIEW crm.active_leads;
DO $$
DECLARE projected text;
BEGIN
  FOREACH projected IN ARRAY ARRAY['tenants', 'status_options', 'contacts', 'customers', 'customer_addresses', 'leads', 'lead_custom_fields', 'dnc_list', 'rejects', 'quotes_new', 'quote_items_new', 'jobs_new', 'invoices_new', 'payments'] LOOP
    EXECUTE format('DROP POLICY tenant ON crm.%I', projected);
    EXECUTE format('DROP POLICY reader ON crm.%I', projected);
    EXECUTE format('DROP POLICY projector ON crm.%I', projected);
    EXECUTE format('ALTER TABLE crm.%I DISABLE ROW LEVEL SECURITY', projected);
  END LOOP;
END $$;
REVOKE ALL ON ALL TABLES IN SCHEMA crm FROM crosswalk_app, crosswalk_projector, crosswalk_reader;
REVOKE ALL ON SCHEMA crm FROM crosswalk_app, crosswalk_operator, crosswalk_projector, crosswalk_reader;
