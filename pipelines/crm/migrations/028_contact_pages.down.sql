CREATE MATERIALIZED VIEW crm.dashboard_figures AS
  WITH month AS (SELECT date_trunc('month', now(), 'UTC') AS starts_at, date_trunc('month', now(), 'UTC') + interval '1 month' AS ends_at),
  counted (tenant_id, is_company, pending, qualified, customers, quoted, revenue) AS (
    SELECT tenant_id, true, 0::bigint, 0::bigint, count(*), 0::numeric, 0::numeric FROM crm.customers WHERE deleted_at IS NULL GROUP BY 1
    UNION ALL
    SELECT tenant_id, true, count(*) FILTER (WHERE coalesce(status, 'new') = 'new'), count(*) FILTER (WHERE status = 'qualified'), 0, 0, 0
      FROM crm.leads WHERE deleted_at IS NULL GROUP BY 1
    UNION ALL
    SELECT tenant_id, true, 0, 0, 0, coalesce(sum(total) FILTER (WHERE created_at >= starts_at AND created_at < ends_at), 0), 0
      FROM crm.quotes_new, month WHERE deleted_at IS NULL GROUP BY 1
    UNION ALL
    SELECT tenant_id, false, 0, 0, 0, 0, sum(amount) FROM crm.payments, month
      WHERE deleted_at IS NULL AND paid_at >= starts_at AND paid_at < ends_at GROUP BY 1)
  SELECT tenant_id, sum(pending)::bigint AS pending_leads, sum(qualified)::bigint AS qualified_leads, sum(customers)::bigint AS total_customers,
    sum(quoted) AS monthly_quoted, sum(revenue) AS monthly_revenue,
    CASE WHEN tenant_id ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN tenant_id::uuid END AS company_id
  FROM counted GROUP BY tenant_id HAVING bool_or(is_company);
CREATE OR REPLACE VIEW crm.dashboard_stats WITH (security_barrier = true) AS
  SELECT * FROM crm.dashboard_figures WHERE tenant_id = current_setting('crosswalk.tenant_id', true) AND NOT (SELECT crm.is_held_back(1));
DROP MATERIALIZED VIEW crm.dashboard_stats_data;
ALTER MATERIALIZED VIEW crm.dashboard_figures RENAME TO dashboard_stats_data;
CREATE UNIQUE INDEX dashboard_stats_data_tenant_key ON crm.dashboard_stats_data (tenant_id);
GRANT SELECT ON crm.dashboard_stats_data TO crosswalk_reader;
DROP VIEW IF EXISTS crm.contact_pages;
