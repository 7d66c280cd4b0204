/** How many leads there are, of how many tenants. */
export interface QueriesSize {
  readonly leads: number;
  /** The first tenant has a tenth of the leads, the others share the rest evenly. */
  readonly tenants: number;
}

export const tenantName = (tenant: number) => `ws-${tenant}`;
/** Ids derive from the number of the row, so that a query can be given any of them. */
export const LEAD_ID = `md5('lead ' || n)::uuid`;
export const LEAD_STATUSES = ['new', 'contacted', 'qualified', 'nurturing', 'proposal', 'won', 'converted', 'lost'];
export const LEAD_SOURCES = ['website', 'referral', 'campaign', 'trade fair', 'phone', 'partner'];
export const LEAD_TAGS = ['hot', 'vip', 'business', 'family', 'return', 'newsletter', 'spring', 'autumn'];

/** The phone of the n-th person, E.164; a number of the 206 area that is valid, and nobody else's. */
export const phoneOf = (n: number) => `+1206${2_000_000 + n}`;

const LINEAGE = 'origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version';
const lineageOf = (table: string) => `'cdc', '${table}', n::text, '0/1'::pg_lsn, 1, now(), 'bench'`;
const oneOf = (values: readonly string[], index: string) =>
  `(ARRAY[${values.map((value) => `'${value}'`).join(', ')}])[1 + (${index}) % ${values.length}]`;

/**
 * Fills an empty new schema with rows as the projectors leave them: leads of 90 days, nine in ten of contacts and one in ten of customers, with histories and activities,
 * and with costs and do-not-call entries. To be run in order, as the owner.
 */
