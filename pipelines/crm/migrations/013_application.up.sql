-- crosswalk: replaces 159dd98eac9cccd94cf4a3fae23343d391e5528913cc41e8f4fea6928a65e04c
-- What an application finds when it begins to work here: figures that are kept, defaults and unique values for its own rows, accounts of its tenant, look-ups.

-- The figures, in one pass over each table; a lead without a status is a new one. Made beside the old ones, which the view reads until then: whatever is built on the view stays.
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
    -- Tenants of quotes are companies; those of contacts are workspaces, whose ids may be anything.
    CASE WHEN tenant_id ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN tenant_id::uuid END AS company_id
  FROM counted GROUP BY tenant_id HAVING bool_or(is_company);
CREATE OR REPLACE VIEW crm.dashboard_stats WITH (security_barrier = true) AS
  SELECT * FROM crm.dashboard_figures WHERE tenant_id = current_setting('crosswalk.tenant_id', true) AND NOT (SELECT crm.is_held_back(1));
DROP MATERIALIZED VIEW crm.dashboard_stats_data;
ALTER MATERIALIZED VIEW crm.dashboard_figures RENAME TO dashboard_stats_data;
CREATE UNIQUE INDEX dashboard_stats_data_tenant_key ON crm.dashboard_stats_data (tenant_id);
GRANT SELECT ON crm.dashboard_stats_data TO crosswalk_reader;

-- One refresh at a time; whoever comes second waits, and refreshes again: it has asked for what is committed by now.
CREATE OR REPLACE FUNCTION crm.refresh_dashboard_stats() RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE started timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('crosswalk.figures', 0));
  started := clock_timestamp();
  -- As a backup leaves it that was restored without rows.
  IF (SELECT relispopulated FROM pg_class WHERE oid = 'crm.dashboard_stats_data'::regclass) THEN
    REFRESH MATERIALIZED VIEW CONCURRENTLY crm.dashboard_stats_data;
  ELSE
    REFRESH MATERIALIZED VIEW crm.dashboard_stats_data;
  END IF;
  INSERT INTO crosswalk.upkeep VALUES ('figures', started, clock_timestamp() - started)
    ON CONFLICT (task) DO UPDATE SET as_of = excluded.as_of, took = excluded.took;
END $$;
GRANT EXECUTE ON FUNCTION crm.refresh_dashboard_stats() TO crosswalk_projector;

-- Whether this login may ask about a tenant, for functions that read past its policies: one that sees all of them, or an application of that tenant, as far as its stage goes.
CREATE FUNCTION crm.may_ask_about(organisation text, needed integer) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN pg_has_role(session_user, current_user, 'USAGE') OR pg_has_role(session_user, 'crosswalk_reader', 'USAGE') OR pg_has_role(session_user, 'crosswalk_projector', 'USAGE')
    OR (organisation = current_setting('crosswalk.tenant_id', true) AND crosswalk.current_stage(organisation) >= needed);
END $$;

-- Leads of a tenant by e-mail: that of a contact's lead is its contact's. Under row-level security no index on an expression serves: so it is read past it.
CREATE FUNCTION crm.leads_by_email(organisation text, wanted text) RETURNS SETOF uuid
  LANGUAGE plpgsql STABLE ROWS 2 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF wanted IS NULL OR btrim(wanted) = '' OR NOT crm.may_ask_about(organisation, 1) THEN RETURN; END IF;
  RETURN QUERY
    SELECT l.id FROM crm.leads l WHERE l.tenant_id = organisation AND lower(btrim(l.email)) = lower(btrim(wanted)) AND l.email IS NOT NULL AND l.deleted_at IS NULL AND l.contact_id IS NULL
    UNION ALL
    SELECT l.id FROM crm.contacts c JOIN crm.leads l ON l.contact_id = c.id
      WHERE c.tenant_id = organisation AND lower(btrim(c.email)) = lower(btrim(wanted)) AND c.email IS NOT NULL AND l.tenant_id = organisation AND l.deleted_at IS NULL;
END $$;

-- Pairs of leads that share a phone number or an e-mail: each lead with each other one.
CREATE VIEW crm.leads_of_one_person WITH (security_invoker = true) AS
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

