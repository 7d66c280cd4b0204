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
 * Advances the position of an idle source, tracks which transactions have become visible, and checks the source for
 * changes that send no event. Ends the session if the database fails or such a change is found. `fingerprint`: the
 * source as last accepted; undefined if it was never checked.
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
    /** Fingerprint of the source as of the last beat; stored with each position. */
    fingerprint: () => fingerprint,
    isDue: () => isDue,
    written: () => {
      isDue = false;
    },
    stop: () => clearInterval(timer),
    beat,
  };
}