export function fillStatements({ leads, tenants }: QueriesSize): string[] {
  const others = Math.max(1, tenants - 1);
  const tenant = `'ws-' || CASE WHEN n % 10 = 0 OR ${tenants} = 1 THEN 1 ELSE 2 + (n / 10 * 9 + n % 10) % ${others} END`;
  const all = `generate_series(1, ${leads}) AS n`;
  const status = oneOf(LEAD_STATUSES, 'n / 7');
  // Every tenth lead of a tenant is a customer's.
  const isCustomer = 'n / 10 % 10 = 0';
  const phone = `'+1206' || (2000000 + n)`;
  const createdAt = `now() - interval '90 days' * ((n * 7919::bigint) % 100003 / 100003.0)`;
  return [
    `INSERT INTO crm.tenants (id, tenant_id, name, country, ${LINEAGE})
      SELECT 'ws-' || n, 'ws-' || n, 'Tenant ' || n, 'US', ${lineageOf('workspaces')} FROM generate_series(1, ${tenants}) AS n`,
    `INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id, name, phone_number, phone_e164, email, created_at, updated_at, ${LINEAGE})
      SELECT md5('contact ' || n)::uuid, ${tenant}, 1, 1, 'Person ' || n, ${phone}, ${phone}, 'person' || n || '@example.com', ${createdAt}, now(), ${lineageOf('contacts')}
      FROM ${all} WHERE NOT (${isCustomer})`,
    `INSERT INTO crm.customers (id, tenant_id, customer_key, name, phone_e164, email, created_at, updated_at, ${LINEAGE})
      SELECT md5('customer ' || n)::uuid, ${tenant}, 'p:' || ${phone}, 'Customer ' || n, ${phone}, 'person' || n || '@example.com', ${createdAt}, now(), ${lineageOf('quotes')}
      FROM ${all} WHERE ${isCustomer}`,
    `INSERT INTO crm.leads (id, tenant_id, contact_id, customer_id, status, lead_source, name, email, phone, lead_score, tags, is_converted, created_at, updated_at, ${LINEAGE})
      SELECT ${LEAD_ID}, ${tenant}, CASE WHEN NOT (${isCustomer}) THEN md5('contact ' || n)::uuid END, CASE WHEN ${isCustomer} THEN md5('customer ' || n)::uuid END,
        ${status}, ${oneOf(LEAD_SOURCES, 'n / 11')}, CASE WHEN ${isCustomer} THEN 'Customer ' || n END, CASE WHEN ${isCustomer} THEN 'person' || n || '@example.com' END,
        ${phone}, n * 31 % 101, ARRAY[${oneOf(LEAD_TAGS, 'n / 13')}, ${oneOf(LEAD_TAGS, 'n / 17')}], ${status} = 'converted', ${createdAt}, now(), ${lineageOf('contacts')}
      FROM ${all}`,
    `INSERT INTO crm.lead_status_history (tenant_id, lead_id, from_status, to_status, changed_at, ordinal, ${LINEAGE})
      SELECT ${tenant}, ${LEAD_ID}, CASE WHEN step = 1 THEN 'new' END, CASE WHEN step = 1 THEN ${status} ELSE 'new' END,
        least(now(), ${createdAt} + step * interval '3 days'), step, ${lineageOf('contacts')}
      FROM ${all}, generate_series(0, 1) AS step WHERE step = 0 OR ${status} <> 'new'`,
    `INSERT INTO crm.lead_activities (tenant_id, lead_id, activity_type, performed_at, ${LINEAGE})
      SELECT ${tenant}, ${LEAD_ID}, 'message', ${createdAt} + interval '1 hour', ${lineageOf('messages')} FROM ${all}`,
    `INSERT INTO crm.messages (id, tenant_id, user_id, chatbot_id, contact_id, direction, channel, body, sent_at, ${LINEAGE})
      SELECT md5('message ' || n || ' ' || m)::uuid, ${tenant}, 1, 1, md5('contact ' || n)::uuid, 'inbound', 'sms', 'Text ' || m, ${createdAt} + m * interval '1 hour', ${lineageOf('messages')}
      FROM ${all}, generate_series(1, 2) AS m WHERE NOT (${isCustomer})`,
    `INSERT INTO crm.orders (id, tenant_id, legacy_id, merge_key, contact_id, order_number, status, total, currency, placed_at, ${LINEAGE})
      SELECT md5('order ' || n)::uuid, ${tenant}, n, md5('contact ' || n)::uuid, md5('contact ' || n)::uuid, 'O-' || n, 'paid', n % 1000, 'USD', ${createdAt} + interval '2 days', ${lineageOf('orders')}
      FROM ${all} WHERE n % 10 = 3 AND NOT (${isCustomer})`,
    `INSERT INTO crm.order_items (id, tenant_id, order_id, merge_key, position, name, quantity, unit_price, total, ${LINEAGE})
      SELECT md5('item ' || n || ' ' || i)::uuid, ${tenant}, md5('order ' || n)::uuid, md5('contact ' || n)::uuid, i, 'Item ' || i, 1, 10, 10, ${lineageOf('orders')}
      FROM ${all}, generate_series(1, 2) AS i WHERE n % 10 = 3 AND NOT (${isCustomer})`,
    `INSERT INTO crm.dnc_list (tenant_id, identity, identity_kind, opted_out_at, created_at, updated_at, ${LINEAGE})
      SELECT ${tenant}, ${phone}, 'phone', now(), now(), now(), ${lineageOf('contacts')} FROM ${all} WHERE n / 10 % 10 = 1`,
    `INSERT INTO crm.lead_source_costs (tenant_id, lead_source, month, cost)
      SELECT 'ws-' || n, source, (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => ago))::date, 100 + n
      FROM generate_series(1, ${tenants}) AS n, unnest(ARRAY[${LEAD_SOURCES.map((source) => `'${source}'`).join(', ')}]) AS source, generate_series(0, 3) AS ago`,
    `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, forced, reason) VALUES (NULL, 4, 'bench', true, 'the queries are those of the last stage')`,
    'SELECT crm.refresh_dashboard_stats()',
  ];
}