CREATE VIEW crm.lead_conversion_by_source WITH (security_invoker = true) AS
  SELECT tenant_id, CASE WHEN contact_id IS NULL THEN 'quote' ELSE 'contact' END AS lead_from, lead_source,
    count(*) AS total_leads,
    count(*) FILTER (WHERE is_converted) AS converted_leads,
    round(100.0 * count(*) FILTER (WHERE is_converted) / count(*), 2) AS conversion_rate_percent
  FROM crm.leads WHERE deleted_at IS NULL GROUP BY 1, 2, 3;

-- The values that columns of the new tables take, in the order of the work. Columns without a check may hold others: legacy spellings are kept.
CREATE VIEW crm.lookup_values AS
  SELECT kind, value, sort_order::integer, is_default FROM (VALUES
    ('lead_status', 'new', 1, true), ('lead_status', 'contacted', 2, false), ('lead_status', 'qualified', 3, false), ('lead_status', 'nurturing', 4, false),
    ('lead_status', 'proposal', 5, false), ('lead_status', 'won', 6, false), ('lead_status', 'converted', 7, false), ('lead_status', 'lost', 8, false),
    ('lead_status', 'unqualified', 9, false),
    ('quote_status', 'draft', 1, true), ('quote_status', 'sent', 2, false), ('quote_status', 'accepted', 3, false), ('quote_status', 'scheduled', 4, false), ('quote_status', 'completed', 5, false),
    ('job_status', 'scheduled', 1, true), ('job_status', 'in_progress', 2, false), ('job_status', 'completed', 3, false),
    ('invoice_status', 'pending', 1, true), ('invoice_status', 'sent', 2, false), ('invoice_status', 'paid', 3, false),
    ('lead_priority', 'medium', 1, true),
    ('qualification_status', 'unqualified', 1, true),
    ('field_type', 'text', 1, true), ('field_type', 'number', 2, false), ('field_type', 'boolean', 3, false), ('field_type', 'date', 4, false), ('field_type', 'json', 5, false)
  ) AS v (kind, value, sort_order, is_default);

