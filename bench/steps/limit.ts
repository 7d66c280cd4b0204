import crm from '../../pipelines/crm/pipeline.ts';
import { migrationsOf } from '../../projectors/pipeline.ts';
import { migrateUp } from '../../schemas/migrations.ts';
import { type Run, resetServerPeaks, say, startProgress } from '../bench.ts';
import { limitStatements } from '../limit-statements.ts';
import { withDatabases } from '../pipeline.ts';
import type { Throughput } from '../results.ts';
import { countNewRows, loadRows } from '../workload.ts';
import { beginUse, toThroughput } from './throughput.ts';

/** What one session of plain SQL needs for the same rows on the same server, all constraints and indexes on: the price of the new rows themselves. */
export async function measureLimit(run: Run, rows: number): Promise<Throughput> {
  return await withDatabases(run, 'bench_limit', 'crm.quotes_new', async ({ legacy, target }) => {
    await migrateUp(target, () => undefined, { migrations: migrationsOf(crm) });
    await target.query(await readQuotesTable(legacy));
    await loadRows(run, target, 'public.quotes', rows);
    const progress = startProgress(run, 'tables filled', limitStatements.length);
    resetServerPeaks(run);
    const use = beginUse(run, []);
    const firstMs = Date.now();
    await target.query('BEGIN');
    for (const [index, statement] of limitStatements.entries()) {
      await target.query(statement);
      progress.update(index + 1);
    }
    await target.query('COMMIT');
    const measured = toThroughput({ rows, firstMs, lastMs: Date.now(), ...use.end() });
    progress.close();
    say(run, `  limit: ${measured.rowsPerSecond} rows/s`);
    return { ...measured, newRows: await countNewRows(target) };
  });
}

/** The legacy table's columns, without its indexes: they are of no use to the statements. */
async function readQuotesTable(legacy: {
  query<T extends object>(sql: string): Promise<{ rows: T[] }>;
}): Promise<string> {
  const { rows } = await legacy.query<{ columns: string }>(
    `SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS columns
     FROM pg_attribute WHERE attrelid = 'public.quotes'::regclass AND attnum > 0 AND NOT attisdropped`,
  );
  return `CREATE TABLE public.quotes (${rows[0]!.columns}, PRIMARY KEY (id))`;
}
