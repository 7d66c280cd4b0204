import { connect } from '../../runtime/postgres.ts';
import { migrateUp } from '../../schemas/migrations.ts';
import { type Bench, say, startProgress } from '../bench.ts';
import { limitStatements } from '../limit-statements.ts';
import type { Limit } from '../results.ts';
import { round } from '../statistics.ts';
import { countNewRows, loadRows } from '../workload.ts';

const DATABASE = 'bench_limit';

/** What one session of plain SQL needs for the same rows on the same server, all constraints and indexes on: the price of the new rows themselves. */
export async function measureLimit(bench: Bench): Promise<Limit> {
  const { rows } = bench.sizes;
  say(bench, `\nlimit: ${rows} legacy quotes by INSERT … SELECT in one session`);
  const url = new URL(bench.local.stack.targetUrl);
  await bench.target.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
  await bench.target.query(`CREATE DATABASE ${DATABASE}`);
  url.pathname = `/${DATABASE}`;
  const client = await connect(url.href, 'bench-limit');
  try {
    await migrateUp(client, () => undefined);
    await client.query(await readQuotesTable(bench));
    await loadRows(bench, client, 'public.quotes', rows);
    const progress = startProgress(bench, 'tables filled', limitStatements.length);
    const startMs = performance.now();
    await client.query('BEGIN');
    for (const [index, statement] of limitStatements.entries()) {
      await client.query(statement);
      progress.update(index + 1);
    }
    await client.query('COMMIT');
    const seconds = (performance.now() - startMs) / 1000;
    progress.close();
    const newRows = await countNewRows(client);
    return { rows, newRows, seconds: round(seconds, 2), rowsPerSecond: round(rows / seconds, 0) };
  } finally {
    await client.end();
    await bench.target.query(`DROP DATABASE IF EXISTS ${DATABASE}`).catch(() => undefined);
  }
}

/** The legacy table's columns, without its indexes: they are of no use to the statements. */
async function readQuotesTable(bench: Bench): Promise<string> {
  const { rows } = await bench.legacy.query<{ columns: string }>(
    `SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS columns
     FROM pg_attribute WHERE attrelid = 'public.quotes'::regclass AND attnum > 0 AND NOT attisdropped`,
  );
  return `CREATE TABLE public.quotes (${rows[0]!.columns}, PRIMARY KEY (id))`;
}
