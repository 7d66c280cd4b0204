-- Databases whose tables were made before the engine adopted tables: it takes them over as they are. Elsewhere it finds nothing to change.
SELECT crosswalk.adopt(('crm.' || t.name)::regclass, t.stage, t.is_history)
FROM (VALUES ('tenants', 0, false), ('status_options', 0, false), ('contacts', 0, false),
  ('customers', 1, false), ('customer_addresses', 1, false), ('leads', 1, false), ('lead_custom_fields', 1, false), ('dnc_list', 1, false),
  ('quotes_new', 1, false), ('quote_items_new', 1, false), ('jobs_new', 1, false), ('invoices_new', 1, false), ('payments', 1, false), ('rejects', NULL, false),
  ('lead_audit_log', 2, true), ('lead_status_history', 2, true), ('lead_score_history', 2, true), ('lead_assignments', 2, true)) AS t (name, stage, is_history);
SELECT crosswalk.refresh_with('crm.refresh_dashboard_stats()');
