-- The mapping contract, once more: every live projected row, computed from the legacy tables in one go. Written from
-- docs/mapping.md and the DDL alone; it shares nothing with projectors/, so a wrong reading shows as a difference.
--
-- Reads   legacy.<table>                                    the legacy tables
--         oracle_input.phone (raw, country, e164)           E.164 identity of every raw phone, null where it has none
--         oracle_input.tenant (tenant_id, country, user_id, chatbot_id, mailboxes, names)   the row '' stands for every tenant not listed
-- Writes  oracle.<table>                                    typed like crm.<table>, without lifecycle and lineage
--
-- Runs after values.sql, in the same session.

-- Every tenant with its pinned configuration.

CREATE UNLOGGED TABLE oracle.tenant_of AS
  SELECT t.tenant_id, coalesce(own.country, rest.country) AS country,
    coalesce(own.user_id, rest.user_id)::bigint AS user_id, coalesce(own.chatbot_id, rest.chatbot_id)::bigint AS chatbot_id,
    coalesce(own.mailboxes, rest.mailboxes) AS mailboxes, coalesce(own.names, rest.names) AS names
  FROM (
    SELECT CASE WHEN oracle.has(workspace_id) THEN workspace_id ELSE 'unassigned' END AS tenant_id FROM legacy.contacts
    UNION SELECT coalesce(company_id::text, 'unassigned') FROM legacy.quotes
    UNION SELECT CASE WHEN oracle.has(workspace_id) THEN workspace_id ELSE 'unassigned' END FROM (SELECT workspace_id FROM legacy.clients UNION SELECT workspace_id FROM legacy.leads) w) t
  CROSS JOIN (SELECT * FROM oracle_input.tenant WHERE tenant_id = '') rest
  LEFT JOIN oracle_input.tenant own ON own.tenant_id = t.tenant_id;

