import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { connect } from '../../runtime/postgres.ts';
import { pause } from '../../runtime/retry.ts';
import { liveNamespace, searchPathOption } from '../session.ts';
import type { Place, Replay } from './replay.ts';
import type { Settings, Shadow } from './shadow.ts';

/** All of the offset rows must be free within this, or none is kept: the projectors of those that are held already wait. */
const LOCK_MS = 2000;
/** How long the shadow may take from its last changes to those of the live projectors, while these wait. */
const REACH_MS = 5000;
const ATTEMPTS = 3;
/** How often changes that wait in the shadow alone are tried, while the live projectors wait: one may wait for another. */
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

/** Changes that wait or have failed in a shadow, without those that do so in the live tables as well, or were discarded there. */
export const newFailures = (schema: string) => `(SELECT f.* FROM (
    SELECT projection, topic, partition, record_offset, legacy_key, reason, 'waiting' AS kind FROM ${schema}.parked_change
    UNION ALL SELECT projection, topic, partition, record_offset, legacy_key, reason, 'failed' FROM ${schema}.dead_letter WHERE resolved_at IS NULL) f
  WHERE NOT EXISTS (SELECT FROM crosswalk.parked_change p WHERE (p.projection, p.topic, p.partition, p.record_offset) = (f.projection, f.topic, f.partition, f.record_offset))
    AND NOT EXISTS (SELECT FROM crosswalk.dead_letter d WHERE (d.projection, d.topic, d.partition, d.record_offset) = (f.projection, f.topic, f.partition, f.record_offset)
      AND (d.resolved_at IS NULL OR d.resolution LIKE 'discarded %')))`;

/** A session that reads and writes both sides: all names of tables have their schema. The live tables go on if this process is frozen. */
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
 * Runs `work` while the live projectors stand still, at offsets that the shadow has reached exactly: their offset rows are locked by a transaction of `client`,
 * which `work` may use and which is rolled back unless `work` commits it. `onPause` is told of each time for which they stood still, also where it was in vain.
 * Throws `not_reached` where the rows cannot be locked, or the shadow does not arrive.
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
    // The live projectors have their turn.
    await pause(REACH_MS, options.signal);
  }
}

/** Locks the live offsets as everybody does who locks several, so that nobody waits in a circle. Returns the moment from which the projectors wait. */
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

/** Whether the shadow gets to the live offsets in time, with what waits in it tried. The client is asked again and again, so that the server knows it to be alive. */
async function hasReached(client: pg.Client, shadow: Shadow, replay: Replay): Promise<boolean> {
  const endMs = performance.now() + REACH_MS;
  while (!(await isThere(client, shadow))) {
    replay.check();
    if (performance.now() > endMs) return false;
    await sleep(10);
  }
  // What waits for a change of another partition may be applied by now.
  for (let retry = 0, before = ''; retry < RETRIES; retry++) {
    const { rows } = await client.query<{ count: string }>(
      `SELECT count(*)::text FROM ${newFailures(shadow.schema)} f WHERE kind = 'waiting'`,
    );
    if (rows[0]!.count === '0' || rows[0]!.count === before) break;
    before = rows[0]!.count;
    await replay.retryWaiting();
  }
  // A retry of waiting changes that has begun ends before this, and none begins after.
  for (const projection of shadow.settings.projections) {
    await client.query(`SELECT pg_advisory_xact_lock(hashtext('crosswalk.parked'), hashtext($1))`, [
      projection + shadow.schema,
    ]);
  }
  return true;
}

/** Whether the shadow's offsets are the live ones. Throws `position_mismatch` where they are behind them. */
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
