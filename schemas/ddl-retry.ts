import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { pause } from '../runtime/retry.ts';

/** How DDL takes its locks. A statement that waits for a lock makes everybody wait who comes after it: so it waits for `lockTimeoutMs` at most, lets them pass, and tries again. */
export interface DdlOptions {
  readonly lockTimeoutMs: number;
  /** For what waits without making anybody else wait: an index that is built concurrently. */
  readonly concurrentTimeoutMs: number;
  readonly attempts: number;
  /** Opens a session that looks at who is in the way; null: they are not named. */
  readonly observe: (() => Promise<pg.Client>) | null;
  /** Told of each attempt that failed. */
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

/** A session that keeps DDL from its lock. `query`: the first word of its statement, never its text. */
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
/** A wait that makes nobody else wait may be long: people are told what for. */
const TELL_AFTER_MS = 5000;
/** lock_not_available, deadlock_detected: what another attempt may heal. */
const isLockError = (error: unknown) => ['55P03', '40P01'].includes(String((error as { code?: unknown }).code));

/** Runs `attempt` again and again while it fails for want of a lock, with growing pauses. Throws `locked`, which names who was in the way, after the last attempt. */
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

/** Looks again and again at who blocks a session, and remembers the last ones seen: once its wait has timed out, nobody blocks it any more. */
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

/** Who was in the way, for people. */
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

/** Runs `work` in a transaction whose statements wait for a lock for no longer than `lockTimeoutMs` each, and for nothing else are limited in time. */
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
