import { pause } from '../../runtime/retry.ts';
import { newFailures, readPlaces } from './fence.ts';
import { createLag } from './lag.ts';
import type { Place, Replay } from './replay.ts';
import type { Shadow } from './shadow.ts';

const EVERY_MS = 100;
/** Maximum lag of the shadow behind the live projectors before these are paused. */
const CLOSE_MS = 500;
/** Accepted lag, and the time after which it is accepted, if the shadow never gets that close. */
const LOOSE_MS = 3000;
const LOOSE_FOR_MS = 10_000;
/** Time limit without progress for changes parked only in the shadow: none of them applied or dead-lettered. */
const SETTLE_MS = 30_000;

export interface Following {
  /** Throws the error that ended it. */
  check(): void;
  close(): Promise<void>;
}

/** Lets a shadow follow the live projectors until closed. */
export function follow(shadow: Shadow, replay: Replay): Following {
  const stopping = new AbortController();
  let failure: unknown = null;
  const run = async () => {
    while (!stopping.signal.aborted) {
      replay.follow(await readPlaces(shadow.control, 'crosswalk', shadow.settings));
      await pause(EVERY_MS, stopping.signal);
    }
  };
  const running = run().catch((error: unknown) => {
    failure = error;
  });
  return {
    check() {
      replay.check();
      if (failure !== null) throw failure;
    },
    async close() {
      stopping.abort();
      await running;
    },
  };
}

/** Waits until the shadow follows the live projectors closely and changes parked only in it have settled or had their time. */
export async function untilNear(
  shadow: Shadow,
  following: Following,
  options: { readonly signal: AbortSignal; readonly onProgress: (done: number, total: number) => void },
): Promise<void> {
  const { signal } = options;
  const read = (schema: string) => readPlaces(shadow.control, schema, shadow.settings);
  const first = sum(await read(shadow.schema));
  const lag = createLag(LOOSE_MS);
  let looseSinceMs = Number.POSITIVE_INFINITY;
  let settled = { state: '', sinceMs: 0 };
  for (;;) {
    signal.throwIfAborted();
    following.check();
    const nowMs = performance.now();
    const live = await read('crosswalk');
    const own = await read(shadow.schema);
    options.onProgress(Number(sum(own) - first), Number(sum(live) - first));
    const behindMs = lag.look(nowMs, live, own);
    if (behindMs > LOOSE_MS) looseSinceMs = Number.POSITIVE_INFINITY;
    else looseSinceMs = Math.min(looseSinceMs, nowMs);
    if (behindMs <= CLOSE_MS || nowMs - looseSinceMs > LOOSE_FOR_MS) {
      const { waiting, state } = await readState(shadow);
      if (waiting === '0') return;
      if (state !== settled.state) settled = { state, sinceMs: performance.now() };
      if (performance.now() - settled.sinceMs > SETTLE_MS) return;
    }
    await pause(EVERY_MS, signal);
  }
}

const sum = (places: readonly Place[]) => places.reduce((total, { offset }) => total + offset, 0n);

/** Number of changes parked in the shadow and not in the live tables, even if these have a dead letter for it; and a text that changes when any of them settles. */
async function readState({ control, schema }: Shadow): Promise<{ waiting: string; state: string }> {
  const { rows } = await control.query<{ waiting: string; failed: string }>(
    `SELECT (SELECT count(*) FROM ${schema}.parked_change s WHERE NOT EXISTS (SELECT FROM crosswalk.parked_change p
         WHERE (p.projection, p.topic, p.partition, p.record_offset) = (s.projection, s.topic, s.partition, s.record_offset)))::text AS waiting,
       (SELECT count(*) FROM ${newFailures(schema)} f WHERE kind = 'failed')::text AS failed`,
  );
  const { waiting, failed } = rows[0]!;
  return { waiting, state: `${waiting} ${failed}` };
}
