-- Checks on the whole, for psql: figures of the legacy tables, and the same figures of the new ones. `crosswalk verify --sql` makes the script (docs/verification.md, "For psql").
-- They are the five of the plan that this migration follows, as docs/mapping.md has it: customers are told apart by tenant and customer key and not by phones, a quote exists for more
-- reasons than its status, items may be an array inside of a JSON string, amounts that are no finite number are rejects and add nothing, and soft-deleted rows do not count.

-- crosswalk: legacy

-- White space as docs/mapping.md defines it.
CREATE FUNCTION pg_temp.has(value text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(btrim(value, E'\t\n\x0B\f\r \u00A0'), '') <> '' $$;
CREATE FUNCTION pg_temp.finite(value numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN value::text NOT IN ('NaN', 'Infinity', '-Infinity') THEN value END $$;
-- The array itself, or the array that a JSON string holds; null for all else.
CREATE FUNCTION pg_temp.array_of(value jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE held jsonb := value;
BEGIN
  IF jsonb_typeof(value) = 'string' THEN
    BEGIN
      held := (value #>> '{}')::jsonb;
    EXCEPTION WHEN OTHERS THEN RETURN NULL;
    END;
  END IF;
  RETURN CASE jsonb_typeof(held) WHEN 'array' THEN held END;
END $$;

CREATE TEMPORARY VIEW quote_read AS
  SELECT q.*, pg_temp.array_of(q.items) AS item_array, pg_temp.finite(q.total) AS finite_total, pg_temp.has(q.invoice_number) AS is_invoiced,
    lower(btrim(q.status, E'\t\n\x0B\f\r \u00A0')) AS status_text
  FROM quotes q;

CREATE TEMPORARY VIEW figures (name, value) AS
  WITH q AS (
    SELECT *, pg_temp.has(status) OR is_invoiced OR pg_temp.has(quote_number) OR coalesce(jsonb_array_length(item_array), 0) > 0 OR coalesce(total <> 0, false) AS is_quote,
      coalesce(status_text IN ('accepted', 'completed', 'scheduled'), false) OR is_invoiced AS is_job
    FROM quote_read
  )
  SELECT f.name, f.value::numeric FROM (
    SELECT count(*) AS quotes, count(DISTINCT coalesce(company_id::text, 'unassigned')) AS tenants,
      count(*) FILTER (WHERE is_quote) AS is_quote,
      coalesce(sum((SELECT count(*) FROM jsonb_array_elements(item_array) item WHERE jsonb_typeof(item) = 'object')), 0) AS items,
      count(*) FILTER (WHERE is_job) AS jobs, count(*) FILTER (WHERE is_invoiced) AS invoices,
      coalesce(sum(finite_total), 0) AS total, count(*) FILTER (WHERE total IS NOT NULL AND finite_total IS NULL) AS no_number,
      coalesce(sum(finite_total) FILTER (WHERE is_invoiced AND paid_at IS NOT NULL), 0) AS paid,
      count(*) FILTER (WHERE is_invoiced AND paid_at IS NOT NULL) AS paid_invoices,
      count(*) FILTER (WHERE paid_at IS NOT NULL AND NOT is_invoiced) AS paid_without_invoice,
      count(*) FILTER (WHERE is_invoiced AND finite_total IS NULL) AS invoice_without_amount
    FROM q) s
  CROSS JOIN LATERAL (VALUES
    ('1 customers: legacy quotes that one of them stands for', quotes), ('1 customers: tenants that have some', tenants),
    ('2 quotes', is_quote), ('2 quotes: items', items), ('2 quotes: jobs', jobs), ('2 quotes: invoices', invoices),
    ('3 totals: sum', total), ('3 totals: sum of what was paid', paid), ('3 totals: rejects, not a finite number', no_number),
    ('3 totals: rejects, paid without an invoice number', paid_without_invoice), ('3 totals: rejects, invoice without an amount', invoice_without_amount),
    ('5 payments: paid invoices', paid_invoices), ('5 payments', paid_invoices)) f (name, value)
  UNION ALL
  SELECT '6 contacts with a user and a chatbot', count(*) FROM contacts;

-- crosswalk: target

CREATE TEMPORARY VIEW figures (name, value) AS
  WITH told AS (SELECT DISTINCT data ->> 'tenant_id' AS tenant_id, data ->> 'customer_key' AS customer_key FROM contribution WHERE aggregate = 'customers' AND live),
    -- Those of clients are one for each client, whatever their phones.
    c AS (SELECT * FROM customers WHERE origin = 'cdc' AND deleted_at IS NULL AND legacy_table = 'quotes'),
    q AS (SELECT * FROM quotes_new WHERE origin = 'cdc' AND deleted_at IS NULL),
    n AS (SELECT * FROM quote_items_new WHERE origin = 'cdc'),
    j AS (SELECT * FROM jobs_new WHERE origin = 'cdc' AND deleted_at IS NULL),
    i AS (SELECT * FROM invoices_new WHERE origin = 'cdc' AND deleted_at IS NULL),
    p AS (SELECT * FROM payments WHERE origin = 'cdc' AND deleted_at IS NULL),
    r AS (SELECT * FROM rejects WHERE origin = 'cdc' AND legacy_table = 'quotes')
  SELECT '1 customers: legacy quotes that one of them stands for'::text, count(*)::numeric FROM contribution k JOIN c ON c.id = k.merge_key
    WHERE k.aggregate = 'customers' AND k.live AND k.legacy_table = 'quotes'
  UNION ALL SELECT '1 customers: tenants that have some', count(DISTINCT c.tenant_id) FROM contribution k JOIN c ON c.id = k.merge_key
    WHERE k.aggregate = 'customers' AND k.live AND k.legacy_table = 'quotes'
  UNION ALL SELECT '1 customers: tenant and customer key without one', count(*) FROM told LEFT JOIN c USING (tenant_id, customer_key) WHERE c.id IS NULL
  UNION ALL SELECT '1 customers: beyond one for a tenant and customer key', count(*) - (SELECT count(*) FROM told) FROM c
  UNION ALL SELECT '2 quotes', count(*) FROM q
  UNION ALL SELECT '2 quotes: items', count(*) FROM n
  UNION ALL SELECT '2 quotes: jobs', count(*) FROM j
  UNION ALL SELECT '2 quotes: invoices', count(*) FROM i
  UNION ALL SELECT '3 totals: sum', coalesce(sum(total), 0) FROM q
  UNION ALL SELECT '3 totals: sum of what was paid', coalesce(sum(amount), 0) FROM p
  UNION ALL SELECT '3 totals: rejects, not a finite number', count(*) FROM r WHERE path = 'total'
  UNION ALL SELECT '3 totals: rejects, paid without an invoice number', count(*) FROM r WHERE path = 'paid_at'
  UNION ALL SELECT '3 totals: rejects, invoice without an amount', count(*) FROM r WHERE path = 'invoice_number'
  UNION ALL SELECT '4 orphans: quotes without a customer', count(*) FROM q LEFT JOIN c ON c.id = q.customer_id WHERE c.id IS NULL
  UNION ALL SELECT '4 orphans: items without a quote', count(*) FROM n LEFT JOIN q ON q.id = n.quote_id WHERE q.id IS NULL
  UNION ALL SELECT '4 orphans: jobs without a quote', count(*) FROM j LEFT JOIN q ON q.id = j.quote_id WHERE q.id IS NULL
  UNION ALL SELECT '4 orphans: invoices without a job', count(*) FROM i LEFT JOIN j ON j.id = i.job_id WHERE j.id IS NULL
  UNION ALL SELECT '4 orphans: payments without an invoice', count(*) FROM p LEFT JOIN i ON i.id = p.invoice_id WHERE i.id IS NULL
  UNION ALL SELECT '5 payments: paid invoices', count(*) FROM i WHERE status = 'paid'
  UNION ALL SELECT '5 payments', count(*) FROM p
  UNION ALL SELECT '5 payments: paid invoices without one', count(*) FROM i LEFT JOIN p ON p.invoice_id = i.id WHERE i.status = 'paid' AND p.id IS NULL
  UNION ALL SELECT '5 payments: of unpaid invoices', count(*) FROM p JOIN i ON p.invoice_id = i.id WHERE i.status <> 'paid'
  UNION ALL SELECT '6 contacts with a user and a chatbot', count(*) FILTER (WHERE user_id IS NOT NULL AND chatbot_id IS NOT NULL) FROM contacts
    WHERE origin = 'cdc' AND deleted_at IS NULL AND legacy_table = 'contacts';
