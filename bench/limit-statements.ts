// The same eight tables as one INSERT … SELECT each: what a one-off migration script does. Simplified to what the rows under test need (every phone is
// a valid one, nothing is blank, no legacy value is left over), and without the state that keeps the new schema in step afterwards.

const lineage = 'origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version';
const lineageOf = (key: string) => `'cdc', 'quotes', ${key}, '0/1'::pg_lsn, 1, now(), 'limit'`;
const phone = `'+' || regexp_replace(q.phone, '\\D', '', 'g')`;
const customerId = `md5('customer:' || q.company_id || ':p:' || ${phone})::uuid`;
const addressText = `trim(regexp_replace(lower(normalize(q.address, NFKC)), '[[:punct:][:space:]]+', ' ', 'g'))`;
const idOf = (kind: string) => `md5('${kind}:' || q.id)::uuid`;
const status = 'lower(trim(q.status))';
const hasJob = `(${status} IN ('accepted', 'completed', 'scheduled') OR q.invoice_number <> '')`;

/** Statements in the order of the foreign keys, from public.quotes into the tables of crm. */
export const limitStatements: readonly string[] = [
  `INSERT INTO crm.customers (id, tenant_id, company_id, customer_key, name, email, phone_raw, phone_e164, created_at, updated_at, ${lineage})
   SELECT DISTINCT ON (1) ${customerId}, q.company_id::text, q.company_id, 'p:' || ${phone}, q.customer_name, q.email, q.phone, ${phone},
     min(q.created_at) OVER same, max(q.updated_at) OVER same, ${lineageOf('q.id::text')}
   FROM quotes q WINDOW same AS (PARTITION BY q.company_id, ${phone}) ORDER BY 1, q.updated_at DESC, q.id DESC`,
  `INSERT INTO crm.customer_addresses (id, tenant_id, customer_id, address, normalised_address, is_primary, created_at, updated_at, ${lineage})
   SELECT DISTINCT ON (1) md5('address:' || ${customerId} || '|' || ${addressText})::uuid, q.company_id::text, ${customerId}, q.address, ${addressText},
     q.updated_at = max(q.updated_at) OVER (PARTITION BY q.company_id, ${phone}), q.created_at, q.updated_at, ${lineageOf('q.id::text')}
   FROM quotes q ORDER BY 1, q.updated_at DESC`,
  `INSERT INTO crm.leads (id, tenant_id, customer_id, company_id, status, description, name, email, phone, phone_raw, address, scheduled_visit_at, is_converted,
     created_at, updated_at, ${lineage})
   SELECT q.id, q.company_id::text, ${customerId}, q.company_id, lower(trim(q.lead_status)), q.description, q.customer_name, q.email, ${phone}, q.phone, q.address,
     q.scheduled_at, false, q.created_at, q.updated_at, ${lineageOf('q.id::text')}
   FROM quotes q WHERE trim(q.lead_status) <> ''`,
  `INSERT INTO crm.quotes_new (id, tenant_id, company_id, customer_id, lead_id, quote_number, customer_name, email, phone, address, job_name, description, subtotal,
     discount_amount, tax_rate, tax_amount, total, notes, status, sent_at, created_by, created_at, updated_at, ${lineage})
   SELECT q.id, q.company_id::text, q.company_id, ${customerId}, CASE WHEN trim(q.lead_status) <> '' THEN q.id END, q.quote_number, q.customer_name, q.email, q.phone,
     q.address, q.job_name, q.description, q.subtotal, q.discount_amount, q.tax_rate, q.tax_amount, q.total, q.notes, ${status}, q.sent_at, q.user_id,
     q.created_at, q.updated_at, ${lineageOf('q.id::text')}
   FROM quotes q`,
  `INSERT INTO crm.quote_items_new (id, tenant_id, quote_id, name, quantity, unit_price, total, is_upsell, is_discount, sort_order, ${lineage})
   SELECT md5('item:' || q.id || ':' || ordinal)::uuid, q.company_id::text, q.id, item->>'name', coalesce((item->>'quantity')::numeric, 1), (item->>'unit_price')::numeric,
     (item->>'total')::numeric, coalesce((item->>'is_upsell')::boolean, false), coalesce((item->>'is_discount')::boolean, false),
     coalesce((item->>'sort_order')::int, ordinal::int), ${lineageOf('q.id::text')}
   FROM quotes q CROSS JOIN LATERAL jsonb_array_elements(q.items) WITH ORDINALITY AS element (item, ordinal)`,
  `INSERT INTO crm.jobs_new (id, tenant_id, company_id, quote_id, customer_id, job_number, title, description, status, scheduled_start, actual_start, actual_end,
     created_at, updated_at, ${lineage})
   SELECT ${idOf('job')}, q.company_id::text, q.company_id, q.id, ${customerId}, coalesce(q.job_number, 'JOB-' || q.id), q.job_name, q.description,
     CASE WHEN q.completed_at IS NOT NULL OR ${status} = 'completed' THEN 'completed' WHEN q.started_at IS NOT NULL THEN 'in_progress' ELSE 'scheduled' END,
     q.scheduled_at, q.started_at, q.completed_at, q.created_at, q.updated_at, ${lineageOf('q.id::text')}
   FROM quotes q WHERE ${hasJob}`,
  `INSERT INTO crm.invoices_new (id, tenant_id, company_id, job_id, customer_id, invoice_number, amount_due, amount_paid, status, sent_at, paid_at, payment_method,
     payment_link_url, created_at, updated_at, ${lineage})
   SELECT ${idOf('invoice')}, q.company_id::text, q.company_id, ${idOf('job')}, ${customerId}, q.invoice_number, coalesce(q.total, 0),
     CASE WHEN q.paid_at IS NULL THEN 0 ELSE coalesce(q.total, 0) END,
     CASE WHEN q.paid_at IS NOT NULL THEN 'paid' WHEN q.invoice_sent_at IS NOT NULL THEN 'sent' ELSE 'pending' END,
     q.invoice_sent_at, q.paid_at, q.payment_method, q.payment_link_url, q.created_at, q.updated_at, ${lineageOf('q.id::text')}
   FROM quotes q WHERE q.invoice_number <> ''`,
  `INSERT INTO crm.payments (id, tenant_id, invoice_id, amount, method, paid_at, created_at, ${lineage})
   SELECT ${idOf('payment')}, q.company_id::text, ${idOf('invoice')}, coalesce(q.total, 0), coalesce(q.payment_method, 'unknown'), q.paid_at, q.paid_at, ${lineageOf('q.id::text')}
   FROM quotes q WHERE q.invoice_number <> '' AND q.paid_at IS NOT NULL`,
];
