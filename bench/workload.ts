import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { type Databases, type Run, startProgress } from './bench.ts';
import { type Customers, insertQuotes, quoteColumns, updateQuotes } from './quote-rows.ts';
import { toSpread } from './statistics.ts';

const LOAD_ROWS = 5000;
/** One source transaction: 60 rows that are new and 40 that are updated. */
const INSERTS = 60;
const UPDATES = 40;

/** Fills `table` with rows 1 to `rows`, and leaves it as a table is that has been there for long. */
export async function loadRows(
  run: Run,
  client: pg.ClientBase,
  table: string,
  rows: number,
  { customers, tenants }: { readonly customers?: Customers; readonly tenants?: number } = {},
): Promise<void> {
  const progress = startProgress(run, 'rows made', rows);
  const text = insertQuotes(table, customers, tenants);
  for (let from = 1; from <= rows; from += LOAD_ROWS) {
    run.signal.throwIfAborted();
    const to = Math.min(rows, from + LOAD_ROWS - 1);
    await client.query(text, [from, to]);
    progress.update(to);
  }
  progress.close();
  await client.query(`VACUUM ANALYZE ${table}`);
  await client.query('CHECKPOINT');
}

/** Commits so many row changes in transactions of 100, as the legacy application would; returns their exact number. */
export async function loadChanges(bench: Run & Databases, changes: number): Promise<number> {
  const transactions = Math.max(1, Math.round(changes / (INSERTS + UPDATES)));
  const progress = startProgress(bench, 'changes committed', transactions * (INSERTS + UPDATES));
  for (let index = 0; index < transactions; index++) {
    bench.signal.throwIfAborted();
    const first = bench.lastRow + 1;
    // 7919 is prime: each transaction touches other rows than the one before.
    const updated = toSpread(UPDATES, bench.lastRow, index * 7919);
    await bench.legacy.query('BEGIN');
    await bench.legacy.query({
      name: 'bench insert',
      text: insertQuotes('quotes'),
      values: [first, first + INSERTS - 1],
    });
    const { rowCount } = await bench.legacy.query({
      name: 'bench update',
      text: updateQuotes,
      values: [updated, `${first}`],
    });
    await bench.legacy.query('COMMIT');
    if (rowCount !== UPDATES) throw new CrosswalkError('unexpected', `${rowCount} rows updated, not ${UPDATES}`);
    bench.lastRow += INSERTS;
    progress.update((index + 1) * (INSERTS + UPDATES));
  }
  progress.close();
  await bench.legacy.query('CHECKPOINT');
  return transactions * (INSERTS + UPDATES);
}

/** Throws unless the new schema holds every quote and its three items. */
export async function assertFannedOut({ legacy, target, lastRow }: Databases): Promise<void> {
  const made = await legacy.query<{ quotes: string }>('SELECT count(*)::text AS quotes FROM quotes');
  const { rows } = await target.query<{ quotes: string; items: string; dead: string; parked: string }>(
    `SELECT (SELECT count(*) FROM crm.quotes_new WHERE deleted_at IS NULL) AS quotes, (SELECT count(*) FROM crm.quote_items_new) AS items,
       (SELECT count(*) FROM crosswalk.dead_letter) AS dead, (SELECT count(*) FROM crosswalk.parked_change) AS parked`,
  );
  const expected = Number(made.rows[0]!.quotes);
  const found = rows[0]!;
  if (
    expected === lastRow &&
    Number(found.quotes) === expected &&
    Number(found.items) === expected * 3 &&
    Number(found.dead) + Number(found.parked) === 0
  )
    return;
  throw new CrosswalkError(
    'unexpected.pipeline_wrong',
    `${expected} legacy quotes (${lastRow} made), ${found.quotes} quotes and ${found.items} items in the new schema, ${found.dead} dead letters, ${found.parked} parked changes`,
  );
}

/** Throws unless `table` of the target holds the very rows of the legacy table, every column of them. */
export async function assertCopied({ legacy, target, lastRow }: Databases, table: string): Promise<void> {
  const read = async (client: pg.ClientBase, from: string) => {
    const { rows } = await client.query<{ rows: string; hash: string }>(
      `SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(ROW(${quoteColumns.join(', ')})::text, 0)::numeric), 0)::text AS hash FROM ${from}`,
    );
    return rows[0]!;
  };
  const [made, found] = [await read(legacy, 'public.quotes'), await read(target, table)];
  if (Number(made.rows) === lastRow && made.rows === found.rows && made.hash === found.hash) return;
  const what = made.rows === found.rows ? 'the same number of rows, but not the same rows,' : `${found.rows} rows`;
  throw new CrosswalkError(
    'unexpected.copy_wrong',
    `${made.rows} legacy quotes (${lastRow} made), ${what} in ${table}`,
  );
}

/** Rows in the tables that quotes are projected to. */
export async function countNewRows(client: pg.ClientBase): Promise<number> {
  const tables = [
    ...['customers', 'customer_addresses', 'leads', 'quotes_new', 'quote_items_new', 'jobs_new', 'invoices_new'],
    'payments',
  ];
  const { rows } = await client.query<{ count: string }>(
    `SELECT (${tables.map((table) => `(SELECT count(*) FROM crm.${table})`).join(' + ')})::text AS count`,
  );
  return Number(rows[0]!.count);
}
