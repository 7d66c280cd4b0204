import type pg from 'pg';
import type { Log } from '../runtime/log.ts';
import { parseSnapshot, type TransactionSnapshot } from './snapshot/visibility.ts';
import type { SourceFingerprint } from './source-fingerprint.ts';
import { inspectSource } from './source-health.ts';
import type { Shortcoming } from './source-requirements.ts';
import type { CaptureOptions } from './source-state.ts';

/** Prefix of the logical messages that keep the stream moving. */
export const HEARTBEAT_PREFIX = 'crosswalk.heartbeat';

export type Heartbeat = ReturnType<typeof createHeartbeat>;

/**
 * Keeps an idle source's position moving, knows which transactions have become visible, and looks at the source for what sends no event. Breaks the session
 * when the database does, or when it finds such a change. `fingerprint`: of the source as it was last accepted; undefined where it was never looked at.
 */
export function createHeartbeat(
  client: pg.ClientBase,
  options: { everyMs: number; capture: CaptureOptions; fingerprint: SourceFingerprint | undefined; log: Log },
  session: AbortController,
) {
  let snapshot: TransactionSnapshot = { xmin: 0n, xmax: 0n, inProgress: new Set() };
  let { fingerprint } = options;
  let isDue = true;
  let isBeating = false;
  let said = '';
  const say = ({ what, remedy }: Shortcoming) => {
    if (what !== said) options.log.warn({ remedy }, what);
    said = what;
  };
  const beat = async () => {
    fingerprint = await inspectSource(client, options.capture, fingerprint, say);
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
  }, options.everyMs);
  return {
    snapshot: () => snapshot,
    /** Of the source as of the last beat: stored with each position. */
    fingerprint: () => fingerprint,
    isDue: () => isDue,
    written: () => {
      isDue = false;
    },
    stop: () => clearInterval(timer),
    beat,
  };
}
