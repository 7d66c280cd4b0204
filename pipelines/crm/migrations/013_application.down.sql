-- The administrator's rows keep the names that they have.
DROP POLICY own_account_still ON crm.contacts;
DROP POLICY own_account ON crm.contacts;
DROP FUNCTION crm.may_belong_to(bigint);
DO $$
DECLARE account text;
BEGIN
  FOREACH account IN ARRAY ARRAY['users', 'user_subscriptions', 'chatbots'] LOOP
    EXECUTE format('REVOKE SELECT ON crm.%I FROM crosswalk_app', account);
    EXECUTE format('ALTER TABLE crm.%I DISABLE ROW LEVEL SECURITY', account);
    EXECUTE format('DROP POLICY projector ON crm.%I', account);
    EXECUTE format('DROP POLICY reader ON crm.%I', account);
    EXECUTE format('DROP POLICY tenant ON crm.%I', account);
  END LOOP;
END $$;
ALTER TABLE crm.users DROP COLUMN tenant_id;
DROP VIEW crm.value_collisions;
DROP FUNCTION crm.refuse_taken_value() CASCADE;
DROP FUNCTION crm.touch_updated_at() CASCADE;
DO $$
DECLARE dated record;
BEGIN
  FOR dated IN SELECT c.relname AS table_name, a.attname AS column_name FROM pg_class c
      JOIN pg_attribute o ON o.attrelid = c.oid AND o.attname = 'origin' AND NOT o.attisdropped
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('created_at', 'updated_at', 'changed_at', 'assigned_at') AND NOT a.attisdropped
      WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r' LOOP
    EXECUTE format('ALTER TABLE crm.%I ALTER COLUMN %I DROP DEFAULT', dated.table_name, dated.column_name);
  END LOOP;
END $$;
ALTER TABLE crm.payments ALTER COLUMN method DROP DEFAULT;
ALTER TABLE crm.invoices_new ALTER COLUMN status DROP DEFAULT, ALTER COLUMN amount_paid DROP DEFAULT;
ALTER TABLE crm.jobs_new ALTER COLUMN status DROP DEFAULT;
ALTER TABLE crm.quote_items_new ALTER COLUMN quantity DROP DEFAULT, ALTER COLUMN is_upsell DROP DEFAULT, ALTER COLUMN is_discount DROP DEFAULT;
ALTER TABLE crm.quotes_new ALTER COLUMN status DROP DEFAULT;
ALTER TABLE crm.leads ALTER COLUMN priority DROP DEFAULT, ALTER COLUMN lead_score DROP DEFAULT, ALTER COLUMN qualification_status DROP DEFAULT;
DROP VIEW crm.lookup_values;
DROP VIEW crm.lead_conversion_by_source;
DROP VIEW crm.leads_of_one_person;
DROP FUNCTION crm.leads_by_email(text, text);
DROP FUNCTION crm.may_ask_about(text, integer);
REVOKE EXECUTE ON FUNCTION crm.refresh_dashboard_stats() FROM crosswalk_projector;
CREATE OR REPLACE FUNCTION crm.refresh_dashboard_stats() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = crm, pg_temp AS $$
  REFRESH MATERIALIZED VIEW CONCURRENTLY crm.dashboard_stats_data
$$;
DROP VIEW crm.dashboard_stats;
DROP MATERIALIZED VIEW crm.dashboard_stats_data;
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
GRANT SELECT ON crm.dashboard_stats_data TO crosswalk_reader;
CREATE VIEW crm.dashboard_stats WITH (security_barrier = true) AS
  SELECT * FROM crm.dashboard_stats_data WHERE tenant_id = current_setting('crosswalk.tenant_id', true) AND NOT (SELECT crm.is_held_back(1));
GRANT SELECT ON crm.dashboard_stats TO crosswalk_app, crosswalk_reader;
