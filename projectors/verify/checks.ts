import type pg from 'pg';
import { quoteIdent } from '../../runtime/postgres.ts';

/** One check on the whole: two figures that must be equal, as text. */
export interface Check {
  readonly name: string;
  readonly expected: string;
  readonly actual: string;
  readonly ok: boolean;
}

const live = (table: string) => `(SELECT * FROM crm.${table} WHERE origin = 'cdc' AND deleted_at IS NULL)`;

/** Figures of the new tables alone that must be zero. Items have no deleted_at: they go with their quote. */
const orphans: readonly (readonly [string, string])[] = [
  [
    'quotes without a customer',
    `SELECT count(*) FROM ${live('quotes_new')} q LEFT JOIN ${live('customers')} c ON c.id = q.customer_id WHERE c.id IS NULL`,
  ],
  [
    'items without a quote',
    `SELECT count(*) FROM crm.quote_items_new i LEFT JOIN ${live('quotes_new')} q ON q.id = i.quote_id WHERE i.origin = 'cdc' AND q.id IS NULL`,
  ],
  [
    'jobs without a quote',
    `SELECT count(*) FROM ${live('jobs_new')} j LEFT JOIN ${live('quotes_new')} q ON q.id = j.quote_id WHERE q.id IS NULL`,
  ],
  [
    'invoices without a job',
    `SELECT count(*) FROM ${live('invoices_new')} i LEFT JOIN ${live('jobs_new')} j ON j.id = i.job_id WHERE j.id IS NULL`,
  ],
  [
    'payments without an invoice',
    `SELECT count(*) FROM ${live('payments')} p LEFT JOIN ${live('invoices_new')} i ON i.id = p.invoice_id WHERE i.id IS NULL`,
  ],
  [
    'paid invoices without a payment',
    `SELECT count(*) FROM ${live('invoices_new')} i LEFT JOIN ${live('payments')} p ON p.invoice_id = i.id WHERE i.status = 'paid' AND p.id IS NULL`,
  ],
  [
    'payments of unpaid invoices',
    `SELECT count(*) FROM ${live('payments')} p JOIN ${live('invoices_new')} i ON p.invoice_id = i.id WHERE i.status <> 'paid'`,
  ],
];

/** The checks of docs/mapping.md that are about the whole. Sums are exact: PostgreSQL's numeric, compared by value. */
export async function runChecks(legacy: pg.ClientBase, target: pg.ClientBase, legacySchema: string): Promise<Check[]> {
  const quotes = `${quoteIdent(legacySchema)}.quotes`;
  const finite = `total NOT IN ('NaN', 'Infinity', '-Infinity')`;
  const { rows: sums } = await legacy.query<{ total: string; paid: string; quotes: string }>(
    `SELECT coalesce(sum(total) FILTER (WHERE ${finite}), 0) AS total,
       coalesce(sum(total) FILTER (WHERE ${finite} AND paid_at IS NOT NULL AND invoice_number ~ '[^[:space:]\u00a0]'), 0) AS paid FROM ONLY ${quotes}`,
  );
  const { rows: projected } = await target.query<{ total: string; paid: string; customers: string; keys: string }>(
    `SELECT coalesce((SELECT sum(total) FROM ${live('quotes_new')} q), 0) AS total, coalesce((SELECT sum(amount) FROM ${live('payments')} p), 0) AS paid,
       (SELECT count(*) FROM ${live('customers')} c) AS customers,
       (SELECT count(DISTINCT merge_key) FROM pg_temp.expected_contribution WHERE aggregate = 'customers') AS keys`,
  );
  const checks: Check[] = [];
  const compare = (name: string, expected: string, actual: string) =>
    checks.push({ name, expected, actual, ok: expected === actual });
  const scale = await target.query<{ total: string; paid: string }>(
    'SELECT trim_scale($1::numeric)::text AS total, trim_scale($2::numeric)::text AS paid',
    [sums[0]!.total, sums[0]!.paid],
  );
  const scaled = await target.query<{ total: string; paid: string }>(
    'SELECT trim_scale($1::numeric)::text AS total, trim_scale($2::numeric)::text AS paid',
    [projected[0]!.total, projected[0]!.paid],
  );
  compare('distinct customer keys = live customers', projected[0]!.keys, projected[0]!.customers);
  compare('sum of totals', scale.rows[0]!.total, scaled.rows[0]!.total);
  compare('sum of what was paid', scale.rows[0]!.paid, scaled.rows[0]!.paid);
  for (const [name, sql] of orphans) {
    const { rows } = await target.query<{ count: string }>(sql);
    compare(name, '0', rows[0]!.count);
  }
  return checks;
}

/** Rejects, open dead letters and parked changes: shown beside the result, and never part of making it pass. */
export async function countExceptions(
  target: pg.ClientBase,
): Promise<{ rejects: number; deadLetters: number; parked: number }> {
  const { rows } = await target.query<{ rejects: string; dead_letters: string; parked: string }>(
    `SELECT (SELECT count(*) FROM crm.rejects WHERE origin = 'cdc') AS rejects, (SELECT count(*) FROM crosswalk.dead_letter WHERE resolved_at IS NULL) AS dead_letters,
       (SELECT count(*) FROM crosswalk.parked_change) AS parked`,
  );
  return {
    rejects: Number(rows[0]!.rejects),
    deadLetters: Number(rows[0]!.dead_letters),
    parked: Number(rows[0]!.parked),
  };
}
