import type pg from 'pg';
import { type Config, topicOf } from '../../runtime/config.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { consume, type Feed } from '../consume.ts';
import type { ChangeDecoder } from '../decode.ts';
import { CONCURRENCY } from '../feed-member.ts';
import type { ParkedRetry } from '../parked.ts';
import type { Projection, Tenants } from '../projection.ts';
import { createProjectorPool } from '../session.ts';
import type { SourceChange } from '../source-change.ts';
import { createProjectionStatus } from '../status.ts';
import { createPace } from '../verify/pace.ts';
import type { Applier } from '../write/apply-changes.ts';
import { readTargetShapes } from '../write/catalog.ts';
import { createEnds, type MovingEnds } from './ends.ts';
import type { Shadow } from './shadow.ts';

/** Short, so that a resumed partition does not wait while the live projectors are paused. */
const MAX_WAIT_MS = 50;

/** Position of a projection in a partition. */
export interface Place {
  readonly projection: string;
  readonly partition: number;
  readonly offset: bigint;
}

export interface Replay {
  /** Lets the projections advance to the positions of the live ones. */
  follow(live: readonly Place[]): void;
  /** From now on, records legacy keys under this round before their changes are applied. */
  record(round: number): void;
  /** Retries the shadow's parked changes once, immediately. */
  retryWaiting(): Promise<void>;
  /** Throws the error that ended it. */
  check(): void;
  /** Records read in this process. */
  records(): number;
  /** Finishes the current work and stops. */
  close(): Promise<void>;
}

/** Consumes the topics of projections into a shadow, as projectors do, but never past the live ones. */
export async function startReplay(
  config: Config,
  kafka: Kafka,
  shadow: Shadow,
  input: {
    readonly projections: readonly Projection[];
    readonly tenants: Tenants;
    readonly decoderOf: (projection: Projection) => ChangeDecoder;
    /** Whether it starts in the middle of the log. */
    readonly partial: boolean;
    readonly maxRate: number | null;
    readonly log: Log;
  },
): Promise<Replay> {
  const { projections, tenants, log, maxRate } = input;
  const pool = createProjectorPool(
    config.targetUrl(),
    'rebuild',
    projections.length * CONCURRENCY + 2,
    [shadow.schema],
    { isReplayable: true },
  );
  const stopping = new AbortController();
  const pace = createPace(maxRate, stopping.signal);
  const statuses = projections.map(({ name }) => createProjectionStatus(name));
  const ends = new Map<string, MovingEnds>(projections.map(({ name }) => [name, createEnds()]));
  let round = input.partial ? 0 : null;
  const retries = new Map<string, ParkedRetry>();
  let failure: unknown = null;
  let running: Promise<unknown> = Promise.resolve();
  try {
    const shapes = await readTargetShapes(pool, projections);
    running = Promise.allSettled(
      projections.map((projection, at) => {
        const decoder = input.decoderOf(projection);
        const isForced = input.partial && projection.history === undefined;
        const applier: Applier = { projection, tenants, shapes, decoder: isForced ? toForced(decoder) : decoder };
        const feed: Feed = {
          groupId: `${config.topicPrefix}.crosswalk.rebuild.${shadow.name}.${projection.name}`,
          source: projection.source,
          pool,
          members: [{ applier, status: statuses[at]! }],
          decoder: applier.decoder,
          batchRows: Math.min(config.batchRows, maxRate ?? config.batchRows),
          maxWaitMs: MAX_WAIT_MS,
          ends: ends.get(projection.name)!,
          onParkedRetry: (retry: ParkedRetry) => void retries.set(projection.name, retry),
          onChanges: async (changes: readonly SourceChange[]) => {
            await pace.take(changes.length);
            if (round !== null) await recordKeys(pool, projection.name, changes, round);
          },
        };
        const options = {
          log: log.child({ rebuild: shadow.name, projection: projection.name }),
          signal: stopping.signal,
        };
        return consume(config, kafka, feed, options).catch((error: unknown) => {
          failure ??= error;
          stopping.abort(error);
        });
      }),
    );
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    follow(live) {
      for (const [name, places] of Map.groupBy(live, ({ projection }) => projection))
        ends.get(name)?.move(new Map(places.map(({ partition, offset }) => [partition, offset])));
    },
    record(newRound) {
      round = newRound;
    },
    async retryWaiting() {
      for (const retry of retries.values()) await retry.now();
    },
    check() {
      if (failure !== null) throw failure;
    },
    records: () => statuses.reduce((sum, { records }) => sum + records, 0),
    async close() {
      stopping.abort(new Error('stopped'));
      await running;
      await pool.end();
    },
  };
}

/** A replay that does not start with the first change writes and folds the result of a change even if the stored contributions seem equal. */
function toForced(decoder: ChangeDecoder): ChangeDecoder {
  return {
    decode: async (topic, partition, records) =>
      (await decoder.decode(topic, partition, records)).map((change) => ({ ...change, repair: change.repair ?? {} })),
  };
}

/** Runs before the changes are applied: a key may be recorded needlessly, but none is missed. */
async function recordKeys(
  pool: pg.Pool,
  projection: string,
  changes: readonly SourceChange[],
  round: number,
): Promise<void> {
  await pool.query({
    name: 'crosswalk record replayed keys',
    text: `INSERT INTO replayed_key AS k (projection, legacy_key, round) SELECT $1, key, $3 FROM unnest($2::text[]) key
     ON CONFLICT (projection, legacy_key) DO UPDATE SET round = excluded.round WHERE k.round < excluded.round`,
    values: [projection, [...new Set(changes.map(({ legacyKey }) => legacyKey))], round],
  });
}

/** The topic of each projection. */
export function topicsOf(config: Config, projections: readonly Projection[]): ReadonlyMap<string, string> {
  return new Map(projections.map(({ name, source }) => [name, topicOf(config, source)]));
}
