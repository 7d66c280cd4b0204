import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { connect } from '../../runtime/postgres.ts';
import { pause } from '../../runtime/retry.ts';
import { liveNamespace, searchPathOption } from '../session.ts';
import type { Place, Replay } from './replay.ts';
import type { Settings, Shadow } from './shadow.ts';

/** Time limit to lock all offset rows. If it passes, all locks are released: the projectors of the locked rows are already waiting. */
const LOCK_MS = 2000;
/** Time limit for the shadow to reach the live offsets while the live projectors wait. */
const REACH_MS = 5000;
const ATTEMPTS = 3;
/** Number of retries of changes parked only in the shadow, while the live projectors wait: one may depend on another. */
const RETRIES = 5;

/** Next offsets of projections, live or in a shadow. */
export async function readPlaces(
  client: pg.ClientBase,
  schema: string,
  { projections, topics }: Pick<Settings, 'projections' | 'topics'>,
): Promise<Place[]> {
  const { rows } = await client.query<{ projection: string; partition: string; next: string }>(
    `SELECT projection, partition::text, next_offset::text AS next FROM ${schema}.consumer_offset WHERE projection = ANY ($1) AND topic = ANY ($2) ORDER BY 1, 2`,
    [projections, topics],
  );
  return rows.map((row) => ({
    projection: row.projection,
    partition: Number(row.partition),
    offset: BigInt(row.next),
  }));
}

/** Parked changes and dead letters of a shadow, without those that the live tables also have, or that were discarded there. */
export const newFailures = (schema: string) => `(SELECT f.* FROM (
    SELECT projection, topic, partition, record_offset, legacy_key, reason, 'waiting' AS kind FROM ${schema}.parked_change
    UNION ALL SELECT projection, topic, partition, record_offset, legacy_key, reason, 'failed' FROM ${schema}.dead_letter WHERE resolved_at IS NULL) f
  WHERE NOT EXISTS (SELECT FROM crosswalk.parked_change p WHERE (p.projection, p.topic, p.partition, p.record_offset) = (f.projection, f.topic, f.partition, f.record_offset))
    AND NOT EXISTS (SELECT FROM crosswalk.dead_letter d WHERE (d.projection, d.topic, d.partition, d.record_offset) = (f.projection, f.topic, f.partition, f.record_offset)
      AND (d.resolved_at IS NULL OR d.resolution LIKE 'discarded %')))`;

/** Opens a session that reads and writes both sides; all table names are qualified. The live tables continue if this process freezes. */
export function connectBoth(url: string, targetSchema: string, options: string): Promise<pg.Client> {
  return connect(
    url,
    'rebuild',
    `${searchPathOption(liveNamespace(targetSchema))} -c jit=off -c idle_in_transaction_session_timeout=15s ${options}`,
  );
}

export interface FenceOptions {
  readonly signal: AbortSignal;
  readonly lockTimeoutMs: number;
  readonly onPause: (ms: number) => void;
}

/**
 * Runs `work` while the live projectors are paused at offsets that the shadow has reached exactly. A transaction of `client` locks their offset rows.
 * `work` may use it; it is rolled back unless `work` commits it. `onPause` is called for each pause, also after a failed attempt. Throws `not_reached`
 * if the rows cannot be locked or the shadow does not arrive.
 */
export async function atFence<T>(
  client: pg.Client,
  shadow: Shadow,
  replay: Replay,
  options: FenceOptions,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const startedAtMs = await lock(client, shadow.settings.projections, options);
    try {
      replay.follow(await readPlaces(client, 'crosswalk', shadow.settings));
      if (await hasReached(client, shadow, replay)) return await work();
    } finally {
      await client.query('ROLLBACK').catch(() => undefined);
      options.onPause(performance.now() - startedAtMs);
    }
    if (attempt === ATTEMPTS) {
      throw new CrosswalkError(
        'not_reached.shadow',
        `The shadow did not reach the live projectors within ${REACH_MS / 1000} s, ${ATTEMPTS} times over`,
      );
    }
    // Let the live projectors run.
    await pause(REACH_MS, options.signal);
  }
}

/** Locks the live offsets in the common order, which prevents deadlocks. Returns the time from which the projectors wait. */
async function lock(
  client: pg.Client,
  projections: readonly string[],
  { signal, lockTimeoutMs, onPause }: FenceOptions,
): Promise<number> {
  const endMs = performance.now() + lockTimeoutMs;
  for (;;) {
    signal.throwIfAborted();
    const startedAtMs = performance.now();
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL statement_timeout = ${LOCK_MS}`);
      await client.query(
        'SELECT FROM crosswalk.consumer_offset WHERE projection = ANY ($1) ORDER BY projection, topic, partition FOR UPDATE',
        [projections],
      );
      await client.query('SET LOCAL statement_timeout = 0');
      return startedAtMs;
    } catch (error) {
      await client.query('ROLLBACK');
      onPause(performance.now() - startedAtMs);
      if ((error as { code?: string }).code !== '57014') throw error;
    }
    if (performance.now() > endMs) {
      throw new CrosswalkError(
        'not_reached.offsets',
        `The live offsets could not be locked within ${Math.round(lockTimeoutMs / 1000)} s`,
      );
    }
    await pause(250, signal);
  }
}

/** Whether the shadow reaches the live offsets in time, including retries of its parked changes. Polls through the client, so that the server knows it is alive. */
async function hasReached(client: pg.Client, shadow: Shadow, replay: Replay): Promise<boolean> {
  const endMs = performance.now() + REACH_MS;
  while (!(await isThere(client, shadow))) {
    replay.check();
    if (performance.now() > endMs) return false;
    await sleep(10);
  }
  // Changes parked for a change of another partition may be applicable by now.
  for (let retry = 0, before = ''; retry < RETRIES; retry++) {
    const { rows } = await client.query<{ count: string }>(
      `SELECT count(*)::text FROM ${newFailures(shadow.schema)} f WHERE kind = 'waiting'`,
    );
    if (rows[0]!.count === '0' || rows[0]!.count === before) break;
    before = rows[0]!.count;
    await replay.retryWaiting();
  }
  // A retry of parked changes that has begun ends before this, and no other begins after.
  for (const projection of shadow.settings.projections) {
    await client.query(`SELECT pg_advisory_xact_lock(hashtext('crosswalk.parked'), hashtext($1))`, [
      projection + shadow.schema,
    ]);
  }
  return true;
}

/** Whether the shadow's offsets are the live ones. Throws `position_mismatch` if the live ones are behind. */
async function isThere(client: pg.Client, { schema, settings }: Shadow): Promise<boolean> {
  const { rows } = await client.query<{ behind: string; ahead: string }>(
    `SELECT count(*) FILTER (WHERE coalesce(s.next_offset, -1) < o.next_offset)::text AS behind, count(*) FILTER (WHERE s.next_offset > o.next_offset)::text AS ahead
     FROM crosswalk.consumer_offset o LEFT JOIN ${schema}.consumer_offset s USING (projection, topic, partition) WHERE o.projection = ANY ($1) AND o.topic = ANY ($2)`,
    [settings.projections, settings.topics],
  );
  if (rows[0]!.ahead !== '0') {
    throw new CrosswalkError(
      'position_mismatch.rebuild',
      'The live projectors stand before the rebuild: their database was restored, or their offsets were set back',
    );
  }
  return rows[0]!.behind === '0';
}
