import type pg from 'pg';
import { type Config, positionTopicOf, topicOf } from '../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { createKafka, type InRecord, type Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf, createPool } from '../runtime/postgres.ts';
import { pause, untilUp } from '../runtime/retry.ts';
import { createRegistry } from '../schemas/avro/registry.ts';
import { createChangeDecoder } from './decode.ts';
import { createGatherer, type Gatherer } from './gather.ts';
import { createParkedRetry } from './parked.ts';
import type { Projection, Tenants } from './projection.ts';
import { readPosition } from './read-position.ts';
import type { ProjectionStatus } from './status.ts';
import { type Applier, applySlices, type SliceOutcome } from './write/apply-changes.ts';
import { readTargetShapes } from './write/catalog.ts';
import { ensureOffsets, type PartitionOf, readNextOffset } from './write/offsets.ts';

/**
 * Every statement of a projector looks rows up by key: a plan that reads a whole table is never right, and a table that has just begun to fill, without
 * statistics, invites one. A frozen process must not hold its locks for longer than the server waits here.
 */
export const SESSION_OPTIONS =
  '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off -c idle_in_transaction_session_timeout=15s';

/** Transactions at a time, for one projection. */
const CONCURRENCY = 3;
/** All partitions of a fetch are handed over at once: what they bring is applied together. */
const PARTITIONS_AT_ONCE = 100;

/**
 * One projector process, until the signal is raised: a member of each projection's consumer group. Throws a CrosswalkError that a person must act on.
 */
export async function runProjectors(
  config: Config,
  projections: readonly Projection[],
  tenants: Tenants,
  statuses: ReadonlyMap<string, ProjectionStatus>,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  const url = config.targetUrl();
  const pool = createPool(url, 'projector', projections.length * CONCURRENCY + 2, SESSION_OPTIONS);
  const kafka = createKafka(config.kafka(), log);
  const { url: baseUrl, ...credentials } = config.registry();
  const registry = createRegistry({ baseUrl, ...credentials });
  try {
    const shapes = await untilUp(
      `target database ${addressOf(url)}`,
      () => readTargetShapes(pool, projections),
      options,
    );
    await untilUp(`Kafka ${kafka.brokers}`, () => kafka.fetchClusterId(), options);
    await untilUp('the connector, which creates the topics', () => assertTopics(kafka, config, projections), options);
    // What stops one of them for a person ends the process: the others finish what they have at hand.
    const stopping = new AbortController();
    const running = projections.map(async (projection) => {
      const applier: Applier = { projection, tenants, shapes, decoder: createChangeDecoder(projection, registry) };
      await runProjection(config, kafka, pool, applier, statuses.get(projection.name)!, {
        log: log.child({ projection: projection.name }),
        signal: AbortSignal.any([signal, stopping.signal]),
      });
    });
    for (const each of running) each.catch((error: unknown) => stopping.abort(error));
    await Promise.allSettled(running);
    await Promise.all(running);
  } finally {
    registry.close();
    await pool.end();
  }
}

async function assertTopics(kafka: Kafka, config: Config, projections: readonly Projection[]): Promise<void> {
  const topics = [positionTopicOf(config), ...projections.map((projection) => topicOf(config, projection.source))];
  const found = await kafka.fetchOffsets(topics);
  const missing = topics.filter((topic) => !found.has(topic));
  if (missing.length > 0)
    throw new CrosswalkError('server_down', `topic ${missing[0]} does not exist yet`, 'Start the connector.');
}

/** One projection: joins its group, and joins again after any failure that waiting may heal. */
async function runProjection(
  config: Config,
  kafka: Kafka,
  pool: pg.Pool,
  applier: Applier,
  status: ProjectionStatus,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  const { projection } = applier;
  const topic = topicOf(config, projection.source);
  while (!signal.aborted) {
    const session = new AbortController();
    const stop = () => session.abort(new Error('stopped'));
    signal.addEventListener('abort', stop, { once: true });
    const inWork = new Set<Promise<unknown>>();
    let consumer: Awaited<ReturnType<Kafka['createGroupConsumer']>> | null = null;
    let parked: ReturnType<typeof createParkedRetry> | null = null;
    try {
      await assertWhole(kafka, pool, projection, topic);
      const expected = new Map<number, bigint>();
      parked = createParkedRetry({
        tables: config.tables,
        readPosition: () => readPosition(kafka, config),
        pool,
        applier,
        status,
        log,
        onFailure: (error) => session.abort(error),
      });
      const retry = parked;
      const gatherer = createGatherer({
        lanes: CONCURRENCY,
        rows: config.batchRows,
        apply: async (slices) => observe(status, log, await applySlices(pool, applier, slices), () => retry.wake()),
      });
      consumer = await kafka.createGroupConsumer({
        groupId: `${config.topicPrefix}.crosswalk.${projection.name}`,
        topics: [topic],
        concurrency: PARTITIONS_AT_ONCE,
        sessionTimeoutMs: config.sessionTimeoutMs,
        onAssigned: (partitions) => {
          expected.clear();
          status.partitions = partitions[topic] ?? [];
          log.info({ partitions: status.partitions.length }, 'partitions assigned');
        },
        startOffset: async (_, partition) => {
          const next = await readNextOffset(pool, { projection: projection.name, topic, partition });
          expected.set(partition, next);
          return next;
        },
        onBatch: async (batch) => {
          const work = applyBatch(
            { pool, applier, status, batchRows: config.batchRows, log, gatherer },
            { projection: projection.name, topic, partition: batch.partition },
            batch,
            expected,
          );
          inWork.add(work);
          try {
            return await work;
          } catch (thrown) {
            session.abort(thrown);
            throw thrown;
          } finally {
            inWork.delete(work);
          }
        },
        onCrash: (error) => session.abort(error),
      });
      status.state = 'running';
      if (!session.signal.aborted)
        await new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve(), { once: true }));
      if (!signal.aborted) throw session.signal.reason;
    } catch (thrown) {
      if (signal.aborted) break;
      const error = toCrosswalkError(thrown, `projection ${projection.name}`);
      if (!error.retry) throw error;
      log.warn({ code: error.code, err: error.code === 'unexpected' ? thrown : undefined }, error.message);
      await pause(500, signal);
    } finally {
      signal.removeEventListener('abort', stop);
      status.state = 'starting';
      status.partitions = [];
      // The batch at hand is finished before the group is left.
      await Promise.allSettled(inWork);
      await parked?.close();
      await consumer?.close().catch(() => undefined);
    }
  }
  status.state = 'stopped';
}

