-- As long as somebody sees the new schema it stays. What was decided of stages is lost only with a backup, which whoever drops tables is asked for.
DO $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT tenant_id FROM crosswalk.stage_log) t WHERE crosswalk.current_stage(tenant_id) > 0) THEN
    RAISE EXCEPTION 'workspaces still see the new schema: run crosswalk stage set all 0 first';
  END IF;
END $$;
DROP POLICY operator ON crm.tenants;
DROP POLICY operator ON crm.rejects;
REVOKE ALL ON ALL TABLES IN SCHEMA crm FROM crosswalk_operator;
CREATE OR REPLACE FUNCTION crm.is_on_dnc_list(phone text, organisation text) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT EXISTS (SELECT FROM crm.dnc_list d
    WHERE d.tenant_id = organisation AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())
      AND d.identity IN (phone, regexp_replace(phone, '[^0-9]', '', 'g')))
$$;
CREATE OR REPLACE VIEW crm.dashboard_stats WITH (security_barrier = true) AS
  SELECT * FROM crm.dashboard_stats_data WHERE tenant_id = current_setting('crosswalk.tenant_id', true);
DROP FUNCTION crm.is_held_back(integer);
DROP FUNCTION crm.current_stage();
DROP POLICY no_further_lead_per_contact ON crm.leads;
DROP POLICY one_lead_per_contact ON crm.leads;
DROP FUNCTION crosswalk.adds_second_lead(uuid, uuid, boolean);
DO $$
DECLARE projected text;
BEGIN
  FOREACH projected IN ARRAY ARRAY['customers', 'customer_addresses', 'leads', 'lead_custom_fields', 'dnc_list', 'rejects', 'quotes_new', 'quote_items_new', 'jobs_new', 'invoices_new', 'payments'] LOOP
    EXECUTE format('DROP POLICY tenant ON crm.%I', projected);
    EXECUTE format($policy$CREATE POLICY tenant ON crm.%I TO crosswalk_app
      USING (tenant_id = current_setting('crosswalk.tenant_id', true))
      WITH CHECK (tenant_id = current_setting('crosswalk.tenant_id', true) AND origin = 'app')$policy$, projected);
  END LOOP;
END $$;
DROP FUNCTION IF EXISTS crosswalk.show_from_stage(text, integer);
