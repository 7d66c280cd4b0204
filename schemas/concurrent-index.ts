import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { type DdlOptions, retryLocked } from './ddl-retry.ts';
import type { MigrationStep } from './migration-steps.ts';
import { quoteTable } from './quote.ts';

type ConcurrentStep = Extract<MigrationStep, { kind: 'concurrently' }>;

/** The state of an index; null if there is none of that name. */
export async function readIndexState(
  client: pg.ClientBase,
  { schema, name }: { schema: string; name: string },
): Promise<'valid' | 'invalid' | null> {
  const { rows } = await client.query<{ valid: string }>(
    `SELECT (i.indisvalid AND i.indisready)::text AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  if (rows.length === 0) return null;
  return rows[0]!.valid === 'true' ? 'valid' : 'invalid';
}

/**
 * Builds or drops an index without blocking writers. A failed or killed build leaves an invalid index, which costs
 * every write and serves no query: it is dropped and built again. The caller holds the migration lock, so an invalid
 * index is never another session's running build.
 */
export async function runConcurrentStep(
  client: pg.ClientBase,
  step: ConcurrentStep,
  options: DdlOptions,
): Promise<void> {
  const { index } = step;
  const name = quoteTable(index.schema, index.name);
  const outside = { ...options, lockTimeoutMs: options.concurrentTimeoutMs };
  await client.query(`SET lock_timeout = ${options.concurrentTimeoutMs}`);
  await client.query('SET statement_timeout = 0');
  try {
    await retryLocked(client, `index ${index.schema}.${index.name}`, outside, async () => {
      if (index.table !== null) {
        const state = await readIndexState(client, index);
        if (state === 'valid') return;
        if (state === 'invalid') await client.query(`DROP INDEX CONCURRENTLY ${name}`);
      }
      await client.query(step.sql);
    });
    if (index.table !== null && (await readIndexState(client, index)) !== 'valid')
      throw new CrosswalkError(
        'migration_failed.invalid_index',
        `Index ${index.schema}.${index.name} is not valid after it was built`,
      );
  } finally {
    await client.query('RESET lock_timeout').catch(() => undefined);
    await client.query('RESET statement_timeout').catch(() => undefined);
  }
}