/** Throws `log_gap` where the log no longer holds what a projection has not applied yet. */
async function assertWhole(kafka: Kafka, pool: pg.Pool, projection: Projection, topic: string): Promise<void> {
  const partitions = (await kafka.fetchOffsets([topic])).get(topic)?.length ?? 0;
  await ensureOffsets(pool, projection.name, topic, partitions);
  const nexts: bigint[] = [];
  for (let partition = 0; partition < partitions; partition++)
    nexts.push(await readNextOffset(pool, { projection: projection.name, topic, partition }));
  const ends = (await kafka.fetchSettledOffsets(new Map([[topic, nexts]]))).get(topic) ?? [];
  for (const [partition, end] of ends.entries()) {
    const next = nexts[partition] ?? 0n;
    if (end.low > next || next > end.high) {
      throw new CrosswalkError(
        'log_gap',
        `${topic}/${partition} holds offsets ${end.low} to ${end.high}, projection ${projection.name} goes on at ${next}`,
        end.low > next
          ? 'The log was cut: restore the topic, or rebuild from a new snapshot.'
          : 'The topic was re-created, or the target database is newer than Kafka: docs/operations.md, "Restoring".',
      );
    }
  }
}

interface BatchWork {
  readonly pool: pg.Pool;
  readonly applier: Applier;
  readonly status: ProjectionStatus;
  readonly batchRows: number;
  readonly log: Log;
  readonly gatherer: Gatherer;
}

/** The flow: decode, then map → lock, fold → write → offset in one transaction, together with what the other partitions bring. Answers with the offset to go on from, or null. */
async function applyBatch(
  work: BatchWork,
  of: PartitionOf,
  batch: { records: readonly InRecord[]; beat: () => Promise<void>; isStale: () => boolean },
  expected: Map<number, bigint>,
): Promise<bigint | null> {
  const { status } = work;
  const start = expected.get(of.partition) ?? (await readNextOffset(work.pool, of));
  const records = batch.records.filter((record) => record.offset >= start);
  let from = start;
  for (let at = 0; at < records.length; at += work.batchRows) {
    if (batch.isStale()) return from;
    const slice = records.slice(at, at + work.batchRows);
    const next = slice.at(-1)!.offset + 1n;
    try {
      const changes = await work.applier.decoder.decode(of.topic, of.partition, slice);
      await work.gatherer.apply({ ...of, changes, expected: from, next });
      status.lastCommittedAt = changes.at(-1)?.lineage.committedAt ?? status.lastCommittedAt;
    } catch (error) {
      if (!(error instanceof CrosswalkError) || error.code !== 'stale_consumer') throw error;
      work.log.info({ partition: of.partition }, 'another projector has moved this partition: going on from there');
      from = await readNextOffset(work.pool, of);
      expected.set(of.partition, from);
      return from;
    }
    from = next;
    expected.set(of.partition, next);
    status.records += slice.length;
    status.batches += 1;
    status.lastProgressMs = performance.now();
    await batch.beat();
  }
  return null;
}

function observe(status: ProjectionStatus, log: Log, outcome: SliceOutcome, onParked: () => void): void {
  status.applied += outcome.applied.length;
  status.parked += outcome.parked;
  status.deadLetters += outcome.defects.length;
  if (outcome.parked > 0) onParked();
  if (outcome.defects.length > 0) {
    const { reason } = outcome.defects[0]!;
    log.error({ defects: outcome.defects.length, reason }, 'dead letters written: see `crosswalk dlq list`');
  }
}
