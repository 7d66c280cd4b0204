-- Clients become customers, and legacy leads leads. Each step may be run again.

ALTER TABLE crm.customers ADD COLUMN IF NOT EXISTS workspace_id text;
-- What a client says of where it comes from; what counts is leads.converted_to_client_id. It refers to nothing: the lead may be missing.
ALTER TABLE crm.customers ADD COLUMN IF NOT EXISTS converted_from_lead_id uuid;

-- A lead comes from a contact, from a quote, or from a legacy lead, which has neither.
ALTER TABLE crm.leads DROP CONSTRAINT IF EXISTS leads_source_check;
ALTER TABLE crm.leads ADD CONSTRAINT leads_source_check CHECK (num_nonnulls(contact_id, customer_id) = 1
  OR (num_nonnulls(contact_id, customer_id) = 0 AND origin = 'cdc' AND legacy_table IN ('leads', 'clients'))) NOT VALID;

-- A quote's lead has the id of its quote, and a legacy lead its own: both may be one. Then the row stays with the one that has it, and the other one waits as for any unique value. Only
-- where both are really told: a row that merely names the wrong legacy table can be mended.
CREATE OR REPLACE FUNCTION crm.refuse_other_lead() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM crosswalk.contribution c WHERE c.aggregate = 'leads' AND c.legacy_table = 'leads' AND c.legacy_key = NEW.id::text AND c.merge_key = NEW.id AND c.live)
    AND (NEW.legacy_table = 'quotes'
      OR EXISTS (SELECT FROM crosswalk.contribution c WHERE c.aggregate = 'customers' AND c.legacy_table = 'quotes' AND c.legacy_key = NEW.id::text AND c.live)) THEN
    RAISE EXCEPTION 'a quote and a legacy lead have one id' USING ERRCODE = 'unique_violation', SCHEMA = 'crm', TABLE = 'leads', CONSTRAINT = 'one_source_per_lead';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION crm.refuse_other_lead() FROM PUBLIC;
CREATE OR REPLACE TRIGGER refuse_other_lead BEFORE UPDATE ON crm.leads FOR EACH ROW
  WHEN (OLD.origin = 'cdc' AND NEW.origin = 'cdc' AND OLD.deleted_at IS NULL AND (OLD.legacy_table = 'quotes') IS DISTINCT FROM (NEW.legacy_table = 'quotes'))
  EXECUTE FUNCTION crm.refuse_other_lead();

-- One person in two systems: a client and a customer of quotes, or two clients.
CREATE OR REPLACE VIEW crm.customer_same_as WITH (security_invoker = true) AS
  SELECT c.tenant_id, c.id AS customer_id, o.id AS same_as
  FROM crm.customers c JOIN crm.customers o ON o.tenant_id = c.tenant_id AND o.phone_e164 = c.phone_e164 AND o.id <> c.id
  WHERE c.phone_e164 IS NOT NULL AND o.phone_e164 IS NOT NULL AND c.deleted_at IS NULL AND o.deleted_at IS NULL;

-- Clients that name a lead which was converted to another one. The lead's own word counts.
CREATE OR REPLACE VIEW crm.lead_conversion_conflicts WITH (security_invoker = true) AS
  SELECT l.tenant_id, l.id AS lead_id, l.converted_to_client_id AS client_id, c.id AS other_client_id
  FROM crm.customers c JOIN crm.leads l ON l.id = c.converted_from_lead_id
  WHERE c.converted_from_lead_id IS NOT NULL AND c.origin = 'cdc' AND c.deleted_at IS NULL AND l.origin = 'cdc' AND l.legacy_table IN ('leads', 'clients') AND l.deleted_at IS NULL
    AND l.converted_to_client_id <> c.id;
GRANT SELECT ON crm.customer_same_as, crm.lead_conversion_conflicts TO crosswalk_app, crosswalk_reader, crosswalk_projector;

-- Views that say where a lead comes from know all three.
CREATE OR REPLACE VIEW crm.leads_of_one_person WITH (security_invoker = true) AS
  SELECT l.tenant_id, l.id AS lead_id, o.id AS other_lead_id, 'phone' AS matched_by, l.phone AS matched_value,
    CASE WHEN l.contact_id IS NOT NULL THEN 'contact' WHEN l.customer_id IS NOT NULL THEN 'quote' ELSE 'lead' END AS lead_from,
    CASE WHEN o.contact_id IS NOT NULL THEN 'contact' WHEN o.customer_id IS NOT NULL THEN 'quote' ELSE 'lead' END AS other_lead_from
  FROM crm.leads l JOIN crm.leads o ON o.tenant_id = l.tenant_id AND o.phone = l.phone AND o.id <> l.id
  WHERE l.deleted_at IS NULL AND o.deleted_at IS NULL AND l.phone IS NOT NULL AND o.phone IS NOT NULL
  UNION ALL
  SELECT l.tenant_id, l.id, o.id, 'email', lower(btrim(e.email)),
    CASE WHEN l.contact_id IS NOT NULL THEN 'contact' WHEN l.customer_id IS NOT NULL THEN 'quote' ELSE 'lead' END,
    CASE WHEN o.contact_id IS NOT NULL THEN 'contact' WHEN o.customer_id IS NOT NULL THEN 'quote' ELSE 'lead' END
  FROM crm.leads l LEFT JOIN crm.contacts c ON c.id = l.contact_id
    CROSS JOIN LATERAL (SELECT CASE WHEN l.contact_id IS NULL THEN l.email ELSE c.email END AS email) e
    CROSS JOIN LATERAL crm.leads_by_email(l.tenant_id, e.email) AS same (id)
    JOIN crm.leads o ON o.id = same.id AND o.id <> l.id
  WHERE l.deleted_at IS NULL AND o.deleted_at IS NULL;
CREATE OR REPLACE VIEW crm.lead_conversion_by_source WITH (security_invoker = true) AS
  SELECT tenant_id, CASE WHEN contact_id IS NOT NULL THEN 'contact' WHEN customer_id IS NOT NULL THEN 'quote' ELSE 'lead' END AS lead_from, lead_source,
    count(*) AS total_leads,
    count(*) FILTER (WHERE is_converted) AS converted_leads,
    round(100.0 * count(*) FILTER (WHERE is_converted) / count(*), 2) AS conversion_rate_percent
  FROM crm.leads WHERE deleted_at IS NULL GROUP BY 1, 2, 3;

-- Phones are unique among customers of quotes alone. Their ids derive from their keys, so that no phone is ever handed from one to another: the constraint need not wait for the end of a
-- transaction, and its index can be built beside what runs.
-- crosswalk: concurrently
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS customers_quote_phone_key ON crm.customers (tenant_id, phone_e164) WHERE origin = 'cdc' AND deleted_at IS NULL AND "left"(customer_key, 2) = 'p:';
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_phone_idx ON crm.customers (tenant_id, phone_e164) WHERE phone_e164 IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_from_lead_idx ON crm.customers (converted_from_lead_id) WHERE converted_from_lead_id IS NOT NULL AND deleted_at IS NULL;
-- crosswalk: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS leads_client_idx ON crm.leads (converted_to_client_id) WHERE converted_to_client_id IS NOT NULL;
-- crosswalk: transaction
ALTER TABLE crm.customers DROP CONSTRAINT IF EXISTS customers_phone_key;
-- crosswalk: transaction
ALTER TABLE crm.leads VALIDATE CONSTRAINT leads_source_check;
