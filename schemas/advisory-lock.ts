import type pg from 'pg';
import { pause } from '../runtime/retry.ts';

const POLL_MS = 100;

/** The holder of a lock, from pg_stat_activity. */
export interface LockHolder {
  readonly pid: string;
  readonly application: string;
  readonly since: string;
}

/**
 * Runs `work` while this session holds the advisory lock of that name; a second caller waits. Polls instead of waiting
 * inside a statement: a waiting statement keeps a snapshot, and a CREATE INDEX CONCURRENTLY of the holder would wait
 * for its end.
 */
export async function holdingLock<T>(
  client: pg.ClientBase,
  name: string,
  options: { readonly signal: AbortSignal; readonly onWait: (holder: LockHolder | null) => void },
  work: () => Promise<T>,
): Promise<T> {
  for (let told = false; ; ) {
    options.signal.throwIfAborted();
    const { rows } = await client.query<{ held: string }>('SELECT pg_try_advisory_lock(hashtext($1))::text AS held', [
      name,
    ]);
    if (rows[0]!.held === 'true') break;
    if (!told) options.onWait(await readHolder(client, name));
    told = true;
    await pause(POLL_MS, options.signal);
  }
  try {
    return await work();
  } finally {
    // A session that has ended has released its locks.
    await client.query('SELECT pg_advisory_unlock(hashtext($1))', [name]).catch(() => undefined);
  }
}

async function readHolder(client: pg.ClientBase, name: string): Promise<LockHolder | null> {
  // The key is an integer, which PostgreSQL widens to bigint: its upper half is in classid, its lower half in objid.
  const { rows } = await client.query<{ pid: string; application: string; since: string }>(
    `SELECT a.pid::text, a.application_name AS application, date_trunc('second', a.backend_start)::text AS since
     FROM pg_locks l JOIN pg_stat_activity a USING (pid), (SELECT hashtext($1)::bigint AS key) AS k
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.objid::bigint = k.key & 4294967295 AND l.classid::bigint = (k.key >> 32) & 4294967295`,
    [name],
  );
  return rows[0] ?? null;
}
