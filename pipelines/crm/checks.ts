import type { Checks, TargetCheck } from '../../projectors/pipeline.ts';
import type { Cell } from '../../projectors/projection.ts';
import { isFiniteNumeric } from '../../projectors/values/numeric.ts';
import { has } from '../../projectors/values/text.ts';
import { legacyChecks } from './legacy-checks.ts';
import { strayMoney } from './projections/quotes/legacy-quote.ts';

const finite = (cell: Cell | undefined): Cell => (cell != null && isFiniteNumeric(cell) ? cell : null);

/** Live projected rows; only those of tenant $1 unless it is null. */
const live = (table: string) =>
  `(SELECT * FROM ${table} WHERE origin = 'cdc' AND deleted_at IS NULL AND ($1::text IS NULL OR tenant_id = $1))`;

/** A check that a FROM clause returns no rows. */
const none = (name: string, from: string): TargetCheck => ({
  name,
  sql: `SELECT '0' AS expected, count(*)::text AS actual FROM ${from}`,
});

/** Items have no deleted_at: they are deleted with their quote. */
const orphans: readonly TargetCheck[] = [
  none(
    'quotes without a customer',
    `${live('quotes_new')} q LEFT JOIN ${live('customers')} c ON c.id = q.customer_id WHERE c.id IS NULL`,
  ),
  none(
    'items without a quote',
    `(SELECT * FROM quote_items_new WHERE origin = 'cdc' AND ($1::text IS NULL OR tenant_id = $1)) i LEFT JOIN ${live('quotes_new')} q ON q.id = i.quote_id WHERE q.id IS NULL`,
  ),
  none(
    'jobs without a quote',
    `${live('jobs_new')} j LEFT JOIN ${live('quotes_new')} q ON q.id = j.quote_id WHERE q.id IS NULL`,
  ),
  none(
    'invoices without a job',
    `${live('invoices_new')} i LEFT JOIN ${live('jobs_new')} j ON j.id = i.job_id WHERE j.id IS NULL`,
  ),
  none(
    'payments without an invoice',
    `${live('payments')} p LEFT JOIN ${live('invoices_new')} i ON i.id = p.invoice_id WHERE i.id IS NULL`,
  ),
  none(
    'paid invoices without a payment',
    `${live('invoices_new')} i LEFT JOIN ${live('payments')} p ON p.invoice_id = i.id WHERE i.status = 'paid' AND p.id IS NULL`,
  ),
  none(
    'payments of unpaid invoices',
    `${live('payments')} p JOIN ${live('invoices_new')} i ON p.invoice_id = i.id WHERE i.status <> 'paid'`,
  ),
];

/** Account columns of rows that belong to an account. The columns are NOT NULL; the check is an extra safeguard. */
const ofAccounts = ['contacts', 'messages'] as const;
const accounts = ofAccounts.map((table) =>
  none(`${table} without user_id or chatbot_id`, `${live(table)} t WHERE t.user_id IS NULL OR t.chatbot_id IS NULL`),
);
/** Rows of leads implied by legacy leads. Leads of contacts and of quotes come from other legacy tables. */
const legacyLeads = `(SELECT * FROM ${live('leads')} l WHERE l.legacy_table IN ('leads', 'clients'))`;
/** Contributions of legacy leads, one per lead. */
const saidByLeads = `(SELECT * FROM contribution WHERE aggregate = 'leads' AND legacy_table = 'leads' AND live AND ($1::text IS NULL OR data ->> 'tenant_id' = $1))`;

/**
 * Each legacy row that stands for a merged row has exactly one merged row. The check counts contributions, in the same snapshot; the comparison with
 * legacy rows, at another time, has shown that these match.
 */
const beforeAndAfter = (table: string, key: string): TargetCheck => ({
  name: `${table}, before and after`,
  sql: `SELECT (SELECT count(*) FROM contribution c WHERE c.aggregate = '${table}' AND c.legacy_table = '${table}' AND c.live AND ($1::text IS NULL
         OR EXISTS (SELECT FROM ${table} r WHERE r.${key} = c.merge_key AND r.tenant_id = $1 AND r.origin = 'cdc' AND r.deleted_at IS NULL)))::text AS expected,
       (SELECT count(*) FROM ${live(table)} r)::text AS actual`,
});

/** Rows of an order are folded with it: they exist only with their order, and in its tenant. */
const ofOrder = (table: string, joined: string): TargetCheck =>
  none(
    `${table} without their order, or of another tenant`,
    `(SELECT * FROM ${table} WHERE origin = 'cdc' AND deleted_at IS NULL AND ($1::text IS NULL OR tenant_id = $1)) i
       LEFT JOIN ${live('orders')} o ON ${joined} AND o.tenant_id = i.tenant_id WHERE o.id IS NULL`,
  );

