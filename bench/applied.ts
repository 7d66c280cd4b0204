import { parseLsn, toLsnText } from '../changes/lsn.ts';
import { mark } from '../projectors/mark.ts';
import { readPosition } from '../projectors/read-position.ts';
import { topicOf } from '../runtime/config.ts';
import { Failure } from '../runtime/error-codes.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { untilTrue } from '../runtime/retry.ts';
import type { Bench, Run, Worker } from './bench.ts';

const TIMEOUT_MS = 3_600_000;

/** Where the projection under measurement stands: offsets applied in all, by partition, and the moment of the last commit in milliseconds. */
export interface Applied {
  readonly total: number;
  readonly offsets: readonly bigint[];
  readonly committedAtMs: number;
}

/** Asks `reached` until it returns true, and fails as soon as a worker has ended. */
export async function untilReached(
  run: Run,
  workers: readonly Worker[],
  what: string,
  reached: () => Promise<boolean>,
  everyMs: number,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  await untilTrue(
    what,
    async () => {
      for (const worker of workers) worker.assertRunning();
      return await reached();
    },
    {
      everyMs,
      timeoutMs,
      signal: run.signal,
      late: Failure.of('not_reached.logs', { folder: `${run.stackDir}/logs` }),
    },
  );
}

export const quotesTopic = (bench: Bench) => topicOf(bench.config, 'quotes');

/** End of a topic, over all partitions; 0 while it does not exist or is just being made. */
export async function readLogEnd(run: Run, topic: string): Promise<number> {
  const found = await run.kafka.fetchOffsets([topic]).catch((thrown: unknown) => {
    if (toCrosswalkError(thrown, 'Kafka').tries > 1) return null;
    throw thrown;
  });
  return (found?.get(topic) ?? []).reduce((sum, end) => sum + Number(end.high), 0);
}

/** Where a topic ended, and when that was seen, in milliseconds. */
export interface LogEnd {
  readonly end: number;
  readonly atMs: number;
}

/** Waits until a topic has grown past `end`. */
export async function untilLogPasses(
  run: Run,
  workers: readonly Worker[],
  topic: string,
  end: number,
): Promise<LogEnd> {
  let found: LogEnd = { end: 0, atMs: 0 };
  await untilReached(
    run,
    workers,
    'events in the log',
    async () => {
      const now = await readLogEnd(run, topic);
      found = { end: now, atMs: Date.now() };
      return now > end;
    },
    15,
  );
  return found;
}

export async function readApplied(bench: Bench): Promise<Applied> {
  const { rows } = await bench.target.query<{ next: string; at: string | null }>({
    name: 'bench applied',
    text: `SELECT next_offset::text AS next, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::text AS at
      FROM crosswalk.consumer_offset WHERE projection = $1 AND topic = $2 ORDER BY partition`,
    values: [bench.projection, quotesTopic(bench)],
  });
  return {
    total: rows.reduce((sum, row) => sum + Number(row.next), 0),
    offsets: rows.map((row) => BigInt(row.next)),
    committedAtMs: Math.max(0, ...rows.map((row) => Number(row.at ?? 0))),
  };
}

/** Waits until the connector has confirmed `lsn` to the server: everything before it is in the log. Returns the moment. */
export async function untilConfirmed(bench: Bench, workers: readonly Worker[], lsn: bigint): Promise<number> {
  let atMs = 0;
  await untilReached(
    bench,
    workers,
    'everything in the log',
    async () => {
      const { rows } = await bench.legacy.query<{ lsn: string }>({
        name: 'bench confirmed',
        text: 'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
        values: [bench.config.slot],
      });
      atMs = Date.now();
      return rows[0] !== undefined && parseLsn(rows[0].lsn) >= lsn;
    },
    15,
  );
  return atMs;
}

/** Waits until the projector has analyzed the loaded tables and filled the figures, which it begins within two seconds after the load. */
export async function untilUpkeepIsDone(bench: Bench, workers: readonly Worker[]): Promise<void> {
  const sql = `SELECT FROM crosswalk.upkeep WHERE task = 'statistics'`;
  const isDone = async () => (await bench.target.query(sql)).rowCount! > 0;
  await untilReached(bench, workers, 'statistics and figures of the loaded tables', isDone, 100);
}

/**
 * Waits until the slot restarts behind everything written by now. It restarts where the server last recorded its running transactions before the confirmed
 * position: without such a record, a start decodes anew what legs before have written.
 */
export async function untilSlotIsCurrent(bench: Bench, workers: readonly Worker[]): Promise<void> {
  const lsn = toLsnText(await mark(bench.legacy));
  await untilReached(
    bench,
    workers,
    'the slot restarts behind the legs before',
    async () => {
      await bench.legacy.query('SELECT pg_log_standby_snapshot()');
      const { rows } = await bench.legacy.query<{ is: string }>(
        'SELECT (restart_lsn >= $1::pg_lsn)::text AS is FROM pg_replication_slots WHERE slot_name = $2',
        [lsn, bench.config.slot],
      );
      return rows[0]?.is === 'true';
    },
    200,
  );
}

/**
 * Waits until everything is applied: `records` more than at `before`, then every partition up to the position that the connector has stored once
 * `isComplete` says so of it. Returns the state at the end.
 */
export async function untilApplied(
  bench: Bench,
  workers: readonly Worker[],
  options: {
    before: number;
    records: number;
    isComplete: (position: NonNullable<Awaited<ReturnType<typeof readPosition>>>) => boolean;
    onApplied: (records: number) => void;
    timeoutMs?: number;
  },
): Promise<Applied> {
  let applied: Applied | null = null;
  let goals: readonly string[] | null = null;
  await untilReached(
    bench,
    workers,
    'everything applied',
    async () => {
      applied = await readApplied(bench);
      const records = applied.total - options.before;
      options.onApplied(Math.min(options.records, Math.max(0, records)));
      // Asked for only when it may be so: each question costs the brokers and this process some work.
      if (records < options.records) return false;
      if (goals === null) {
        const position = await readPosition(bench.kafka, bench.config);
        if (position === null || !options.isComplete(position)) return false;
        goals = position.offsets[quotesTopic(bench)] ?? [];
      }
      const { offsets } = applied;
      return goals.every((goal, partition) => (offsets[partition] ?? 0n) >= BigInt(goal));
    },
    50,
    options.timeoutMs,
  );
  if (applied === null) throw new CrosswalkError('unexpected', 'nothing was applied');
  return applied;
}
