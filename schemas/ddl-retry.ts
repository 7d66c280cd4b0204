import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { pause } from '../runtime/retry.ts';

/**
 * How DDL acquires its locks. A statement waiting for a lock blocks everyone queued behind it: it therefore waits at
 * most `lockTimeoutMs`, lets them pass, and retries.
 */
export interface DdlOptions {
  readonly lockTimeoutMs: number;
  /** For waits that block nobody else: an index built concurrently. */
  readonly concurrentTimeoutMs: number;
  readonly attempts: number;
  /** Opens a session that finds the blockers; null: they are not reported. */
  readonly observe: (() => Promise<pg.Client>) | null;
  /** Called for each failed attempt. */
  readonly onWait: (message: string) => void;
  readonly signal: AbortSignal;
}

export const ddlDefaults: DdlOptions = {
  lockTimeoutMs: 2000,
  concurrentTimeoutMs: 600_000,
  attempts: 15,
  observe: null,
  onWait: () => undefined,
  signal: new AbortController().signal,
};

/** A session that blocks DDL from its lock. `query`: the first word of its statement, never its text. */
export interface Blocker {
  readonly pid: string;
  readonly role: string;
  readonly application: string;
  readonly state: string;
  readonly query: string;
  readonly seconds: string;
}

const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;
/** A wait that blocks nobody may be long: its reason is reported after this time. */
const TELL_AFTER_MS = 5000;
/** lock_not_available, deadlock_detected: a retry may succeed. */
const isLockError = (error: unknown) => ['55P03', '40P01'].includes(String((error as { code?: unknown }).code));

/**
 * Retries `attempt` while it fails to get a lock, with growing pauses. After the last attempt, throws `locked`, which
 * names the blockers.
 */
export async function retryLocked<T>(
  client: pg.ClientBase,
  what: string,
  options: DdlOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  const { rows } = await client.query<{ pid: string }>('SELECT pg_backend_pid()::text AS pid');
  for (let number = 1; ; number++) {
    options.signal.throwIfAborted();
    const watch = await watchBlockers(rows[0]!.pid, what, options);
    let failure: unknown;
    try {
      return await attempt();
    } catch (error) {
      if (!isLockError(error)) throw error;
      failure = error;
    } finally {
      await watch.close();
    }
    const inTheWay = toBlockersText(watch.seen());
    if (number >= options.attempts)
      throw new CrosswalkError(
        'locked',
        `${what}: no lock within ${options.attempts} attempts of ${options.lockTimeoutMs} ms; ${inTheWay}`,
        { cause: failure },
      );
    options.onWait(`${what}: no lock within ${options.lockTimeoutMs} ms (attempt ${number}); ${inTheWay}`);
    await pause(Math.min(PAUSE_MS * 2 ** (number - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random()), options.signal);
  }
}

/**
 * Polls for the blockers of a session and keeps the last ones seen: once its wait has timed out, nobody blocks it any
 * more.
 */
async function watchBlockers(
  pid: string,
  what: string,
  options: DdlOptions,
): Promise<{ seen(): readonly Blocker[]; close(): Promise<void> }> {
  let seen: readonly Blocker[] = [];
  if (options.observe === null) return { seen: () => seen, close: async () => undefined };
  const observer = await options.observe();
  const closing = new AbortController();
  const everyMs = Math.max(20, Math.min(options.lockTimeoutMs / 5, 1000));
  let tellAtMs = performance.now() + TELL_AFTER_MS;
  const watching = (async () => {
    while (!closing.signal.aborted) {
      const found = await readBlockers(observer, pid);
      if (found.length > 0) {
        seen = found;
        if (performance.now() >= tellAtMs) {
          tellAtMs = Infinity;
          options.onWait(`${what}: waiting; ${toBlockersText(found)}`);
        }
      }
      await pause(everyMs, closing.signal);
    }
  })().catch(() => undefined);
  return {
    seen: () => seen,
    async close() {
      closing.abort();
      await watching;
      await observer.end().catch(() => undefined);
    },
  };
}

async function readBlockers(observer: pg.ClientBase, pid: string): Promise<Blocker[]> {
  const { rows } = await observer.query<Blocker>(
    `SELECT p.pid::text, coalesce(a.usename::text, '') AS role, coalesce(a.application_name, '') AS application, coalesce(a.state, '') AS state,
       upper(coalesce(substring(ltrim(a.query, E' \\t\\r\\n(') FROM '^[A-Za-z]+'), '')) AS query,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::bigint::text AS seconds
     FROM (SELECT DISTINCT unnest(pg_blocking_pids($1::int)) AS pid) AS p LEFT JOIN pg_stat_activity a USING (pid) ORDER BY 1`,
    [pid],
  );
  return rows;
}

/** The blockers as text for an operator. */
export function toBlockersText(blockers: readonly Blocker[]): string {
  if (blockers.length === 0) return 'another transaction holds it';
  return blockers
    .map(({ pid, role, application, state, query, seconds }) => {
      if (pid === '0') return 'a prepared transaction holds it';
      const who = [...(role === '' ? [] : [`role ${role}`]), ...(application === '' ? [] : [application])].join(', ');
      const does = [state, ...(query === '' ? [] : [query])].filter((part) => part !== '').join(', ');
      return `pid ${pid}${who === '' ? '' : ` (${who})`} holds it: ${does === '' ? 'unknown' : does}, for ${seconds} s`;
    })
    .join('; ');
}

/**
 * Runs `work` in a transaction whose statements wait at most `lockTimeoutMs` for a lock and have no other time limit.
 */
export async function inDdlTransaction<T>(
  client: pg.ClientBase,
  lockTimeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
    await client.query('SET LOCAL statement_timeout = 0');
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
