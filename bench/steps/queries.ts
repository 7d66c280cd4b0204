import crm from '../../pipelines/crm/pipeline.ts';
import { migrationsOf } from '../../projectors/pipeline.ts';
import { migrateUp } from '../../schemas/migrations.ts';
import { type Run, say } from '../bench.ts';
import { onDatabase, withDatabases } from '../pipeline.ts';
import { measureQueries, type QueriesMeasured } from '../queries/measure-queries.ts';

const TENANTS = 50;
const USUAL = { executions: 200, sessions: 100, queriesPerSession: 30, pauseMs: 1000, imports: 5 };

/** The application's queries, under row-level security, on so many leads; no pipeline runs. */
export async function measureApplicationQueries(run: Run, leads: number): Promise<QueriesMeasured> {
  say(run, `\nqueries of the application`);
  return await withDatabases(run, 'bench_queries', 'crm.leads', async ({ target }) => {
    await migrateUp(target, () => undefined, { migrations: migrationsOf(crm) });
    return await measureQueries(
      target,
      onDatabase(run.local.stack.adminUrl!, 'bench_queries_target'),
      { leads, tenants: TENANTS, ...USUAL },
      { say: (line) => say(run, line), signal: run.signal },
    );
  });
}
