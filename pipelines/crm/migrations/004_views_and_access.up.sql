-- crosswalk: replaces 93aa2637a7f864120136ce17e1176f308d22a7b85310b273ddf61d5c070a3c32
-- Views of the new application, and who may see which row: the projected tables are adopted.

CREATE VIEW crm.active_leads WITH (security_invoker = true) AS
  SELECT l.* FROM crm.leads l WHERE NOT l.is_converted AND l.deleted_at IS NULL;

CREATE VIEW crm.lead_conversion_summary WITH (security_invoker = true) AS
  SELECT tenant_id,
    count(*) AS total_leads,
    count(*) FILTER (WHERE is_converted) AS converted_leads,
    count(*) FILTER (WHERE NOT is_converted) AS active_leads,
    round(100.0 * count(*) FILTER (WHERE is_converted) / count(*), 2) AS conversion_rate_percent,
    max(conversion_date) AS last_conversion_at
  FROM crm.leads WHERE deleted_at IS NULL GROUP BY tenant_id;

CREATE VIEW crm.client_lead_history WITH (security_invoker = true) AS
  SELECT c.tenant_id, c.id AS client_id, c.name AS client_name, c.email AS client_email,
    l.id AS lead_id, l.status AS lead_status, l.created_at AS lead_created_at, l.conversion_date
  FROM crm.customers c JOIN crm.leads l ON l.converted_to_client_id = c.id
  WHERE c.deleted_at IS NULL AND l.deleted_at IS NULL;

-- phone: E.164, or the digits as given; organisation: a tenant id.
CREATE FUNCTION crm.is_on_dnc_list(phone text, organisation text) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT EXISTS (SELECT FROM crm.dnc_list d
    WHERE d.tenant_id = organisation AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())
      AND d.identity IN (phone, regexp_replace(phone, '[^0-9]', '', 'g')))
$$;

-- Leads are counted in leads (the quotes table has no lead statuses); months are UTC months.
CREATE MATERIALIZED VIEW crm.dashboard_stats_data AS
  WITH month AS (SELECT date_trunc('month', now(), 'UTC') AS starts_at, date_trunc('month', now(), 'UTC') + interval '1 month' AS ends_at),
  company AS (
    SELECT tenant_id FROM crm.customers WHERE deleted_at IS NULL
    UNION SELECT tenant_id FROM crm.leads WHERE deleted_at IS NULL
    UNION SELECT tenant_id FROM crm.quotes_new WHERE deleted_at IS NULL)
  SELECT company.tenant_id,
    (SELECT count(*) FROM crm.leads l WHERE l.tenant_id = company.tenant_id AND l.deleted_at IS NULL AND l.status = 'new') AS pending_leads,
    (SELECT count(*) FROM crm.leads l WHERE l.tenant_id = company.tenant_id AND l.deleted_at IS NULL AND l.status = 'qualified') AS qualified_leads,
    (SELECT count(*) FROM crm.customers c WHERE c.tenant_id = company.tenant_id AND c.deleted_at IS NULL) AS total_customers,
    (SELECT coalesce(sum(q.total), 0) FROM crm.quotes_new q, month WHERE q.tenant_id = company.tenant_id AND q.deleted_at IS NULL
       AND q.created_at >= month.starts_at AND q.created_at < month.ends_at) AS monthly_quoted,
    (SELECT coalesce(sum(p.amount), 0) FROM crm.payments p, month WHERE p.tenant_id = company.tenant_id AND p.deleted_at IS NULL
       AND p.paid_at >= month.starts_at AND p.paid_at < month.ends_at) AS monthly_revenue
  FROM company;
CREATE UNIQUE INDEX dashboard_stats_data_tenant_key ON crm.dashboard_stats_data (tenant_id);
-- A materialised view has no row-level security: the application reads it through this view only.
CREATE VIEW crm.dashboard_stats WITH (security_barrier = true) AS
  SELECT * FROM crm.dashboard_stats_data WHERE tenant_id = current_setting('crosswalk.tenant_id', true);
CREATE FUNCTION crm.refresh_dashboard_stats() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = crm, pg_temp AS $$
  REFRESH MATERIALIZED VIEW CONCURRENTLY crm.dashboard_stats_data
$$;
REVOKE ALL ON FUNCTION crm.refresh_dashboard_stats() FROM PUBLIC;

SELECT crosswalk.adopt(('crm.' || projected)::regclass, 0) FROM unnest(ARRAY['tenants', 'status_options', 'contacts', 'customers', 'customer_addresses', 'leads', 'lead_custom_fields',
  'dnc_list', 'quotes_new', 'quote_items_new', 'jobs_new', 'invoices_new', 'payments']) AS projected;
SELECT crosswalk.adopt('crm.rejects', NULL);
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO crosswalk_reader;
GRANT SELECT, REFERENCES ON crm.users, crm.chatbots TO crosswalk_projector;
GRANT SELECT ON crm.active_leads, crm.lead_conversion_summary, crm.client_lead_history, crm.dashboard_stats TO crosswalk_app;
GRANT EXECUTE ON FUNCTION crm.refresh_dashboard_stats() TO crosswalk_app;