/** Rows that get their tenant from another row. In a run over one tenant they are found from either side. */
const told: readonly TargetCheck[] = [
  beforeAndAfter('campaign_subscribers', 'campaign_id'),
  beforeAndAfter('orders', 'merge_key'),
  {
    name: 'sum of order totals',
    sql: `SELECT coalesce(sum(trim_scale((c.data ->> 'total')::numeric)), 0)::text AS expected,
         (SELECT coalesce(sum(trim_scale(o.total)), 0)::text FROM ${live('orders')} o) AS actual
       FROM contribution c WHERE c.aggregate = 'orders' AND c.legacy_table = 'orders' AND c.live AND ($1::text IS NULL
         OR EXISTS (SELECT FROM orders r WHERE r.merge_key = c.merge_key AND r.tenant_id = $1 AND r.origin = 'cdc' AND r.deleted_at IS NULL))`,
  },
  none(
    'subscribers with another tenant than their campaign',
    `campaign_subscribers s JOIN campaigns c ON c.id = s.campaign_id WHERE s.origin = 'cdc' AND c.origin = 'cdc' AND s.deleted_at IS NULL AND c.deleted_at IS NULL
       AND s.tenant_id <> c.tenant_id AND ($1::text IS NULL OR $1 IN (s.tenant_id, c.tenant_id))`,
  ),
  ofOrder('order_items', 'i.order_id = o.id'),
  ofOrder('order_rejects', 'i.legacy_key = o.legacy_id::text'),
];

/** Each legacy row has exactly one new row. */
const counted = [...ofAccounts, 'campaigns'] as const;

const reasons = Object.values(strayMoney).map((reason) => `'${reason.replaceAll("'", "''")}'`);

/** The checks of docs/mapping.md on whole tables. */
export const checks: Checks = {
  totals: [
    {
      name: 'sum of totals',
      source: 'quotes',
      of: (row) => finite(row.total),
      table: 'quotes_new',
      column: 'total',
    },
    {
      name: 'sum of what was paid',
      source: 'quotes',
      of: (row) => (row.paid_at != null && has(row.invoice_number) ? finite(row.total) : null),
      table: 'payments',
      column: 'amount',
    },
    ...counted.map((table) => ({
      name: `${table}, before and after`,
      source: table,
      of: () => '1',
      table,
      column: null,
    })),
    {
      name: 'sum of budgets',
      source: 'campaigns',
      of: (row) => finite(row.budget),
      table: 'campaigns',
      column: 'budget',
    },
  ],
  target: [
    {
      name: 'distinct customer keys = live customers of quotes',
      sql: `SELECT (SELECT count(DISTINCT merge_key) FROM contribution WHERE aggregate = 'customers' AND live AND ($1::text IS NULL OR data ->> 'tenant_id' = $1))::text AS expected,
       (SELECT count(*) FROM ${live('customers')} c WHERE c.legacy_table <> 'clients')::text AS actual`,
    },
    ...orphans,
    ...accounts,
    {
      name: 'clients that name a lead = live customers that do',
      sql: `SELECT (SELECT count(*) FROM contribution WHERE aggregate = 'leads' AND legacy_table = 'clients' AND live AND ($1::text IS NULL OR data ->> 'tenant_id' = $1))::text AS expected,
       (SELECT count(*) FROM ${live('customers')} c WHERE c.converted_from_lead_id IS NOT NULL)::text AS actual`,
    },
    {
      name: 'legacy leads = their live leads',
      sql: `SELECT (SELECT count(*) FROM ${saidByLeads} c)::text AS expected, (SELECT count(*) FROM ${legacyLeads} l)::text AS actual`,
    },
    {
      name: 'legacy leads of which a client is told = those converted to one',
      sql: `SELECT (SELECT count(*) FROM ${saidByLeads} c WHERE c.data ->> 'client_id' IS NOT NULL OR EXISTS (SELECT FROM contribution o
         WHERE o.aggregate = 'leads' AND o.legacy_table = 'clients' AND o.live AND o.merge_key = c.merge_key))::text AS expected,
       (SELECT count(*) FROM ${legacyLeads} l WHERE l.converted_to_client_id IS NOT NULL)::text AS actual`,
    },
    ...told,
  ],
  legacy: legacyChecks,
  // All kinds of money that no new row shows, even if the count is zero. A total other than zero always makes a quote.
  notes: [
    {
      counted: 'quotes',
      summed: 'sum of totals',
      sql: `SELECT kind.reason, count(r.id)::text AS count, sum(q.total)::text AS sum
     FROM unnest(ARRAY[${reasons.join(', ')}]) WITH ORDINALITY kind (reason, place)
     LEFT JOIN rejects r ON r.reason = kind.reason AND r.legacy_table = 'quotes' AND r.origin = 'cdc' AND ($1::text IS NULL OR r.tenant_id = $1)
     LEFT JOIN quotes_new q ON q.id::text = r.legacy_key AND q.origin = 'cdc' AND q.deleted_at IS NULL
     GROUP BY kind.reason, kind.place ORDER BY kind.place`,
    },
    {
      counted: 'clients',
      summed: '',
      see: 'the view lead_conversion_conflicts',
      sql: `SELECT 'name a lead that was converted to another client' AS reason, count(*)::text AS count, NULL AS sum
     FROM lead_conversion_conflicts WHERE $1::text IS NULL OR tenant_id = $1`,
    },
  ],
};
