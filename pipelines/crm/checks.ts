import type { Checks, TargetCheck } from '../../projectors/pipeline.ts';
import type { Cell } from '../../projectors/projection.ts';
import { isFiniteNumeric } from '../../projectors/values/numeric.ts';
import { has } from '../../projectors/values/text.ts';
import { legacyChecks } from './legacy-checks.ts';
import { strayMoney } from './projections/quotes/legacy-quote.ts';

const finite = (cell: Cell | undefined): Cell => (cell != null && isFiniteNumeric(cell) ? cell : null);

/** Live projected rows, of one tenant where $1 names it. */
const live = (table: string) =>
  `(SELECT * FROM ${table} WHERE origin = 'cdc' AND deleted_at IS NULL AND ($1::text IS NULL OR tenant_id = $1))`;

/** What must not be there, as rows of a FROM clause. */
const none = (name: string, from: string): TargetCheck => ({
  name,
  sql: `SELECT '0' AS expected, count(*)::text AS actual FROM ${from}`,
});

/** Items have no deleted_at: they go with their quote. */
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

/** Accounts of rows that belong to one. Null accounts cannot be: the columns refuse them, and this looks all the same. */
const ofAccounts = ['contacts', 'messages'] as const;
const accounts = ofAccounts.map((table) =>
  none(`${table} without user_id or chatbot_id`, `${live(table)} t WHERE t.user_id IS NULL OR t.chatbot_id IS NULL`),
);
/** Rows of leads that legacy leads imply: those of contacts and of quotes have another origin. */
const legacyLeads = `(SELECT * FROM ${live('leads')} l WHERE l.legacy_table IN ('leads', 'clients'))`;
/** What legacy leads say, one contribution each. */
const saidByLeads = `(SELECT * FROM contribution WHERE aggregate = 'leads' AND legacy_table = 'leads' AND live AND ($1::text IS NULL OR data ->> 'tenant_id' = $1))`;

const reasons = Object.values(strayMoney).map((reason) => `'${reason.replaceAll("'", "''")}'`);

/** The checks of docs/mapping.md on the whole. */
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
    ...ofAccounts.map((table) => ({
      name: `${table}, before and after`,
      source: table,
      of: () => '1',
      table,
      column: null,
    })),
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
  ],
  legacy: legacyChecks,
  // Money that no new row shows, every kind of it, also where there is none. A total that is not zero always makes a quote.
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
