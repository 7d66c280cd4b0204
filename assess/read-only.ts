import type pg from 'pg';

/** Lock timeout: an assessment must not make other sessions queue behind it. */
const LOCK_MS = 2000;

/** Options of a session that cannot change anything. */
export const READ_ONLY_OPTIONS = `-c default_transaction_read_only=on -c row_security=off -c lock_timeout=${LOCK_MS} -c idle_in_transaction_session_timeout=60s`;

/** The result, or PostgreSQL's refusal in words that contain no value. */
export type Attempt<T> = { readonly value: T } | { readonly problem: string };

/** Runs `work` in its own READ ONLY transaction, with `limitMs` per statement. It is rolled back: there is nothing to keep. */
export async function readOnly<T>(client: pg.ClientBase, limitMs: number, work: () => Promise<T>): Promise<T> {
  // Repeated for poolers that drop the settings of a session.
  await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = ${limitMs}; SET LOCAL lock_timeout = ${LOCK_MS}`,
  );
  try {
    return await work();
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/** Like `readOnly`, but returns PostgreSQL's refusal as a problem. Throws if the session or the server is gone. */
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

/** Why PostgreSQL refused a statement; null if the error is not about the statement. The error message is left out: it may contain a value. */
export function toProblem(error: unknown, limitMs: number): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || /^(08|28|3D|53|57P|XX)/.test(code)) return null;
  if (code === '57014') return `it took longer than ${limitMs / 1000} s`;
  if (code === '55P03') return `somebody held a lock for more than ${LOCK_MS / 1000} s`;
  if (code === '42501') return 'the role may not read it, or policies hide rows from it';
  return `PostgreSQL refused it (SQLSTATE ${code})`;
}
