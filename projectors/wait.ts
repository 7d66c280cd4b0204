import type pg from 'pg';
import { toLsnText } from '../changes/lsn.ts';
import type { Position } from '../connectors/position.ts';
import { type Config, topicOf } from '../runtime/config.ts';
import { Failure } from '../runtime/error-codes.ts';
import { toCrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';
import { untilTrue } from '../runtime/retry.ts';
import type { Projection } from './projection.ts';
import { followPosition } from './read-position.ts';

/** Waits until everything up to `lsn` is in the log and every projection has applied it, with no change parked. Throws `not_reached`. */
export async function waitForLsn(
  config: Config,
  kafka: Kafka,
  target: pg.ClientBase | pg.Pool,
  projections: readonly Projection[],
  options: { lsn: bigint; timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const until = { everyMs: 20, timeoutMs: options.timeoutMs, signal: options.signal };
  const position = await readPositionAt(config, kafka, projections, options.lsn, until);
  const goals = projections.flatMap((projection) => {
    const topic = topicOf(config, projection.source);
    return (position.offsets[topic] ?? []).map((offset, partition) => ({
      projection: projection.name,
      topic,
      partition,
      offset,
    }));
  });
  await untilTrue(
    `LSN ${toLsnText(options.lsn)} applied`,
    async () => {
      const { rows } = await target.query<{ behind: string; parked: string }>(
        `SELECT (SELECT count(*) FROM jsonb_to_recordset($1::jsonb) AS g (projection text, topic text, partition int, "offset" bigint)
             LEFT JOIN crosswalk.consumer_offset o USING (projection, topic, partition) WHERE coalesce(o.next_offset, 0) < g."offset") AS behind,
           (SELECT count(*) FROM crosswalk.parked_change WHERE source_lsn <= $2::pg_lsn) AS parked`,
        // Rows of a load are as new as the moment when they were read, which may be after `lsn`.
        [JSON.stringify(goals), toLsnText(position.lsn)],
      );
      const behind = Number(rows[0]!.behind) + Number(rows[0]!.parked);
      return behind === 0;
    },
    { ...until, late: Failure.of('not_reached.projectors') },
  );
}

/** The first position seen that covers `lsn` after the initial load. Before the load is done, rows committed long ago may be missing in the log. */
async function readPositionAt(
  config: Config,
  kafka: Kafka,
  projections: readonly Projection[],
  lsn: bigint,
  until: { everyMs: number; timeoutMs: number; signal: AbortSignal },
): Promise<Position> {
  const what = `LSN ${toLsnText(lsn)} in the log`;
  let followed: Awaited<ReturnType<typeof followPosition>> | null = null;
  let found: Position | null = null;
  try {
    await untilTrue(
      what,
      async () => {
        followed ??= await followPosition(kafka, config).catch((error: unknown) => {
          if (toCrosswalkError(error, 'Kafka').code === 'server_down') return null;
          throw error;
        });
        const latest = followed?.latest() ?? null;
        const isLoaded = projections.every(({ source }) => latest?.snapshot[source]?.done);
        if (latest !== null && latest.lsn >= lsn && isLoaded) found = latest;
        return found !== null;
      },
      { ...until, late: Failure.of('not_reached.connector') },
    );
  } finally {
    // Leaving the reader's group takes a round trip; do not wait for it.
    void (followed as { close(): Promise<void> } | null)?.close().catch(() => undefined);
  }
  return found!;
}
