import type pg from 'pg';
import type { Cell, LegacyRow } from '../projection.ts';
import { strayMoney } from '../projections/quotes/legacy-quote.ts';
import { isFiniteNumeric } from '../values/numeric.ts';
import { has } from '../values/text.ts';
import type { Sum } from './tally.ts';

/** One check on the whole: two figures that must be equal, as text. */
export interface Check {
  readonly name: string;
  readonly expected: string;
  readonly actual: string;
  readonly ok: boolean;
}

const finite = (cell: Cell | undefined): Cell => (cell != null && isFiniteNumeric(cell) ? cell : null);

/** Totals of legacy columns, taken from the legacy rows themselves and not from what they are mapped to, with the new column that must hold the same. */
export const legacyTotals: readonly {
  readonly name: string;
  readonly source: string;
  readonly of: (row: LegacyRow) => Cell;
  readonly table: string;
  readonly column: string;
}[] = [
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
];

/** The checks of legacy totals, over the legacy rows that were compared: `totals` by name, `sums` of the new columns. */
export function toTotalChecks(totals: ReadonlyMap<string, string>, sums: readonly Sum[]): Check[] {
  return legacyTotals
    .filter(({ name }) => totals.has(name))
    .map(({ name, table, column }) => {
      const expected = totals.get(name)!;
      const actual = sums.find((sum) => sum.table === table && sum.column === column)?.actual ?? '0';
      return { name, expected, actual, ok: expected === actual };
    });
}

/** Live projected rows, of one tenant where $1 names it. */
const live = (table: string) =>
  `(SELECT * FROM ${table} WHERE origin = 'cdc' AND deleted_at IS NULL AND ($1::text IS NULL OR tenant_id = $1))`;

/** Figures of the new tables alone that must be zero in any of their snapshots. Items have no deleted_at: they go with their quote. */
const orphans: readonly (readonly [string, string])[] = [
  [
    'quotes without a customer',
    `${live('quotes_new')} q LEFT JOIN ${live('customers')} c ON c.id = q.customer_id WHERE c.id IS NULL`,
  ],
  [
    'items without a quote',
    `(SELECT * FROM quote_items_new WHERE origin = 'cdc' AND ($1::text IS NULL OR tenant_id = $1)) i LEFT JOIN ${live('quotes_new')} q ON q.id = i.quote_id WHERE q.id IS NULL`,
  ],
  [
    'jobs without a quote',
    `${live('jobs_new')} j LEFT JOIN ${live('quotes_new')} q ON q.id = j.quote_id WHERE q.id IS NULL`,
  ],
  [
    'invoices without a job',
    `${live('invoices_new')} i LEFT JOIN ${live('jobs_new')} j ON j.id = i.job_id WHERE j.id IS NULL`,
  ],
  [
    'payments without an invoice',
    `${live('payments')} p LEFT JOIN ${live('invoices_new')} i ON i.id = p.invoice_id WHERE i.id IS NULL`,
  ],
  [
    'paid invoices without a payment',
    `${live('invoices_new')} i LEFT JOIN ${live('payments')} p ON p.invoice_id = i.id WHERE i.status = 'paid' AND p.id IS NULL`,
  ],
  [
    'payments of unpaid invoices',
    `${live('payments')} p JOIN ${live('invoices_new')} i ON p.invoice_id = i.id WHERE i.status <> 'paid'`,
  ],
];

/** The checks of docs/mapping.md that hold within the target alone, each in one statement and so in one snapshot. Whole tables are joined: with a planner that may choose how. */
export async function runChecks(target: pg.ClientBase, workspace: string | null): Promise<Check[]> {
  const checks: Check[] = [];
  const compare = (name: string, expected: string, actual: string) =>
    checks.push({ name, expected, actual, ok: expected === actual });
  const { rows: customers } = await target.query<{ keys: string; live: string }>(
    `SELECT (SELECT count(DISTINCT merge_key) FROM contribution WHERE aggregate = 'customers' AND live AND ($1::text IS NULL OR data ->> 'tenant_id' = $1)) AS keys,
       (SELECT count(*) FROM ${live('customers')} c) AS live`,
    [workspace],
  );
  compare('distinct customer keys = live customers', customers[0]!.keys, customers[0]!.live);
  for (const [name, from] of orphans) {
    const { rows } = await target.query<{ count: string }>(`SELECT count(*) FROM ${from}`, [workspace]);
    compare(name, '0', rows[0]!.count);
  }
  return checks;
}

/** Money that no new row shows: how many legacy rows, and the sum of their totals; null where they have none. */
export interface StrayMoney {
  readonly reason: string;
  readonly count: number;
  readonly sum: string | null;
}

/** Every kind of money that no new row shows, also where there is none. A total that is not zero always makes a quote. */
export async function readStrayMoney(target: pg.ClientBase, workspace: string | null): Promise<StrayMoney[]> {
  const { rows } = await target.query<{ reason: string; count: string; sum: string | null }>(
    `SELECT kind.reason, count(r.id) AS count, sum(q.total) AS sum
     FROM unnest($2::text[]) WITH ORDINALITY kind (reason, place)
     LEFT JOIN rejects r ON r.reason = kind.reason AND r.legacy_table = 'quotes' AND r.origin = 'cdc' AND ($1::text IS NULL OR r.tenant_id = $1)
     LEFT JOIN quotes_new q ON q.id::text = r.legacy_key AND q.origin = 'cdc' AND q.deleted_at IS NULL
     GROUP BY kind.reason, kind.place ORDER BY kind.place`,
    [workspace, Object.values(strayMoney)],
  );
  return rows.map(({ reason, count, sum }) => ({ reason, count: Number(count), sum }));
}

/** Rejects, open dead letters and parked changes: shown beside the result, and never part of making it pass. */
export async function countExceptions(
  target: pg.ClientBase,
  workspace: string | null,
): Promise<{ rejects: number; deadLetters: number; parked: number }> {
  const { rows } = await target.query<{ rejects: string; dead_letters: string; parked: string }>(
    `SELECT (SELECT count(*) FROM rejects WHERE origin = 'cdc' AND ($1::text IS NULL OR tenant_id = $1)) AS rejects,
       (SELECT count(*) FROM dead_letter WHERE resolved_at IS NULL) AS dead_letters,
       (SELECT count(*) FROM parked_change) AS parked`,
    [workspace],
  );
  return {
    rejects: Number(rows[0]!.rejects),
    deadLetters: Number(rows[0]!.dead_letters),
    parked: Number(rows[0]!.parked),
  };
}
