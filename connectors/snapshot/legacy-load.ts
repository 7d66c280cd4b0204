import type pg from 'pg';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';

/** Interval between checks of the legacy server. */
const LOOK_MS = 1000;

/**
 * Pauses reading while more than `mostSessions` sessions of other clients have a transaction open, single statements
 * included. 0: never pauses, and checks nothing. Whether a session is active is visible only to its own role and
 * pg_monitor; that it has a transaction open is visible to everyone.
 */
export function createLegacyLoad(mostSessions: number, log: Log) {
  let lookedAtMs = -Infinity;
  let isBusy = false;

  async function look(client: pg.ClientBase): Promise<void> {
    const sessions = await countBusySessions(client);
    lookedAtMs = performance.now();
    const wasBusy = isBusy;
    isBusy = sessions > mostSessions;
    if (isBusy && !wasBusy) log.info({ sessions, mostSessions }, 'reading rests: the legacy server is busy');
    if (wasBusy && !isBusy) log.info({ sessions }, 'reading goes on: the legacy server is less busy');
  }

  return {
    /** Waits, checking once a second, while `isWanted` and the server is busy. Returns whether it had to wait. */
    async settle(client: pg.ClientBase, signal: AbortSignal, isWanted: () => boolean): Promise<boolean> {
      if (mostSessions === 0) return false;
      for (let waited = false; ; waited = true) {
        if (performance.now() - lookedAtMs >= LOOK_MS) await look(client);
        if (!isBusy || !isWanted()) return waited;
        await pause(LOOK_MS, signal);
        signal.throwIfAborted();
      }
    },
  };
}

/** Sessions in a transaction, in any database of the server, excluding those of crosswalk. */
export async function countBusySessions(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ sessions: string }>(
    `SELECT count(*) AS sessions FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
     WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND a.usesysid IS NOT NULL AND a.application_name NOT LIKE 'crosswalk-%'`,
  );
  return Number(rows[0]!.sessions);
}
