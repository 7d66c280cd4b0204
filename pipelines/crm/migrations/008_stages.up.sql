-- crosswalk: replaces 4a41ce230a5aadae691c772c1593eca39ee2352c02c725b0c8713658bc11696a
-- What the application role sees at each stage, on top of its own tenant: contacts and lookups at 0; customers, leads, quotes and what belongs to them
-- from 1; activities and histories from 2; leads beside a contact's lead from 3. Projectors, readers and owners see everything at every stage.
-- Each policy asks for the stage in a subquery of its own, which PostgreSQL evaluates once a statement.

SELECT crosswalk.adopt(('crm.' || shown)::regclass, 1) FROM unnest(ARRAY['customers', 'customer_addresses', 'leads', 'lead_custom_fields', 'dnc_list',
  'quotes_new', 'quote_items_new', 'jobs_new', 'invoices_new', 'payments']) AS shown;

-- Whether a lead, as it is about to be written, would stand beside another live lead of its contact and did not before. Reads all leads, whatever the
-- caller may see, and asks no policy. VOLATILE, so that it sees what its own statement has written so far; of two sessions that add a lead to the same
-- contact the second one looks once the first has ended.
CREATE FUNCTION crosswalk.adds_second_lead(lead uuid, contact uuid, is_live boolean) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF contact IS NULL OR NOT is_live THEN RETURN false; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('crosswalk.lead:' || contact, 0));
  IF EXISTS (SELECT FROM crm.leads l WHERE l.id = lead AND l.contact_id = contact AND l.deleted_at IS NULL) THEN RETURN false; END IF;
  RETURN EXISTS (SELECT FROM crm.leads l WHERE l.contact_id = contact AND l.deleted_at IS NULL AND l.id <> lead);
END $$;
CREATE POLICY one_lead_per_contact ON crm.leads AS RESTRICTIVE FOR INSERT TO crosswalk_app
  WITH CHECK ((SELECT crosswalk.current_stage(current_setting('crosswalk.tenant_id', true))) >= 3
    OR NOT crosswalk.adds_second_lead(id, contact_id, deleted_at IS NULL));
CREATE POLICY no_further_lead_per_contact ON crm.leads AS RESTRICTIVE FOR UPDATE TO crosswalk_app USING (true)
  WITH CHECK ((SELECT crosswalk.current_stage(current_setting('crosswalk.tenant_id', true))) >= 3
    OR NOT crosswalk.adds_second_lead(id, contact_id, deleted_at IS NULL));

-- The stage of the session's tenant: what the application asks before it offers something. It needs no right on the schema crosswalk.
CREATE FUNCTION crm.current_stage() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
  RETURN crosswalk.current_stage(current_setting('crosswalk.tenant_id', true));

-- Whether this session is one of the application, and its tenant not yet so far: for what has no policies of its own. Others are not even asked for the
-- right to know a stage.
CREATE FUNCTION crm.is_held_back(needed integer) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT (row_security_active('crm.customers') AND pg_has_role('crosswalk_app', 'USAGE')) THEN RETURN false; END IF;
  RETURN crm.current_stage() < needed;
END $$;

CREATE OR REPLACE VIEW crm.dashboard_stats WITH (security_barrier = true) AS
  SELECT * FROM crm.dashboard_stats_data WHERE tenant_id = current_setting('crosswalk.tenant_id', true) AND NOT (SELECT crm.is_held_back(1));

-- Null while the list is hidden: not known, which is not the same as not listed.
CREATE OR REPLACE FUNCTION crm.is_on_dnc_list(phone text, organisation text) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN crm.is_held_back(1) THEN NULL ELSE EXISTS (SELECT FROM crm.dnc_list d
    WHERE d.tenant_id = organisation AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())
      AND d.identity IN (phone, regexp_replace(phone, '[^0-9]', '', 'g'))) END
$$;

SELECT crosswalk.show_operators('crm.tenants', ARRAY['id', 'tenant_id', 'name', 'deleted_at']);
SELECT crosswalk.show_operators('crm.rejects', ARRAY['tenant_id', 'legacy_table', 'reason']);

REVOKE ALL ON FUNCTION crosswalk.adds_second_lead(uuid, uuid, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION crosswalk.adds_second_lead(uuid, uuid, boolean) TO crosswalk_app;
