import type pg from 'pg';

/** How long anything may wait for a lock: an assessment makes nobody queue behind it. */
const LOCK_MS = 2000;

/** A session that can change nothing, whatever is run in it. */
export const READ_ONLY_OPTIONS = `-c default_transaction_read_only=on -c row_security=off -c lock_timeout=${LOCK_MS} -c idle_in_transaction_session_timeout=60s`;

/** What PostgreSQL refused, in words that hold no value; or what came of it. */
export type Attempt<T> = { readonly value: T } | { readonly problem: string };

/** Runs `work` in a READ ONLY transaction of its own, each statement for at most `limitMs`. It is rolled back: there is nothing to keep. */
export async function readOnly<T>(client: pg.ClientBase, limitMs: number, work: () => Promise<T>): Promise<T> {
  // Said again for those who pool sessions and forget their settings.
  await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = ${limitMs}; SET LOCAL lock_timeout = ${LOCK_MS}`,
  );
  try {
    return await work();
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/** As `readOnly`, but what PostgreSQL refuses is told. Throws where the session or the server is gone. */
export async function tryReadOnly<T>(
  client: pg.ClientBase,
  limitMs: number,
  work: () => Promise<T>,
): Promise<Attempt<T>> {
  try {
    return { value: await readOnly(client, limitMs, work) };
  } catch (error) {
    const problem = toProblem(error, limitMs);
    if (problem === null) throw error;
    return { problem };
  }
}

/** Why PostgreSQL refused a statement; null where it is not about the statement. The message of an error may quote a value: it is left out. */
export function toProblem(error: unknown, limitMs: number): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || /^(08|28|3D|53|57P|XX)/.test(code)) return null;
  if (code === '57014') return `it took longer than ${limitMs / 1000} s`;
  if (code === '55P03') return `somebody held a lock for more than ${LOCK_MS / 1000} s`;
  if (code === '42501') return 'the role may not read it, or policies hide rows from it';
  return `PostgreSQL refused it (SQLSTATE ${code})`;
}
