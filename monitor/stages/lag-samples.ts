import type pg from 'pg';
import type { Position } from '../../connectors/position.ts';
import type { Projection } from '../../projectors/projection.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/log.ts';
import { addressOf, connect } from '../../runtime/postgres.ts';
import { type PartitionLag, toTotalLag } from '../lag.ts';

/** How far one projection was behind the legacy database at a moment (seconds since 1970). `lagSeconds` null: not known, or the initial load was under way. */
export interface LagSample {
  readonly projection: string;
  readonly atSeconds: number;
  readonly lagSeconds: number | null;
  readonly lagOffsets: bigint;
}

/** Time between two samples of a projection, however many processes take them. */
export const SAMPLE_SECONDS = 15;
const KEPT = '25 hours';

/**
 * The samples to record after reading position and offsets. Seconds: from the clock of this machine (`wallMicros` since 1970) back to the source time of the position, and from there to what is applied;
 * a stopped connector is lag too. A projection whose table is not in the log has no sample.
 */
export function toLagSamples(
  projections: readonly Pick<Projection, 'name' | 'source'>[],
  lags: readonly PartitionLag[],
  position: Pick<Position, 'sourceMicros' | 'snapshot'>,
  wallMicros: bigint,
): Omit<LagSample, 'atSeconds'>[] {
  const behindLegacy = Math.max(0, Number(wallMicros - position.sourceMicros) / 1e6);
  return projections.flatMap(({ name, source }) => {
    const { lagOffsets, lagSeconds } = toTotalLag(lags.filter(({ projection }) => projection === name));
    if (lagOffsets === null) return [];
    const isLoaded = position.snapshot[source]?.done === true;
    const seconds = lagSeconds === null || !isLoaded ? null : behindLegacy + lagSeconds;
    return [{ projection: name, lagSeconds: seconds, lagOffsets }];
  });
}

/** Keeps lag in the target database, a sample each quarter of a minute, for 25 hours. Never throws and never waits: without the database there is no sample, and gates see the gap. */
export function createLagSampler(
  targetUrl: string,
  projections: readonly Pick<Projection, 'name' | 'source'>[],
  { log }: { log: Log },
): { note(lags: readonly PartitionLag[], position: Position): void } {
  let lastMs = -Infinity;
  let isWriting = false;
  let said = '';
  async function write(samples: readonly Omit<LagSample, 'atSeconds'>[]): Promise<void> {
    const client = await connect(targetUrl, 'lag-sample', '-c statement_timeout=5s');
    try {
      await writeLagSamples(client, samples);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return {
    note(lags, position) {
      // A little less, so that a late timer does not skip a quarter of a minute.
      if (isWriting || performance.now() - lastMs < SAMPLE_SECONDS * 900) return;
      lastMs = performance.now();
      isWriting = true;
      write(toLagSamples(projections, lags, position, BigInt(Date.now()) * 1000n))
        .then(
          () => {
            said = '';
          },
          (thrown: unknown) => {
            const error = toCrosswalkError(thrown, `target database ${addressOf(targetUrl)}`);
            if (error.message !== said) log.warn({ code: error.code }, `lag is not sampled: ${error.message}`);
            said = error.message;
          },
        )
        .finally(() => {
          isWriting = false;
        });
    },
  };
}

/** Writes one sample a projection for this quarter of a minute, the worst if there is one already, and removes old samples. */
export async function writeLagSamples(
  client: pg.ClientBase,
  samples: readonly Omit<LagSample, 'atSeconds'>[],
): Promise<void> {
  if (samples.length === 0) return;
  await client.query(
    `INSERT INTO crosswalk.lag_sample (projection, at, lag_seconds, lag_offsets)
     SELECT s.projection, date_bin($4::interval, clock_timestamp(), 'epoch'), s.seconds, s.offsets FROM unnest($1::text[], $2::float8[], $3::bigint[]) AS s (projection, seconds, offsets)
     ON CONFLICT (projection, at) DO UPDATE SET lag_offsets = greatest(lag_sample.lag_offsets, excluded.lag_offsets),
       lag_seconds = CASE WHEN num_nulls(lag_sample.lag_seconds, excluded.lag_seconds) = 0 THEN greatest(lag_sample.lag_seconds, excluded.lag_seconds) END`,
    [
      samples.map(({ projection }) => projection),
      samples.map(({ lagSeconds }) => lagSeconds),
      samples.map(({ lagOffsets }) => String(lagOffsets)),
      `${SAMPLE_SECONDS} seconds`,
    ],
  );
  await client.query(
    `DELETE FROM crosswalk.lag_sample WHERE projection = ANY ($1) AND at < now() - interval '${KEPT}'`,
    [samples.map(({ projection }) => projection)],
  );
}

/** Samples of the last `windowSeconds`, in order of time, and the server's clock. */
export async function readLagSamples(
  client: pg.ClientBase,
  windowSeconds: number,
): Promise<{ nowSeconds: number; samples: LagSample[] }> {
  const { rows: clock } = await client.query<{ now: string }>(
    'SELECT extract(epoch FROM clock_timestamp())::text AS now',
  );
  const { rows } = await client.query<Record<'projection' | 'at' | 'offsets', string> & { seconds: string | null }>(
    `SELECT projection, extract(epoch FROM at)::text AS at, lag_seconds::text AS seconds, lag_offsets::text AS offsets FROM crosswalk.lag_sample
     WHERE at >= to_timestamp($1::float8 - $2::float8) ORDER BY lag_sample.at, projection`,
    [clock[0]!.now, windowSeconds],
  );
  return {
    nowSeconds: Number(clock[0]!.now),
    samples: rows.map(({ projection, at, seconds, offsets }) => ({
      projection,
      atSeconds: Number(at),
      lagSeconds: seconds === null ? null : Number(seconds),
      lagOffsets: BigInt(offsets),
    })),
  };
}
