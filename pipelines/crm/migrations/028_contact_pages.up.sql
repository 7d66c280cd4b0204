-- All that a page about one contact shows, in one row: WHERE contact_id = $1. Of each list the newest hundred, newest first; what the stage of the tenant hides is an empty list.
CREATE OR REPLACE VIEW crm.contact_pages WITH (security_invoker = true) AS
  SELECT c.id AS contact_id, c.tenant_id, c.name, c.firstname, c.lastname, c.phone_number, c.phone_e164, c.email, c.conversation_status, c.created_at,
    coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.created_at DESC NULLS LAST, x.id) FROM (
      SELECT l.id, l.status, l.lead_score, l.lead_source, l.is_converted, l.converted_to_client_id, l.created_at
      FROM crm.leads l WHERE l.contact_id = c.id AND l.deleted_at IS NULL ORDER BY l.created_at DESC NULLS LAST, l.id LIMIT 100) x), '[]') AS leads,
    coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.sent_at DESC NULLS LAST, x.id) FROM (
      SELECT m.id, m.direction, m.channel, m.body, m.status, m.sent_at
      FROM crm.messages m WHERE m.contact_id = c.id AND m.deleted_at IS NULL ORDER BY m.sent_at DESC NULLS LAST, m.id LIMIT 100) x), '[]') AS messages,
    coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.performed_at DESC NULLS LAST, x.id) FROM (
      SELECT a.id, a.lead_id, a.performed_at, a.notes, a.activity_data AS data
      FROM crm.leads l JOIN crm.lead_activities a ON a.lead_id = l.id AND a.activity_type = 'appointment'
      WHERE l.contact_id = c.id AND l.deleted_at IS NULL ORDER BY a.performed_at DESC NULLS LAST, a.id LIMIT 100) x), '[]') AS appointments,
    coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.performed_at DESC NULLS LAST, x.id) FROM (
      SELECT a.id, a.lead_id, a.activity_type, a.performed_at, a.performed_by, a.notes, a.activity_data AS data
      FROM crm.leads l JOIN crm.lead_activities a ON a.lead_id = l.id AND a.activity_type NOT IN ('appointment', 'message')
      WHERE l.contact_id = c.id AND l.deleted_at IS NULL ORDER BY a.performed_at DESC NULLS LAST, a.id LIMIT 100) x), '[]') AS activities,
    coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.placed_at DESC NULLS LAST, x.id) FROM (
      SELECT o.id, o.order_number, o.status, o.total, o.currency, o.placed_at,
        coalesce((SELECT jsonb_agg(jsonb_build_object('name', i.name, 'sku', i.sku, 'quantity', i.quantity, 'unit_price', i.unit_price, 'total', i.total) ORDER BY i.position, i.id)
          FROM crm.order_items i WHERE i.order_id = o.id AND i.deleted_at IS NULL), '[]') AS items
      FROM crm.orders o WHERE o.contact_id = c.id AND o.deleted_at IS NULL ORDER BY o.placed_at DESC NULLS LAST, o.id LIMIT 100) x), '[]') AS orders,
    coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.changed_at DESC, x.ordinal DESC, x.field_name) FROM (
      SELECT h.lead_id, h.action, h.field_name, h.old_value, h.new_value, h.changed_at, h.ordinal, h.actor, h.ip_address, h.reason
      FROM crm.leads l JOIN crm.lead_audit_log h ON h.lead_id = l.id
      WHERE l.contact_id = c.id AND l.deleted_at IS NULL ORDER BY h.changed_at DESC, h.ordinal DESC, h.field_name LIMIT 100) x), '[]') AS history
  FROM crm.contacts c WHERE c.deleted_at IS NULL;
GRANT SELECT ON crm.contact_pages TO crosswalk_app, crosswalk_reader;

-- A converted lead waits for nobody. Made beside the old figures, which the view reads until then.
CREATE MATERIALIZED VIEW crm.dashboard_figures AS
  WITH month AS (SELECT date_trunc('month', now(), 'UTC') AS starts_at, date_trunc('month', now(), 'UTC') + interval '1 month' AS ends_at),
  counted (tenant_id, is_company, pending, qualified, customers, quoted, revenue) AS (
    SELECT tenant_id, true, 0::bigint, 0::bigint, count(*), 0::numeric, 0::numeric FROM crm.customers WHERE deleted_at IS NULL GROUP BY 1
    UNION ALL
    SELECT tenant_id, true, count(*) FILTER (WHERE coalesce(status, 'new') = 'new' AND NOT is_converted), count(*) FILTER (WHERE status = 'qualified' AND NOT is_converted), 0, 0, 0
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
