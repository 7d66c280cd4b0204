import type pg from 'pg';
import { parseSnapshot, type TransactionSnapshot } from './snapshot/visibility.ts';

/** Prefix of the logical messages that keep the stream moving. */
export const HEARTBEAT_PREFIX = 'crosswalk.heartbeat';

export type Heartbeat = ReturnType<typeof createHeartbeat>;

/** Keeps an idle source's position moving, and knows which transactions have become visible. Breaks the session when the database does. */
export function createHeartbeat(client: pg.ClientBase, everyMs: number, session: AbortController) {
  let snapshot: TransactionSnapshot = { xmin: 0n, xmax: 0n, inProgress: new Set() };
  let isDue = true;
  let isBeating = false;
  const beat = async () => {
    const { rows } = await client.query<{ snapshot: string }>(
      `SELECT pg_current_snapshot()::text AS snapshot, pg_logical_emit_message(true, $1, pg_current_snapshot()::text)`,
      [HEARTBEAT_PREFIX],
    );
    snapshot = parseSnapshot(rows[0]!.snapshot);
    isDue = true;
  };
  const timer = setInterval(() => {
    if (isBeating) return;
    isBeating = true;
    void beat()
      .catch((error: unknown) => session.abort(error))
      .finally(() => {
        isBeating = false;
      });
  }, everyMs);
  return {
    snapshot: () => snapshot,
    isDue: () => isDue,
    written: () => {
      isDue = false;
    },
    stop: () => clearInterval(timer),
    beat,
  };
}
