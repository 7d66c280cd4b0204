-- What clients and legacy leads became goes, with what projectors remember of them: the log brings it back. Rows of the application that refer to it keep this from happening.
SET CONSTRAINTS ALL IMMEDIATE;
DELETE FROM crm.lead_audit_log WHERE origin = 'cdc' AND legacy_table = 'leads';
DELETE FROM crm.lead_status_history WHERE origin = 'cdc' AND legacy_table = 'leads';
DELETE FROM crm.lead_score_history WHERE origin = 'cdc' AND legacy_table = 'leads';
DELETE FROM crm.lead_assignments WHERE origin = 'cdc' AND legacy_table = 'leads';
DELETE FROM crm.leads WHERE origin = 'cdc' AND legacy_table IN ('leads', 'clients');
DELETE FROM crm.customers WHERE origin = 'cdc' AND legacy_table = 'clients';
DELETE FROM crm.rejects WHERE origin = 'cdc' AND legacy_table = 'leads';
DELETE FROM crosswalk.contribution WHERE aggregate = 'leads';
DELETE FROM crosswalk.merge_key WHERE aggregate = 'leads';
DELETE FROM crosswalk.parked_change WHERE projection IN ('clients', 'leads', 'lead_history');
DELETE FROM crosswalk.dead_letter WHERE projection IN ('clients', 'leads', 'lead_history');
DELETE FROM crosswalk.history_state WHERE projection = 'lead_history';
DELETE FROM crosswalk.consumer_offset WHERE projection IN ('clients', 'leads', 'lead_history');
DROP INDEX crm.leads_client_idx;
DROP INDEX crm.customers_from_lead_idx;
DROP INDEX crm.customers_phone_idx;
ALTER TABLE crm.customers ADD CONSTRAINT customers_phone_key EXCLUDE USING btree (tenant_id WITH =, phone_e164 WITH =)
  WHERE (origin = 'cdc' AND deleted_at IS NULL) DEFERRABLE;
DROP INDEX crm.customers_quote_phone_key;
CREATE OR REPLACE VIEW crm.lead_conversion_by_source WITH (security_invoker = true) AS
  SELECT tenant_id, CASE WHEN contact_id IS NULL THEN 'quote' ELSE 'contact' END AS lead_from, lead_source,
    count(*) AS total_leads,
    count(*) FILTER (WHERE is_converted) AS converted_leads,
    round(100.0 * count(*) FILTER (WHERE is_converted) / count(*), 2) AS conversion_rate_percent
  FROM crm.leads WHERE deleted_at IS NULL GROUP BY 1, 2, 3;
CREATE OR REPLACE VIEW crm.leads_of_one_person WITH (security_invoker = true) AS
  SELECT l.tenant_id, l.id AS lead_id, o.id AS other_lead_id, 'phone' AS matched_by, l.phone AS matched_value,
    CASE WHEN l.contact_id IS NULL THEN 'quote' ELSE 'contact' END AS lead_from, CASE WHEN o.contact_id IS NULL THEN 'quote' ELSE 'contact' END AS other_lead_from
  FROM crm.leads l JOIN crm.leads o ON o.tenant_id = l.tenant_id AND o.phone = l.phone AND o.id <> l.id
  WHERE l.deleted_at IS NULL AND o.deleted_at IS NULL AND l.phone IS NOT NULL AND o.phone IS NOT NULL
  UNION ALL
  SELECT l.tenant_id, l.id, o.id, 'email', lower(btrim(e.email)),
    CASE WHEN l.contact_id IS NULL THEN 'quote' ELSE 'contact' END, CASE WHEN o.contact_id IS NULL THEN 'quote' ELSE 'contact' END
  FROM crm.leads l LEFT JOIN crm.contacts c ON c.id = l.contact_id
    CROSS JOIN LATERAL (SELECT CASE WHEN l.contact_id IS NULL THEN l.email ELSE c.email END AS email) e
    CROSS JOIN LATERAL crm.leads_by_email(l.tenant_id, e.email) AS same (id)
    JOIN crm.leads o ON o.id = same.id AND o.id <> l.id
  WHERE l.deleted_at IS NULL AND o.deleted_at IS NULL;
DROP VIEW crm.lead_conversion_conflicts;
DROP VIEW crm.customer_same_as;
DROP TRIGGER refuse_other_lead ON crm.leads;
DROP FUNCTION crm.refuse_other_lead();
ALTER TABLE crm.leads DROP CONSTRAINT leads_source_check;
ALTER TABLE crm.leads ADD CONSTRAINT leads_source_check CHECK (num_nonnulls(contact_id, customer_id) = 1);
ALTER TABLE crm.customers DROP COLUMN converted_from_lead_id;
ALTER TABLE crm.customers DROP COLUMN workspace_id;
