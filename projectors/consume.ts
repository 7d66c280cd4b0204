import type pg from 'pg';
import { type Config, topicOf } from '../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import type { InRecord, Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { createPatience, pause } from '../runtime/retry.ts';
import { createGatherer, type Gatherer } from './gather.ts';
import { createParkedRetry, type ParkedRetry } from './parked.ts';
import type { Projection } from './projection.ts';
import { readPosition } from './read-position.ts';
import type { SourceChange } from './source-change.ts';
import type { ProjectionStatus } from './status.ts';
import { type Applier, applySlices, type SliceOutcome } from './write/apply-changes.ts';
import { ensureOffsets, type PartitionOf, readNextOffset } from './write/offsets.ts';

/** Transactions at a time, for one projection. */
export const CONCURRENCY = 3;
/** All partitions of a fetch are handed over at once: what they bring is applied together. */
const PARTITIONS_AT_ONCE = 100;

/** Where partitions end for now: nothing from there on is applied. */
export interface Ends {
  of(partition: number): bigint;
  /** Resolves once a partition ends behind this offset. */
  behind(partition: number, offset: bigint): Promise<void>;
}

/** How a projection consumes its topic: a rebuild and the live projectors differ in nothing else. */
export interface Consumption {
  readonly groupId: string;
  /** Its sessions decide where is written. */
  readonly pool: pg.Pool;
  readonly applier: Applier;
  readonly status: ProjectionStatus;
  /** Changes of one transaction, about. */
  readonly batchRows: number;
  /** How long Kafka may wait for new records. */
  readonly maxWaitMs?: number;
  readonly ends?: Ends;
  /** Called with changes before they are applied. */
  readonly onChanges?: (changes: readonly SourceChange[]) => Promise<void>;
  /** Called with what tries parked changes again, of each session with the brokers. */
  readonly onParkedRetry?: (retry: ParkedRetry) => void;
}

/** Consumes until the signal is raised: joins the group, and joins again after any failure that waiting may heal. Throws a CrosswalkError that a person must act on. */
export async function consume(
  config: Config,
  kafka: Kafka,
  consumption: Consumption,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { log, signal } = options;
  const { pool, applier, status } = consumption;
  const { projection } = applier;
  const topic = topicOf(config, projection.source);
  const patience = createPatience();
  while (!signal.aborted) {
    const session = new AbortController();
    const stop = () => session.abort(new Error('stopped'));
    signal.addEventListener('abort', stop, { once: true });
    const inWork = new Set<Promise<unknown>>();
    let consumer: Awaited<ReturnType<Kafka['createGroupConsumer']>> | null = null;
    let parked: ParkedRetry | null = null;
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
      consumption.onParkedRetry?.(retry);
      const gatherer = createGatherer({
        lanes: CONCURRENCY,
        rows: consumption.batchRows,
        apply: async (slices) => observe(status, log, await applySlices(pool, applier, slices), () => retry.wake()),
      });
      consumer = await kafka.createGroupConsumer({
        groupId: consumption.groupId,
        topics: [topic],
        concurrency: PARTITIONS_AT_ONCE,
        sessionTimeoutMs: config.sessionTimeoutMs,
        ...(consumption.maxWaitMs === undefined ? {} : { maxWaitMs: consumption.maxWaitMs }),
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
            { ...consumption, log, gatherer },
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
      const end = patience.failed(error, String(status.records), `${status.records} records of ${topic}`);
      if (end !== null) throw end;
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

interface BatchWork extends Consumption {
  readonly log: Log;
  readonly gatherer: Gatherer;
}

/** The flow: decode, then map → lock, fold → write → offset in one transaction, together with what the other partitions bring. Answers with the offset to go on from, or null. */
async function applyBatch(
  work: BatchWork,
  of: PartitionOf,
  batch: { records: readonly InRecord[]; beat: () => Promise<void>; isStale: () => boolean; pause: () => () => void },
  expected: Map<number, bigint>,
): Promise<bigint | null> {
  const { status, ends } = work;
  const start = expected.get(of.partition) ?? (await readNextOffset(work.pool, of));
  const end = ends?.of(of.partition);
  const records = batch.records.filter(({ offset }) => offset >= start && (end === undefined || offset < end));
  let from = start;
  for (let at = 0; at < records.length; at += work.batchRows) {
    if (batch.isStale()) return from;
    const slice = records.slice(at, at + work.batchRows);
    const next = slice.at(-1)!.offset + 1n;
    try {
      const changes = await work.applier.decoder.decode(of.topic, of.partition, slice);
      await work.onChanges?.(changes);
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
  if (end === undefined || batch.records.at(-1)!.offset < end) return null;
  // The partition rests until there is more for it, and the others go on.
  void ends!.behind(of.partition, from).then(batch.pause());
  return from;
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