REVOKE ALL ON FUNCTION crm.may_ask_about(text, integer), crm.leads_by_email(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION crm.may_ask_about(text, integer), crm.leads_by_email(text, text) TO crosswalk_app, crosswalk_reader, crosswalk_projector;
GRANT SELECT ON crm.leads_of_one_person, crm.lead_conversion_by_source, crm.lookup_values TO crosswalk_app, crosswalk_reader;

-- Rows of the application. Projectors name every column that they leave blank: what follows is never in a projected row.
ALTER TABLE crm.leads ALTER COLUMN priority SET DEFAULT 'medium', ALTER COLUMN lead_score SET DEFAULT 0, ALTER COLUMN qualification_status SET DEFAULT 'unqualified';
ALTER TABLE crm.quotes_new ALTER COLUMN status SET DEFAULT 'draft';
ALTER TABLE crm.quote_items_new ALTER COLUMN quantity SET DEFAULT 1, ALTER COLUMN is_upsell SET DEFAULT false, ALTER COLUMN is_discount SET DEFAULT false;
ALTER TABLE crm.jobs_new ALTER COLUMN status SET DEFAULT 'scheduled';
ALTER TABLE crm.invoices_new ALTER COLUMN status SET DEFAULT 'pending', ALTER COLUMN amount_paid SET DEFAULT 0;
ALTER TABLE crm.payments ALTER COLUMN method SET DEFAULT 'unknown';

CREATE FUNCTION crm.touch_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION crm.touch_updated_at() FROM PUBLIC;
DO $$
DECLARE
  dated record;
BEGIN
  FOR dated IN SELECT c.relname AS table_name, a.attname AS column_name, a.atthasdef AS has_default FROM pg_class c
      JOIN pg_attribute o ON o.attrelid = c.oid AND o.attname = 'origin' AND NOT o.attisdropped
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('created_at', 'updated_at', 'changed_at', 'assigned_at') AND NOT a.attisdropped
      WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r' ORDER BY 1, 2 LOOP
    IF NOT dated.has_default THEN
      EXECUTE format('ALTER TABLE crm.%I ALTER COLUMN %I SET DEFAULT now()', dated.table_name, dated.column_name);
    END IF;
    IF dated.column_name = 'updated_at' THEN
      -- Projected rows have the times of their legacy rows.
      EXECUTE format($trigger$CREATE TRIGGER touch_updated_at BEFORE UPDATE ON crm.%I FOR EACH ROW
        WHEN (OLD.origin = 'app' AND NEW.origin = 'app' AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION crm.touch_updated_at()$trigger$, dated.table_name);
    END IF;
  END LOOP;
END $$;

-- A row of the application takes no value that a live projected row holds. Not the other way round: a projector waits for no row of the application. Where it comes second both stay, and
-- crm.value_collisions shows them. Read past the policies: an account belongs to several tenants, and a unique value is unique whoever sees it.
CREATE FUNCTION crm.refuse_taken_value() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  taken text;
  broken text;
  -- What an update leaves as it was is not asked for again.
  was_live boolean := TG_OP = 'UPDATE' AND OLD.deleted_at IS NULL AND OLD.origin = 'app';
BEGIN
  IF TG_TABLE_NAME = 'contacts' THEN
    IF NOT (was_live AND (OLD.user_id, OLD.phone_number) IS NOT DISTINCT FROM (NEW.user_id, NEW.phone_number))
      AND EXISTS (SELECT FROM crm.contacts c WHERE c.user_id = NEW.user_id AND c.phone_number = NEW.phone_number AND c.id <> NEW.id AND c.origin = 'cdc' AND c.deleted_at IS NULL) THEN
      taken := 'phone_number';
      broken := 'unique_contact_per_user';
    ELSIF NOT (was_live AND (OLD.user_id, OLD.thread_id) IS NOT DISTINCT FROM (NEW.user_id, NEW.thread_id))
      AND EXISTS (SELECT FROM crm.contacts c WHERE c.user_id = NEW.user_id AND c.thread_id = NEW.thread_id AND c.id <> NEW.id AND c.origin = 'cdc' AND c.deleted_at IS NULL) THEN
      taken := 'thread_id';
      broken := 'unique_thread_per_user';
    END IF;
  ELSIF NOT (was_live AND (OLD.tenant_id, OLD.phone_e164) IS NOT DISTINCT FROM (NEW.tenant_id, NEW.phone_e164))
    AND EXISTS (SELECT FROM crm.customers c WHERE c.tenant_id = NEW.tenant_id AND c.phone_e164 = NEW.phone_e164 AND c.id <> NEW.id AND c.origin = 'cdc' AND c.deleted_at IS NULL) THEN
    taken := 'phone_e164';
    broken := 'unique_customer_phone';
  END IF;
  IF taken IS NOT NULL THEN
    RAISE EXCEPTION 'a projected row of crm.% holds this % already', TG_TABLE_NAME, taken
      USING ERRCODE = 'unique_violation', SCHEMA = 'crm', TABLE = TG_TABLE_NAME, COLUMN = taken, CONSTRAINT = broken,
        HINT = 'Work with that row: it is the same one. It changes with its legacy row.';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION crm.refuse_taken_value() FROM PUBLIC;
CREATE TRIGGER refuse_taken_value BEFORE INSERT OR UPDATE ON crm.contacts FOR EACH ROW WHEN (NEW.origin = 'app' AND NEW.deleted_at IS NULL) EXECUTE FUNCTION crm.refuse_taken_value();
CREATE TRIGGER refuse_taken_value BEFORE INSERT OR UPDATE ON crm.customers FOR EACH ROW WHEN (NEW.origin = 'app' AND NEW.deleted_at IS NULL) EXECUTE FUNCTION crm.refuse_taken_value();

-- Live rows of the application that hold a value which another live row holds too: mostly a projected one that came later.
CREATE VIEW crm.value_collisions WITH (security_invoker = true) AS
  SELECT a.tenant_id, 'contacts' AS table_name, 'unique_contact_per_user' AS constraint_name, a.id AS row_id, o.id AS other_row_id, o.origin AS other_origin
    FROM crm.contacts a JOIN crm.contacts o ON o.user_id = a.user_id AND o.phone_number = a.phone_number AND o.id <> a.id
    WHERE a.origin = 'app' AND a.deleted_at IS NULL AND o.deleted_at IS NULL
  UNION ALL SELECT a.tenant_id, 'contacts', 'unique_thread_per_user', a.id, o.id, o.origin
    FROM crm.contacts a JOIN crm.contacts o ON o.user_id = a.user_id AND o.thread_id = a.thread_id AND o.id <> a.id
    WHERE a.origin = 'app' AND a.deleted_at IS NULL AND o.deleted_at IS NULL
  UNION ALL SELECT a.tenant_id, 'customers', 'unique_customer_phone', a.id, o.id, o.origin
    FROM crm.customers a JOIN crm.customers o ON o.tenant_id = a.tenant_id AND o.phone_e164 = a.phone_e164 AND o.id <> a.id
    WHERE a.origin = 'app' AND a.deleted_at IS NULL AND o.deleted_at IS NULL;
GRANT SELECT ON crm.value_collisions TO crosswalk_app, crosswalk_reader;

-- Accounts: the application reads those of its tenant, and those that contacts of its tenant belong to, which several tenants may share.
ALTER TABLE crm.users ADD COLUMN tenant_id text; -- null: of no tenant alone
CREATE POLICY tenant ON crm.users FOR SELECT TO crosswalk_app USING (tenant_id = current_setting('crosswalk.tenant_id', true)
  OR EXISTS (SELECT FROM crm.contacts c WHERE c.tenant_id = current_setting('crosswalk.tenant_id', true) AND c.user_id = users.id AND c.deleted_at IS NULL));
CREATE POLICY tenant ON crm.user_subscriptions FOR SELECT TO crosswalk_app USING (EXISTS (SELECT FROM crm.users u WHERE u.id = user_id));
CREATE POLICY tenant ON crm.chatbots FOR SELECT TO crosswalk_app USING (EXISTS (SELECT FROM crm.users u WHERE u.id = user_id));
DO $$
DECLARE account text;
BEGIN
  FOREACH account IN ARRAY ARRAY['users', 'user_subscriptions', 'chatbots'] LOOP
    EXECUTE format('CREATE POLICY projector ON crm.%I FOR SELECT TO crosswalk_projector USING (true)', account);
    EXECUTE format('CREATE POLICY reader ON crm.%I FOR SELECT TO crosswalk_reader USING (true)', account);
    EXECUTE format('ALTER TABLE crm.%I ENABLE ROW LEVEL SECURITY', account);
    EXECUTE format('GRANT SELECT ON crm.%I TO crosswalk_app', account);
  END LOOP;
END $$;

-- Whether the application may give a contact of its tenant to an account. Any other one would be seen from then on. Account 1 is everybody's, until told otherwise.
CREATE FUNCTION crm.may_belong_to(account bigint) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT account = 1 OR EXISTS (SELECT FROM crm.users u WHERE u.id = account AND u.tenant_id = current_setting('crosswalk.tenant_id', true))
    OR EXISTS (SELECT FROM crm.contacts c WHERE c.tenant_id = current_setting('crosswalk.tenant_id', true) AND c.user_id = account AND c.deleted_at IS NULL)
$$;
REVOKE ALL ON FUNCTION crm.may_belong_to(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION crm.may_belong_to(bigint) TO crosswalk_app;
CREATE POLICY own_account ON crm.contacts AS RESTRICTIVE FOR INSERT TO crosswalk_app WITH CHECK (crm.may_belong_to(user_id));
CREATE POLICY own_account_still ON crm.contacts AS RESTRICTIVE FOR UPDATE TO crosswalk_app USING (true) WITH CHECK (crm.may_belong_to(user_id));

-- The administrator as the multi-tenant plan names it, where nobody has changed the rows that were made here. `crosswalk.admin_email` is TARGET_ADMIN_EMAIL, which the migrator's session sets.
UPDATE crm.users SET email = coalesce(nullif(current_setting('crosswalk.admin_email', true), ''), 'admin@swiftreplies.ai'), full_name = 'Admin User', company_name = 'SwiftReplies Admin'
  WHERE id = 1 AND email = 'admin@crosswalk.invalid' AND full_name = 'Administrator' AND company_name = 'Administration'
    AND NOT EXISTS (SELECT FROM crm.users WHERE id <> 1 AND email = coalesce(nullif(current_setting('crosswalk.admin_email', true), ''), 'admin@swiftreplies.ai'));
UPDATE crm.user_subscriptions SET subscription_name = 'Admin Unlimited Plan'
  WHERE user_id = 1 AND subscription_name = 'Unlimited' AND subscription_config = '{"features": {"all": true}, "limits": {"unlimited": true}}'
    AND (daily_message_limit, monthly_message_limit, daily_campaign_limit, monthly_campaign_limit) = (999999, 999999, 999999, 999999);
UPDATE crm.chatbots SET name = 'Default Admin Bot', general_instructions = 'Admin testing bot'
  WHERE id = 1 AND user_id = 1 AND name = 'Default' AND general_instructions = 'The chatbot of migrated contacts' AND whatsapp_phone_number IS NULL;