DO $$
DECLARE unknown bigint;
BEGIN
  SELECT count(*) INTO unknown FROM (
    SELECT phone_number AS raw, coalesce(CASE WHEN oracle.has(workspace_id) THEN workspace_id END, 'unassigned') AS tenant_id FROM legacy.contacts
    UNION SELECT phone, coalesce(company_id::text, 'unassigned') FROM legacy.quotes
    UNION SELECT phone, CASE WHEN oracle.has(workspace_id) THEN workspace_id ELSE 'unassigned' END FROM (SELECT phone, workspace_id FROM legacy.clients UNION SELECT phone, workspace_id FROM legacy.leads) w) given
  LEFT JOIN oracle.tenant_of t USING (tenant_id)
  WHERE oracle.has(raw) AND NOT EXISTS (SELECT FROM oracle_input.phone p WHERE p.raw = given.raw AND p.country = t.country);
  IF unknown > 0 THEN
    RAISE EXCEPTION 'oracle_input.phone or oracle_input.tenant lacks % phones: give every raw phone with its tenant''s country, and a tenant ''''', unknown;
  END IF;
END $$;

-- Cells of columns that no rule names, in PostgreSQL's text form: what the legacy tables have, whatever it is called.
CREATE FUNCTION oracle.keep_others(legacy_table text, named text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($query$CREATE UNLOGGED TABLE oracle.%1$I AS
      SELECT t.id::text AS key, v.name, v.value FROM legacy.%2$I t CROSS JOIN LATERAL (VALUES (NULL, NULL)%3$s) v (name, value) WHERE v.value IS NOT NULL$query$,
    'other_' || legacy_table, legacy_table,
    (SELECT string_agg(format(', (%L, CASE WHEN t.%I IS NOT NULL THEN format(''%%s'', t.%I) END)', attname, attname, attname), '') FROM pg_attribute
      WHERE attrelid = format('legacy.%I', legacy_table)::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL (named)));
  EXECUTE format('CREATE INDEX ON oracle.%I (key)', 'other_' || legacy_table);
END $$;
SELECT oracle.keep_others('workspaces', ARRAY['id', 'name', 'plan', 'country', 'settings', 'created_at', 'updated_at']),
  oracle.keep_others('status_options', ARRAY['id', 'workspace_id', 'category', 'name', 'color', 'sort_order', 'is_default', 'is_active', 'created_at', 'updated_at']),
  oracle.keep_others('contacts', ARRAY['id', 'workspace_id', 'firstname', 'lastname', 'name', 'phone_number', 'email', 'market', 'conversation_status', 'tags',
    'sentiment', 'thread_id', 'owner_id', 'opted_out', 'created_at', 'updated_at', 'lead_status', 'lead_status_id', 'lead_source', 'sub_source', 'product', 'priority',
    'campaign_id', 'utm_source', 'utm_medium', 'utm_campaign', 'estimated_value', 'expected_close_date', 'lead_score', 'lead_score_factors', 'qualification_status',
    'notes', 'source_metadata', 'custom_fields']),
  oracle.keep_others('quotes', ARRAY['id', 'company_id', 'lead_status', 'items', 'customer_name', 'email', 'phone', 'address', 'created_at', 'updated_at', 'description',
    'status', 'job_name', 'notes', 'quote_number', 'user_id', 'subtotal', 'discount_amount', 'tax_rate', 'tax_amount', 'total', 'sent_at', 'scheduled_at',
    'job_number', 'started_at', 'completed_at', 'invoice_number', 'invoice_sent_at', 'paid_at', 'payment_method', 'payment_link_url']),
  oracle.keep_others('clients', ARRAY['id', 'workspace_id', 'name', 'email', 'phone', 'converted_from_lead_id', 'created_at', 'updated_at']),
  oracle.keep_others('leads', ARRAY['id', 'workspace_id', 'client_id', 'name', 'email', 'phone', 'status', 'score', 'created_at', 'updated_at']);

-- Tenants and lookups.

CREATE UNLOGGED TABLE oracle.tenants AS
  SELECT id, CASE WHEN oracle.has(id) THEN id ELSE 'unassigned' END AS tenant_id, name, plan,
    rtrim(country::text, ' ') AS country, settings, created_at, updated_at,
    (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_workspaces o WHERE o.key = w.id) AS source_metadata
  FROM legacy.workspaces w;

CREATE UNLOGGED TABLE oracle.status_options AS
  SELECT id, CASE WHEN oracle.has(workspace_id) THEN workspace_id ELSE 'unassigned' END AS tenant_id, workspace_id,
    category, name, color, sort_order, is_default, is_active, created_at, updated_at,
    (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_status_options o WHERE o.key = s.id::text) AS source_metadata
  FROM legacy.status_options s;

-- Contacts.

CREATE UNLOGGED TABLE oracle.contact AS
  SELECT c.*, t.tenant_id, t.user_id, t.chatbot_id, phone.e164, oracle.v5('lead:contact:' || c.id) AS lead_id,
    oracle.status_text(c.lead_status) AS lead_status_text,
    coalesce(phone.e164, nullif(regexp_replace(c.phone_number, '[^0-9]', '', 'g'), ''), oracle.status_text(c.email)) AS dnc_identity,
    CASE WHEN phone.e164 IS NOT NULL THEN 'phone' WHEN c.phone_number ~ '[0-9]' THEN 'digits' ELSE 'email' END AS dnc_kind
  FROM legacy.contacts c
  JOIN oracle.tenant_of t ON t.tenant_id = CASE WHEN oracle.has(c.workspace_id) THEN c.workspace_id ELSE 'unassigned' END
  LEFT JOIN oracle_input.phone phone ON phone.raw = c.phone_number AND phone.country = t.country;

CREATE UNLOGGED TABLE oracle.contacts AS
  SELECT id, tenant_id, user_id, chatbot_id, workspace_id, firstname, lastname, name, phone_number, e164 AS phone_e164, email,
    market::text AS market, oracle.status_text(conversation_status) AS conversation_status, tags, sentiment, thread_id, owner_id,
    opted_out, created_at, updated_at
  FROM oracle.contact;

CREATE UNLOGGED TABLE oracle.lead_custom_fields AS
  SELECT oracle.v5('field:' || c.lead_id || '|' || f.name) AS id, c.tenant_id, c.lead_id, f.name AS field_name, f.value AS field_value, f.type AS field_type, c.created_at
  FROM oracle.contact c CROSS JOIN LATERAL (
    SELECT 'custom.' || entry.key AS name, entry.value #>> '{}' AS value,
      CASE jsonb_typeof(entry.value) WHEN 'string' THEN 'text' WHEN 'number' THEN 'number' WHEN 'boolean' THEN 'boolean' ELSE 'json' END AS type
    FROM jsonb_each(CASE jsonb_typeof(c.custom_fields) WHEN 'object' THEN c.custom_fields END) entry
    UNION ALL
    SELECT 'contact.' || field.name,
      CASE field.name WHEN 'is_blocked' THEN CASE field.value WHEN 't' THEN 'true' WHEN 'f' THEN 'false' ELSE field.value END ELSE field.value END,
      CASE WHEN field.name IN ('opted_out_at', 'birthday', 'last_message_at', 'last_contacted_at', 'assigned_at') THEN 'date'
        WHEN field.name = 'unread_count' THEN 'number' WHEN field.name = 'is_blocked' THEN 'boolean' ELSE 'text' END
    FROM oracle.other_contacts field WHERE field.key = c.id::text) f;

-- Live contributions alone: what a contact said before it moved or was deleted is not in the legacy tables any more.
CREATE UNLOGGED TABLE oracle.dnc_list AS
  SELECT oracle.v5('dnc:' || tenant_id || '|' || dnc_identity) AS id, tenant_id, dnc_identity AS identity,
    (array_agg(dnc_kind ORDER BY updated_at DESC NULLS LAST, id::text COLLATE "C" DESC))[1] AS identity_kind,
    (array_agg(opted_out_at ORDER BY updated_at DESC NULLS LAST, id::text COLLATE "C" DESC) FILTER (WHERE opted_out_at IS NOT NULL))[1] AS opted_out_at,
    NULL::timestamptz AS expires_at, NULL::text AS source, NULL::text AS reason,
    min(created_at) AS created_at, max(updated_at) AS updated_at
  FROM oracle.contact WHERE opted_out AND dnc_identity IS NOT NULL
  GROUP BY tenant_id, dnc_identity;

-- Quotes. First what a row says, then what it implies.

CREATE UNLOGGED TABLE oracle.quote_reading AS
  SELECT q.*, coalesce(q.company_id::text, 'unassigned') AS tenant_id, phone.e164, t.mailboxes, t.names,
    oracle.status_text(q.status) AS status_text, oracle.status_text(q.lead_status) AS lead_status_text,
    oracle.lower(oracle.trim(q.email)) AS email_text,
    oracle.normalised_name(q.customer_name) AS name_text, oracle.normalised_address(q.address) AS address_text,
    oracle.read_array(q.items) AS item_array
  FROM legacy.quotes q
  JOIN oracle.tenant_of t ON t.tenant_id = coalesce(q.company_id::text, 'unassigned')
  LEFT JOIN oracle_input.phone phone ON phone.raw = q.phone AND phone.country = t.country;

-- What names, addresses and numbers tell about a person, and what is only written to fill a field.
CREATE UNLOGGED TABLE oracle.quote AS
  SELECT r.*, k.customer_key, oracle.v5('customer:' || r.tenant_id || '|' || k.customer_key) AS customer_id,
    told.is_name, told.is_mailbox, r.e164 IS NOT NULL OR (digits <> '' AND NOT oracle.is_filler(digits)) AS is_phone,
    r.lead_status_text IS NOT NULL AS is_lead,
    r.status_text IS NOT NULL OR oracle.has(r.invoice_number) OR oracle.has(r.quote_number)
      OR coalesce(jsonb_array_length(r.item_array), 0) > 0 OR coalesce(r.total <> 0, false) AS is_quote,
    coalesce(r.status_text IN ('accepted', 'completed', 'scheduled'), false) OR oracle.has(r.invoice_number) AS is_job,
    oracle.has(r.invoice_number) AS is_invoice
  FROM oracle.quote_reading r
  CROSS JOIN LATERAL (SELECT coalesce(r.name_text <> ALL (r.names), false) AS is_name,
    coalesce(r.email_text ~ E'^[^@\t\n\x0B\f\r \u00A0]+@[^@\t\n\x0B\f\r \u00A0]+[.][^@\t\n\x0B\f\r \u00A0]+$'
      AND split_part(r.email_text, '@', 1) <> ALL (r.mailboxes), false) AS is_mailbox,
    coalesce(regexp_replace(r.phone, '[^0-9]', '', 'g'), '') AS digits) told
  CROSS JOIN LATERAL (SELECT CASE
    WHEN r.e164 IS NOT NULL THEN 'p:' || r.e164
    WHEN told.is_mailbox THEN 'e:' || r.email_text
    WHEN told.is_name AND r.address_text IS NOT NULL THEN 'n:' || r.name_text || '|' || r.address_text
    ELSE 'q:' || r.id END AS customer_key) k;
CREATE INDEX ON oracle.quote (customer_id);
ANALYZE oracle.quote;

-- A legacy value with no column in any row of its quote.
CREATE UNLOGGED TABLE oracle.leftover AS
  SELECT id AS quote_id, customer_id, is_quote, is_lead, nullif(jsonb_strip_nulls(jsonb_build_object(
    'customer_name', CASE WHEN NOT (is_quote OR is_lead) THEN customer_name END,
    'email', CASE WHEN NOT (is_quote OR is_lead) THEN email END,
    'phone', CASE WHEN NOT (is_quote OR is_lead) THEN phone END,
    'address', CASE WHEN NOT (is_quote OR is_lead) THEN address END,
    'created_at', CASE WHEN NOT (is_quote OR is_lead) THEN created_at::text END,
    'updated_at', CASE WHEN NOT (is_quote OR is_lead) THEN updated_at::text END,
    'description', CASE WHEN NOT (is_quote OR is_lead) THEN description END,
    'status', CASE WHEN NOT is_quote THEN status END,
    'job_name', CASE WHEN NOT is_quote THEN job_name END,
    'notes', CASE WHEN NOT is_quote THEN notes END,
    'quote_number', CASE WHEN NOT is_quote THEN quote_number END,
    'user_id', CASE WHEN NOT is_quote THEN user_id::text END,
    'subtotal', CASE WHEN NOT is_quote THEN oracle.finite(subtotal)::text END,
    'discount_amount', CASE WHEN NOT is_quote THEN oracle.finite(discount_amount)::text END,
    'tax_rate', CASE WHEN NOT is_quote THEN oracle.finite(tax_rate)::text END,
    'tax_amount', CASE WHEN NOT is_quote THEN oracle.finite(tax_amount)::text END,
    'total', CASE WHEN NOT is_quote THEN oracle.finite(total)::text END,
    'sent_at', CASE WHEN NOT is_quote AND lead_status_text IS DISTINCT FROM 'converted' THEN sent_at::text END,
    'scheduled_at', CASE WHEN NOT (is_lead OR is_job) THEN scheduled_at::text END,
    'job_number', CASE WHEN NOT is_job THEN job_number END,
    'started_at', CASE WHEN NOT is_job THEN started_at::text END,
    'completed_at', CASE WHEN NOT is_job THEN completed_at::text END,
    'invoice_number', CASE WHEN NOT is_invoice THEN invoice_number END,
    'invoice_sent_at', CASE WHEN NOT is_invoice THEN invoice_sent_at::text END,
    'paid_at', CASE WHEN NOT is_invoice THEN paid_at::text END,
    'payment_method', CASE WHEN NOT is_invoice THEN payment_method END,
    'payment_link_url', CASE WHEN NOT is_invoice THEN payment_link_url END
  )) || coalesce((SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_quotes o WHERE o.key = q.id::text), '{}'), '{}') AS kept
  FROM oracle.quote q;
ALTER TABLE oracle.leftover ADD PRIMARY KEY (quote_id);
ANALYZE oracle.leftover;

CREATE UNLOGGED TABLE oracle.customers AS
  SELECT q.customer_id AS id, min(q.tenant_id) AS tenant_id, (array_agg(q.company_id))[1] AS company_id, min(q.customer_key) AS customer_key,
    (array_agg(q.customer_name ORDER BY q.is_name DESC, q.updated_at DESC NULLS LAST, q.id::text COLLATE "C" DESC) FILTER (WHERE oracle.has(q.customer_name)))[1] AS name,
    (array_agg(q.email ORDER BY q.is_mailbox DESC, q.updated_at DESC NULLS LAST, q.id::text COLLATE "C" DESC) FILTER (WHERE oracle.has(q.email)))[1] AS email,
    (array_agg(q.phone ORDER BY q.is_phone DESC, q.updated_at DESC NULLS LAST, q.id::text COLLATE "C" DESC) FILTER (WHERE oracle.has(q.phone)))[1] AS phone_raw,
    min(q.e164) AS phone_e164,
    jsonb_object_agg(q.id, l.kept) FILTER (WHERE l.kept IS NOT NULL AND NOT l.is_quote AND NOT l.is_lead) AS source_metadata,
    min(q.created_at) AS created_at, max(q.updated_at) AS updated_at,
    NULL::uuid AS superseded_by, NULL::text AS workspace_id, NULL::uuid AS converted_from_lead_id
  FROM oracle.quote q JOIN oracle.leftover l ON l.quote_id = q.id
  GROUP BY q.customer_id
  UNION ALL
  SELECT c.id, t.tenant_id, NULL, 'c:' || c.id, c.name, c.email, c.phone, phone.e164,
    (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_clients o WHERE o.key = c.id::text), c.created_at, c.updated_at, NULL, c.workspace_id, c.converted_from_lead_id
  FROM legacy.clients c
  JOIN oracle.tenant_of t ON t.tenant_id = CASE WHEN oracle.has(c.workspace_id) THEN c.workspace_id ELSE 'unassigned' END
  LEFT JOIN oracle_input.phone phone ON phone.raw = c.phone AND phone.country = t.country;

CREATE UNLOGGED TABLE oracle.customer_addresses AS
  SELECT oracle.v5('address:' || customer_id || '|' || address_text) AS id, min(tenant_id) AS tenant_id, customer_id,
    (array_agg(address ORDER BY updated_at DESC NULLS LAST, id::text COLLATE "C" DESC))[1] AS address, address_text AS normalised_address,
    bool_or(rank = 1) AS is_primary,
    min(created_at) AS created_at, max(updated_at) AS updated_at
  FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY updated_at DESC NULLS LAST, id::text COLLATE "C" DESC) AS rank
    FROM oracle.quote WHERE address_text IS NOT NULL) named
  GROUP BY customer_id, address_text;

-- Legacy leads: the client that each was converted to, if any, and whether that client says so too.
CREATE UNLOGGED TABLE oracle.legacy_lead AS
  SELECT l.*, t.tenant_id, phone.e164, oracle.status_text(l.status) AS status_text, coalesce(l.client_id, teller.id) AS converted_to,
    (SELECT c.created_at FROM legacy.clients c WHERE c.id = coalesce(l.client_id, teller.id) AND c.converted_from_lead_id = l.id) AS converted_at
  FROM legacy.leads l
  JOIN oracle.tenant_of t ON t.tenant_id = CASE WHEN oracle.has(l.workspace_id) THEN l.workspace_id ELSE 'unassigned' END
  LEFT JOIN oracle_input.phone phone ON phone.raw = l.phone AND phone.country = t.country
  LEFT JOIN LATERAL (SELECT c.id FROM legacy.clients c WHERE c.converted_from_lead_id = l.id
    ORDER BY c.created_at NULLS LAST, c.id::text COLLATE "C" LIMIT 1) teller ON true;

CREATE UNLOGGED TABLE oracle.leads AS
  SELECT lead_id AS id, tenant_id, id AS contact_id, NULL::uuid AS customer_id, NULL::uuid AS company_id, workspace_id,
    CASE WHEN oracle.is_known_lead_status(lead_status_text) THEN lead_status_text END AS status, lead_status_id,
    lead_source::text AS lead_source, sub_source::text AS sub_source, product::text AS product_interest, NULL::text AS description,
    NULL::text AS name, NULL::text AS email, e164 AS phone, NULL::text AS phone_raw, NULL::text AS address,
    CASE WHEN oracle.has(priority) THEN priority ELSE 'medium' END AS priority, campaign_id, utm_source::text AS utm_source,
    utm_medium::text AS utm_medium, utm_campaign::text AS utm_campaign, oracle.finite(estimated_value) AS estimated_value, expected_close_date,
    CASE WHEN lead_score BETWEEN 0 AND 100 THEN lead_score END AS lead_score, lead_score_factors,
    coalesce(oracle.status_text(qualification_status), 'unqualified') AS qualification_status, notes, tags, source_metadata,
    NULL::timestamptz AS scheduled_visit_at, coalesce(lead_status_text = 'converted', false) AS is_converted, NULL::uuid AS converted_to_client_id,
    NULL::timestamptz AS conversion_date, created_at, updated_at
  FROM oracle.contact
  UNION ALL
  SELECT q.id, q.tenant_id, NULL, q.customer_id, q.company_id, NULL,
    CASE WHEN oracle.is_known_lead_status(q.lead_status_text) THEN q.lead_status_text END, NULL,
    NULL, NULL, NULL, q.description,
    q.customer_name, q.email, q.e164, q.phone, q.address,
    NULL, NULL, NULL,
    NULL, NULL, NULL, NULL,
    NULL, NULL,
    NULL, NULL, NULL, CASE WHEN NOT q.is_quote THEN l.kept END,
    q.scheduled_at, q.lead_status_text = 'converted', CASE WHEN q.lead_status_text = 'converted' THEN q.customer_id END,
    CASE WHEN q.lead_status_text = 'converted' THEN coalesce(q.sent_at, q.updated_at) END, q.created_at, q.updated_at
  FROM oracle.quote q JOIN oracle.leftover l ON l.quote_id = q.id WHERE q.is_lead
  UNION ALL
  SELECT l.id, l.tenant_id, NULL, NULL, NULL, l.workspace_id,
    CASE WHEN oracle.is_known_lead_status(l.status_text) THEN l.status_text END, NULL,
    NULL, NULL, NULL, NULL,
    l.name, l.email, l.e164, l.phone, NULL,
    NULL, NULL, NULL,
    NULL, NULL, NULL, NULL,
    CASE WHEN l.score BETWEEN 0 AND 100 THEN l.score END, NULL,
    NULL, NULL, NULL, (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_leads o WHERE o.key = l.id::text),
    NULL, l.converted_to IS NOT NULL OR coalesce(l.status_text = 'converted', false), l.converted_to,
    CASE WHEN l.converted_to IS NOT NULL THEN coalesce(l.converted_at, l.updated_at) END, l.created_at, l.updated_at
  FROM oracle.legacy_lead l;

CREATE UNLOGGED TABLE oracle.quotes_new AS
  SELECT q.id, q.tenant_id, q.company_id, q.customer_id, CASE WHEN q.is_lead THEN q.id END AS lead_id, q.quote_number, q.customer_name,
    q.email, q.phone, q.address, q.job_name, q.description, oracle.finite(q.subtotal) AS subtotal,
    oracle.finite(q.discount_amount) AS discount_amount, oracle.finite(q.tax_rate) AS tax_rate, oracle.finite(q.tax_amount) AS tax_amount,
    oracle.finite(q.total) AS total, q.notes, coalesce(q.status_text, CASE WHEN q.is_invoice THEN 'accepted' ELSE 'draft' END) AS status,
    q.sent_at, q.user_id AS created_by, l.kept AS source_metadata, q.created_at, q.updated_at
  FROM oracle.quote q JOIN oracle.leftover l ON l.quote_id = q.id WHERE q.is_quote;

CREATE UNLOGGED TABLE oracle.item AS
  SELECT q.id AS quote_id, q.tenant_id, e.ordinal::integer AS ordinal, e.element, jsonb_typeof(e.element) = 'object' AS is_object,
    oracle.read_number(e.element -> 'quantity') AS quantity, oracle.read_number(e.element -> 'unit_price') AS unit_price,
    oracle.read_number(e.element -> 'total') AS total, oracle.read_integer(e.element -> 'sort_order') AS sort_order,
    oracle.read_flag(e.element -> 'is_upsell') AS is_upsell, oracle.read_flag(e.element -> 'is_discount') AS is_discount
  FROM oracle.quote q CROSS JOIN LATERAL jsonb_array_elements(q.item_array) WITH ORDINALITY e (element, ordinal);

-- A default stands in for what is missing, never for what was rejected.
CREATE UNLOGGED TABLE oracle.quote_items_new AS
  SELECT oracle.v5('item:' || quote_id || ':' || ordinal) AS id, tenant_id, quote_id, element ->> 'name' AS name, element ->> 'description' AS description,
    d.quantity, unit_price, CASE WHEN oracle.is_missing(element -> 'total') THEN d.quantity * unit_price ELSE total END AS total,
    element ->> 'option_tier' AS option_tier,
    CASE WHEN oracle.is_missing(element -> 'is_upsell') THEN false ELSE is_upsell END AS is_upsell,
    CASE WHEN oracle.is_missing(element -> 'is_discount') THEN false ELSE is_discount END AS is_discount,
    CASE WHEN oracle.is_missing(element -> 'sort_order') THEN ordinal ELSE sort_order END AS sort_order,
    nullif(element - ARRAY['name', 'description', 'option_tier', 'quantity', 'unit_price', 'total', 'is_upsell', 'is_discount', 'sort_order'], '{}') AS source_metadata
  FROM oracle.item CROSS JOIN LATERAL (SELECT CASE WHEN oracle.is_missing(element -> 'quantity') THEN 1 ELSE quantity END AS quantity) d
  WHERE is_object;

CREATE UNLOGGED TABLE oracle.jobs_new AS
  SELECT oracle.v5('job:' || id) AS id, tenant_id, company_id, id AS quote_id, customer_id,
    CASE WHEN oracle.has(job_number) THEN job_number ELSE 'JOB-' || id END AS job_number, job_name AS title, description,
    CASE WHEN completed_at IS NOT NULL OR status_text = 'completed' THEN 'completed'
      WHEN started_at IS NOT NULL THEN 'in_progress' ELSE 'scheduled' END AS status,
    scheduled_at AS scheduled_start, started_at AS actual_start, completed_at AS actual_end, created_at, updated_at
  FROM oracle.quote WHERE is_job;

CREATE UNLOGGED TABLE oracle.invoices_new AS
  SELECT oracle.v5('invoice:' || id) AS id, tenant_id, company_id, oracle.v5('job:' || id) AS job_id, customer_id, invoice_number,
    coalesce(oracle.finite(total), 0) AS amount_due, CASE WHEN paid_at IS NOT NULL THEN coalesce(oracle.finite(total), 0) ELSE 0 END AS amount_paid,
    CASE WHEN paid_at IS NOT NULL THEN 'paid' WHEN invoice_sent_at IS NOT NULL THEN 'sent' ELSE 'pending' END AS status,
    invoice_sent_at AS sent_at, paid_at, payment_method, payment_link_url, created_at, updated_at
  FROM oracle.quote WHERE is_invoice;

CREATE UNLOGGED TABLE oracle.payments AS
  SELECT oracle.v5('payment:' || id) AS id, tenant_id, oracle.v5('invoice:' || id) AS invoice_id, coalesce(oracle.finite(total), 0) AS amount,
    CASE WHEN oracle.has(payment_method) THEN payment_method ELSE 'unknown' END AS method, paid_at, paid_at AS created_at
  FROM oracle.quote WHERE is_invoice AND paid_at IS NOT NULL;

-- Messages, and activities of the leads of contacts.

SELECT oracle.keep_others('messages', ARRAY['id']), oracle.keep_others('appointments', ARRAY['id']), oracle.keep_others('opportunities', ARRAY['id']);

CREATE UNLOGGED TABLE oracle.messages AS
  SELECT m.id, t.tenant_id, coalesce(own.user_id, rest.user_id)::bigint AS user_id, coalesce(own.chatbot_id, rest.chatbot_id)::bigint AS chatbot_id,
    m.contact_id, m.workspace_id, m.direction, m.channel, m.body, m.media, m.status, m.external_id, m.sent_at, m.delivered_at, m.read_at,
    (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_messages o WHERE o.key = m.id::text AND o.name NOT IN
      ('contact_id', 'workspace_id', 'direction', 'channel', 'body', 'media', 'status', 'external_id', 'sent_at', 'delivered_at', 'read_at')) AS source_metadata
  FROM legacy.messages m
  CROSS JOIN LATERAL (SELECT CASE WHEN oracle.has(m.workspace_id) THEN m.workspace_id ELSE 'unassigned' END AS tenant_id) t
  CROSS JOIN (SELECT * FROM oracle_input.tenant WHERE tenant_id = '') rest
  LEFT JOIN oracle_input.tenant own ON own.tenant_id = t.tenant_id;

CREATE UNLOGGED TABLE oracle.lead_activities AS
  SELECT oracle.v5('activity:' || a.legacy_table || ':' || a.id) AS id, CASE WHEN oracle.has(a.workspace_id) THEN a.workspace_id ELSE 'unassigned' END AS tenant_id,
    oracle.v5('lead:contact:' || a.contact_id) AS lead_id, a.activity_type,
    jsonb_build_object(a.activity_type || '_id', a.id) || coalesce(a.columns, '{}') AS activity_data, NULL::uuid AS performed_by, a.performed_at, a.notes
  FROM (
    SELECT 'messages' AS legacy_table, 'message' AS activity_type, m.id, m.contact_id, m.workspace_id, m.sent_at AS performed_at, NULL::text AS notes,
      (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_messages o WHERE o.key = m.id::text AND o.name NOT IN ('contact_id', 'sent_at', 'body', 'media')) AS columns
    FROM legacy.messages m
    UNION ALL
    SELECT 'appointments', 'appointment', p.id, p.contact_id, p.workspace_id, p.starts_at, p.notes,
      (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_appointments o WHERE o.key = p.id::text AND o.name NOT IN ('contact_id', 'starts_at', 'notes'))
    FROM legacy.appointments p
    UNION ALL
    SELECT 'opportunities', 'opportunity', p.id, p.contact_id, p.workspace_id, p.created_at, NULL,
      (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_opportunities o WHERE o.key = p.id::text AND o.name NOT IN ('contact_id', 'created_at')
        AND NOT (o.name IN ('amount', 'probability') AND o.value IN ('NaN', 'Infinity', '-Infinity')))
    FROM legacy.opportunities p) a;

CREATE UNLOGGED TABLE oracle.rejects AS
  SELECT oracle.v5('reject:' || legacy_table || '|' || legacy_key || '|' || path) AS id, tenant_id, path, raw_value, reason
  FROM (
    SELECT 'contacts' AS legacy_table, c.id AS legacy_key, c.tenant_id, v.path, v.raw_value, v.reason
    FROM oracle.contact c CROSS JOIN LATERAL (VALUES
      ('lead_status', c.lead_status, 'unknown lead status', NOT oracle.is_known_lead_status(c.lead_status_text)),
      ('lead_score', c.lead_score::text, 'out of range 0 to 100', c.lead_score NOT BETWEEN 0 AND 100),
      ('estimated_value', c.estimated_value::text, 'not a finite number', oracle.finite(c.estimated_value) IS NULL AND c.estimated_value IS NOT NULL),
      ('custom_fields', oracle.raw_text(c.custom_fields), 'not an object', jsonb_typeof(c.custom_fields) NOT IN ('null', 'object'))
    ) v (path, raw_value, reason, is_reject) WHERE v.is_reject
    UNION ALL
    SELECT 'quotes', q.id, q.tenant_id, v.path, v.raw_value, v.reason
    FROM oracle.quote q CROSS JOIN LATERAL (VALUES
      ('lead_status', q.lead_status, 'unknown lead status', NOT oracle.is_known_lead_status(q.lead_status_text)),
      ('subtotal', q.subtotal::text, 'not a finite number', oracle.finite(q.subtotal) IS NULL AND q.subtotal IS NOT NULL),
      ('discount_amount', q.discount_amount::text, 'not a finite number', oracle.finite(q.discount_amount) IS NULL AND q.discount_amount IS NOT NULL),
      ('tax_rate', q.tax_rate::text, 'not a finite number', oracle.finite(q.tax_rate) IS NULL AND q.tax_rate IS NOT NULL),
      ('tax_amount', q.tax_amount::text, 'not a finite number', oracle.finite(q.tax_amount) IS NULL AND q.tax_amount IS NOT NULL),
      ('total', q.total::text, 'not a finite number', oracle.finite(q.total) IS NULL AND q.total IS NOT NULL),
      ('paid_at', q.paid_at::text, 'paid without an invoice number', q.paid_at IS NOT NULL AND NOT q.is_invoice),
      ('invoice_number', q.invoice_number, 'invoice without an amount', q.is_invoice AND oracle.finite(q.total) IS NULL),
      ('items', oracle.raw_text(q.items), 'not an array', NOT oracle.is_missing(q.items) AND q.item_array IS NULL)
    ) v (path, raw_value, reason, is_reject) WHERE v.is_reject
    UNION ALL
    SELECT 'opportunities', o.id, CASE WHEN oracle.has(o.workspace_id) THEN o.workspace_id ELSE 'unassigned' END, v.path, v.value::text, 'not a finite number'
    FROM legacy.opportunities o CROSS JOIN LATERAL (VALUES ('amount', o.amount), ('probability', o.probability)) v (path, value)
    WHERE v.value IS NOT NULL AND oracle.finite(v.value) IS NULL
    UNION ALL
    SELECT 'leads', l.id, l.tenant_id, v.path, v.raw_value, v.reason
    FROM oracle.legacy_lead l CROSS JOIN LATERAL (VALUES
      ('status', l.status, 'unknown lead status', NOT oracle.is_known_lead_status(l.status_text)),
      ('score', l.score::text, 'out of range 0 to 100', l.score NOT BETWEEN 0 AND 100)
    ) v (path, raw_value, reason, is_reject) WHERE v.is_reject
    UNION ALL
    SELECT 'quotes', i.quote_id, i.tenant_id, 'items[' || i.ordinal || ']', oracle.raw_text(i.element), 'not an object'
    FROM oracle.item i WHERE NOT i.is_object
    UNION ALL
    SELECT 'quotes', i.quote_id, i.tenant_id, 'items[' || i.ordinal || '].' || v.field, oracle.raw_text(i.element -> v.field), v.reason
    FROM oracle.item i CROSS JOIN LATERAL (VALUES
      ('quantity', 'not a number', i.quantity IS NULL), ('unit_price', 'not a number', i.unit_price IS NULL), ('total', 'not a number', i.total IS NULL),
      ('sort_order', 'not an integer', i.sort_order IS NULL),
      ('is_upsell', 'not true or false', i.is_upsell IS NULL), ('is_discount', 'not true or false', i.is_discount IS NULL)
    ) v (field, reason, is_unread) WHERE i.is_object AND v.is_unread AND NOT oracle.is_missing(i.element -> v.field)
  ) r;

-- Entries of the do-not-call list that a past contribution keeps opted out. The legacy tables no longer know it, so it may explain an entry of its own,
-- and what it adds to a current one.
CREATE VIEW oracle.explained_dnc AS
  SELECT DISTINCT merge_key AS id FROM crosswalk.contribution
  WHERE aggregate = 'dnc_list' AND NOT live AND data ->> 'opted_out' IN ('t', 'true');

CREATE FUNCTION oracle.is_explained(projected text, entry text, column_name text, expected text, actual text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT projected = 'dnc_list' AND EXISTS (SELECT FROM oracle.explained_dnc d WHERE d.id = entry::uuid) AND CASE column_name
    WHEN 'opted_out_at' THEN actual IS NOT NULL
    WHEN 'created_at' THEN actual::timestamptz < expected::timestamptz
    WHEN 'updated_at' THEN actual::timestamptz > expected::timestamptz
    ELSE column_name IS NULL END
$$;
