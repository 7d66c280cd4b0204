// Projector processes as adversary: several at once on the same partitions, with batches of any size, stale, restarted and killed.
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Random } from '../../pipelines/crm/sample/random.ts';
import { createParkedRetry } from '../../projectors/parked.ts';
import type { Projection, Tenants } from '../../projectors/projection.ts';
import { createProjectionStatus } from '../../projectors/status.ts';
import { applyChanges } from '../../projectors/write/apply-changes.ts';
import type { TargetShapes } from '../../projectors/write/catalog.ts';
import { ensureOffsets, readNextOffset } from '../../projectors/write/offsets.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { createLog } from '../../runtime/log.ts';
import { type ChangeLog, type LogPartition, logDecoder } from './change-log.ts';

export interface Target {
  /** The projectors' connections; `terminate` ends one of them from outside, as a crash would. */
  readonly pool: pg.Pool;
  readonly terminate: () => Promise<void>;
  readonly shapes: TargetShapes;
  readonly projections: readonly Projection[];
  readonly tenants: Tenants;
}

export interface Tally {
  batches: number;
  parked: number;
  stale: number;
  crashes: number;
  deadlocks: number;
  isolated: number;
}

const PARKED_TIMEOUT_MS = 15_000;

/** What one consumer takes at a time: several projections may read one topic, each with offsets of its own. */
interface Unit {
  readonly partition: LogPartition;
  readonly projection: Projection;
}

/** Makes offset rows for all partitions of the log. */
export async function ensureAllOffsets(target: Target, log: ChangeLog): Promise<void> {
  for (const projection of target.projections) {
    const of = log.partitions.filter(({ topic }) => topic.endsWith(`.${projection.source}`));
    await ensureOffsets(target.pool, projection.name, of[0]!.topic, of.length);
  }
}

/** Lets `consumers` consumers work until everything is applied and nothing is parked. Throws what no consumer may meet. */
export async function consumeAll(
  target: Target,
  log: ChangeLog,
  random: Random,
  options: { consumers: number; largestBatch: number },
): Promise<Tally> {
  const tally: Tally = { batches: 0, parked: 0, stale: 0, crashes: 0, deadlocks: 0, isolated: 0 };
  await ensureAllOffsets(target, log);
  const wakes = new Map<string, () => void>();
  const retries = target.projections.map((projection) => keepRetrying(target, log, projection, tally));
  for (const [at, { name }] of target.projections.entries()) wakes.set(name, () => retries[at]!.wake());
  try {
    const units = log.partitions.flatMap((partition) =>
      target.projections
        .filter(({ source }) => partition.topic.endsWith(`.${source}`))
        .map((projection): Unit => ({ partition, projection })),
    );
    const confirmed = new Map<Unit, bigint>();
    // When one fails the others stop too: a test must not leave them at work.
    const stopping = new AbortController();
    const consumers = Array.from({ length: options.consumers }, () =>
      consume(target, log, random, {
        ...{ ...options, units, confirmed, tally, stopping: stopping.signal },
        onParked: (name) => wakes.get(name)!(),
      }).catch((error: unknown) => {
        stopping.abort();
        throw error;
      }),
    );
    await Promise.allSettled(consumers);
    await Promise.all(consumers);
    const deadline = performance.now() + PARKED_TIMEOUT_MS;
    while ((await countParked(target.pool)) > 0) {
      for (const retry of retries) retry.check();
      if (performance.now() > deadline)
        throw new Error('changes stay parked although everything before them is applied');
      await sleep(20);
    }
  } finally {
    for (const retry of retries) await retry.close();
  }
  return tally;
}

async function countParked(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ n: string }>('SELECT count(*) AS n FROM crosswalk.parked_change');
  return Number(rows[0]!.n);
}

/** Parked changes of one projection, with a new retry whenever one fails for a passing reason. */
function keepRetrying(target: Target, log: ChangeLog, projection: Projection, tally: Tally) {
  const { pool, tenants, shapes } = target;
  let failure: unknown;
  let current: ReturnType<typeof createParkedRetry>;
  const start = () => {
    current = createParkedRetry({
      tables: target.projections.map(({ source }) => source),
      readPosition: async () => log.position(),
      pool,
      applier: { projection, tenants, shapes, decoder: logDecoder },
      status: createProjectionStatus(projection.name),
      log: createLog('silent'),
      onFailure: (error) => {
        if (!isPassing(error, tally)) failure ??= error;
        // Closed once the failed round has ended, which is waiting for this call.
        const failed = current;
        setImmediate(() => void failed.close());
        start();
      },
    });
  };
  start();
  return {
    check: () => {
      if (failure !== undefined) throw failure;
    },
    wake: () => current.wake(),
    close: () => current.close(),
  };
}

/** Whether a projector would go on by itself after this error; counts it. */
function isPassing(error: unknown, tally: Tally): boolean {
  if ((error as { code?: string }).code === '40P01') tally.deadlocks++;
  else if (toCrosswalkError(error, 'target').code === 'server_down') tally.crashes++;
  else return false;
  return true;
}

async function consume(
  target: Target,
  log: ChangeLog,
  random: Random,
  options: {
    largestBatch: number;
    units: readonly Unit[];
    confirmed: Map<Unit, bigint>;
    tally: Tally;
    stopping: AbortSignal;
    onParked: (projection: string) => void;
  },
): Promise<void> {
  const { largestBatch, units, confirmed, tally } = options;
  const believed = new Map<Unit, bigint>();
  const isBehind = (unit: Unit) => (confirmed.get(unit) ?? 0n) < unit.partition.end();
  const isDone = () => log.isComplete() && !units.some(isBehind);
  const unfinished = () => units.filter(isBehind);
  while (!isDone() && !options.stopping.aborted) {
    if (random.chance(0.7)) log.produce(random.int(1, 40));
    if (random.chance(0.02)) believed.clear();
    if (random.chance(0.01)) await target.terminate();
    const some = unfinished();
    if (some.length === 0) {
      await breathe();
      continue;
    }
    const unit = random.pick(some);
    const { partition, projection } = unit;
    const of = { projection: projection.name, topic: partition.topic, partition: partition.partition };
    try {
      const known = confirmed.get(unit) ?? 0n;
      // A consumer that lost the partition long ago and does not know it.
      const isStale = known > 0n && random.chance(0.05);
      const from = isStale
        ? BigInt(random.int(0, Number(known) - 1))
        : (believed.get(unit) ?? (await readNextOffset(target.pool, of)));
      const changes = partition.read(from, random.chance(0.3) ? 1 : random.int(1, largestBatch));
      const last = changes.at(-1);
      if (last === undefined) {
        // The others have applied it all.
        believed.set(unit, from);
        confirmed.set(unit, max(from, confirmed.get(unit)));
        continue;
      }
      const next = last.record.offset + 1n;
      const applier = { projection, tenants: target.tenants, shapes: target.shapes };
      const outcome = await applyChanges(target.pool, applier, of, { changes, expected: from, next });
      if (isStale) throw new Error('a stale consumer was let in');
      tally.batches++;
      tally.parked += outcome.parked;
      if (outcome.parked > 0) options.onParked(projection.name);
      if (outcome.blocked.length > 0) tally.isolated++;
      believed.set(unit, next);
      confirmed.set(unit, max(next, confirmed.get(unit)));
    } catch (error) {
      believed.delete(unit);
      if (error instanceof CrosswalkError && error.code === 'stale_consumer') tally.stale++;
      else if (!isPassing(error, tally)) throw error;
    }
  }
}

const max = (a: bigint, b = 0n) => (a > b ? a : b);
