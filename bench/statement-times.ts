import pg from 'pg';
import type { Stack } from '../infra/stack/stack.ts';

/** Makes PostgreSQL keep the times of statements, for profiles; needs a server that this stack runs. */
export async function enableStatementTimes(stack: Stack): Promise<boolean> {
  const { postgres } = stack.servers;
  if (postgres === undefined || stack.adminUrl === undefined) return false;
  await withAdmin(stack, (client) => client.query(`ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`));
  await postgres.stop();
  await postgres.start();
  await withAdmin(stack, (client) => client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements'));
  return true;
}

/** The statements that took longest since the last call, one line each: milliseconds, calls, rows, the statement's beginning. */
export async function takeStatementTimes(stack: Stack): Promise<string[]> {
  return await withAdmin(stack, async (client) => {
    const { rows } = await client.query<{ ms: string; calls: string; rows: string; database: string; query: string }>(
      `SELECT round(total_exec_time)::text AS ms, calls::text, rows::text, datname AS database, regexp_replace(query, '\\s+', ' ', 'g') AS query
       FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid ORDER BY total_exec_time DESC LIMIT 25`,
    );
    await client.query('SELECT pg_stat_statements_reset()');
    return rows.map(
      (row) =>
        `${row.ms.padStart(8)} ms ${row.calls.padStart(7)} calls ${row.rows.padStart(8)} rows  ${row.database}: ${row.query.slice(0, 180)}`,
    );
  });
}

async function withAdmin<T>(stack: Stack, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: stack.adminUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
