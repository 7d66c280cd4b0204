import type pg from 'pg';
import { type Config, topicOf } from '../runtime/config.ts';
import { toCrosswalkError } from '../runtime/errors.ts';
import { type HopTrace, msSince } from '../runtime/hop-trace.ts';
import type { InRecord, Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { createPatience, pause } from '../runtime/retry.ts';
import { type CatchUp, createCatchUp } from './catch-up.ts';
import type { ChangeDecoder } from './decode.ts';
import {
  assertWhole,
  CONCURRENCY,
  createFeedMember,
  type FeedMember,
  type FeedSlice,
  type Member,
} from './feed-member.ts';
import { createParkedRetry, type ParkedRetry } from './parked.ts';
import { readPosition } from './read-position.ts';
import { createRowBudget, type RowBudget } from './row-budget.ts';
import type { SourceChange } from './source-change.ts';
import { attribute, stoppedBy } from './stopped-by.ts';

/** Hands over all partitions of a fetch together, so that one transaction can apply them. */
const PARTITIONS_AT_ONCE = 100;
/** Transactions whose rows may be decoded at the same time: those that run, and one more. */
const LANES_AHEAD = CONCURRENCY + 1;
/** How much longer than the fastest member a member may take for a slice. After that, the others continue without it and it catches up. */
const PATIENCE_MS = 10_000;

/** Current ends of partitions: no record from its end on is applied. */
export interface Ends {
  of(partition: number): bigint;
  /** Resolves once the end of a partition is beyond this offset. */
  behind(partition: number, offset: bigint): Promise<void>;
}

/**
 * Consumption of the topic of a source: its records are fetched and decoded once, and all projections of the source apply them, each with its own offsets. This is all
 * that differs between a rebuild and the live projectors.
 */
export interface Feed {
  readonly groupId: string;
  /** Legacy table of all members. */
  readonly source: string;
  readonly members: readonly Member[];
  readonly decoder: ChangeDecoder;
  /** Its sessions decide which schema is written. */
  readonly pool: pg.Pool;
  /** Approximate number of changes in one transaction. */
  readonly batchRows: number;
  /** How long Kafka may wait for new records. */
  readonly maxWaitMs?: number;
  /** Only for a feed of one member. */
  readonly ends?: Ends;
  /** Called with changes before they are applied. */
  readonly onChanges?: (changes: readonly SourceChange[]) => Promise<void>;
  /** Called for each member, in each session with the brokers, with the retry of its parked changes. */
  readonly onParkedRetry?: (retry: ParkedRetry) => void;
}

/**
 * Consumes until the signal is aborted. Joins the group, and joins again after any failure that may pass. Throws a CrosswalkError that needs an operator; `stoppedBy`
 * returns the projection that threw it.
 */
export async function consume(
  config: Config,
  kafka: Kafka,
  feed: Feed,
  options: { log: Log; signal: AbortSignal; trace?: HopTrace | null },
): Promise<void> {
  const { log, signal, trace = null } = options;
  const { pool, members } = feed;
  const topic = topicOf(config, feed.source);
  const statuses = members.map(({ status }) => status);
  const setState = (state: 'starting' | 'running' | 'stopped') => {
    for (const status of statuses) status.state = state;
  };
  const patience = createPatience();
  while (!signal.aborted) {
    const session = new AbortController();
    const stop = () => session.abort(new Error('stopped'));
    signal.addEventListener('abort', stop, { once: true });
    const inWork = new Set<Promise<unknown>>();
    let consumer: Awaited<ReturnType<Kafka['createGroupConsumer']>> | null = null;
    let catchUp: CatchUp | null = null;
    const retries: ParkedRetry[] = [];
    try {
      await Promise.all(
        members.map(({ applier: { projection } }) =>
          ofMember(projection.name, () => assertWhole(kafka, pool, projection.name, topic)),
        ),
      );
      const running = members.map(({ applier, status }) => {
        const retry = createParkedRetry({
          tables: config.tables,
          readPosition: () => readPosition(kafka, config),
          ...{ pool, applier, status, log },
          onFailure: (error) => session.abort(error),
        });
        retries.push(retry);
        feed.onParkedRetry?.(retry);
        const { batchRows } = feed;
        return createFeedMember(
          { applier, status },
          { topic, pool, batchRows, log, trace, onParked: () => retry.wake() },
        );
      });
      const work = { feed, topic, trace, budget: createRowBudget(LANES_AHEAD * feed.batchRows) };
      const joining = createCatchUp({
        ...{ kafka, topic, members: running },
        apply: async (member, partition, records, from) =>
          (await applyTo(work, [member], partition, records, { from })).outcome === 'applied',
        onFailure: (error) => session.abort(error),
      });
      catchUp = joining;
      consumer = await kafka.createGroupConsumer({
        groupId: feed.groupId,
        topics: [topic],
        concurrency: PARTITIONS_AT_ONCE,
        sessionTimeoutMs: config.sessionTimeoutMs,
        ...(feed.maxWaitMs === undefined ? {} : { maxWaitMs: feed.maxWaitMs }),
        onAssigned: (partitions) => {
          joining.reset();
          for (const member of running) member.forget();
          for (const status of statuses) status.partitions = partitions[topic] ?? [];
          log.info({ partitions: partitions[topic]?.length ?? 0 }, 'partitions assigned');
        },
        startOffset: (_, partition) => joining.begin(partition),
        onBatch: async (batch) => {
          const working = applyBatch(work, joining, batch);
          inWork.add(working);
          try {
            return await working;
          } catch (thrown) {
            session.abort(thrown);
            throw thrown;
          } finally {
            inWork.delete(working);
          }
        },
        onCrash: (error) => session.abort(error),
      });
      setState('running');
      if (!session.signal.aborted)
        await new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve(), { once: true }));
      if (!signal.aborted) throw session.signal.reason;
    } catch (thrown) {
      if (signal.aborted) break;
      const of = stoppedBy(thrown) ?? (members.length === 1 ? members[0]!.applier.projection.name : null);
      const error = toCrosswalkError(thrown, of === null ? `the projections of ${feed.source}` : `projection ${of}`);
      const done = statuses.reduce((sum, { records }) => sum + records, 0);
      const end = patience.failed(error, String(done), `${done} records of ${topic}`);
      if (end !== null) throw attribute(end, of);
      log.warn({ code: error.code, err: error.code === 'unexpected' ? thrown : undefined }, error.message);
      await pause(500, signal);
    } finally {
      signal.removeEventListener('abort', stop);
      setState('starting');
      for (const status of statuses) status.partitions = [];
      // Finishes the current batch before it leaves the group.
      await catchUp?.stop();
      await Promise.allSettled(inWork);
      await Promise.all(retries.map((retry) => retry.close()));
      await consumer?.close().catch(() => undefined);
    }
  }
  setState('stopped');
}

async function ofMember<T>(projection: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw attribute(error, projection);
  }
}

interface Work {
  readonly feed: Feed;
  readonly topic: string;
  readonly trace: HopTrace | null;
  readonly budget: RowBudget;
}

interface Batch {
  readonly partition: number;
  readonly records: readonly InRecord[];
  readonly beat: () => Promise<void>;
  readonly isStale: () => boolean;
  readonly pause: () => () => void;
}

/** Applies a batch to the members that have joined. Returns the offset to continue from, or null to continue after the batch. */
async function applyBatch(work: Work, catchUp: CatchUp, batch: Batch): Promise<bigint | null> {
  const { partition } = batch;
  const { ends } = work.feed;
  const end = ends?.of(partition);
  const { outcome, reached } = await catchUp.advance(partition, (members, start) => {
    const records = batch.records.filter(({ offset }) => offset >= start && (end === undefined || offset < end));
    const leave = (member: FeedMember, pending: Promise<boolean>) => catchUp.leave(member, partition, pending);
    return applyTo(work, members, partition, records, { from: start, batch, leave });
  });
  if (outcome === 'moved') return await catchUp.begin(partition);
  if (outcome === 'stale') return reached;
  if (end === undefined || batch.records.at(-1)!.offset < end) return null;
  // The partition is paused until its end moves; the others continue.
  void ends!.behind(partition, reached).then(batch.pause());
  return reached;
}

/** `applied`: all records. `stale`: stopped at a rebalance; another process may own the partition now. `moved`: another projector has moved the partition. */
type Outcome = 'applied' | 'stale' | 'moved';

/** Decodes once. Then each member maps, locks and folds, writes, and moves its offset in one transaction, which may include slices of other partitions. */
async function applyTo(
  work: Work,
  members: readonly FeedMember[],
  partition: number,
  records: readonly InRecord[],
  options: {
    readonly from: bigint;
    readonly batch?: Batch;
    readonly leave?: Leave;
  },
): Promise<{ readonly outcome: Outcome; readonly reached: bigint }> {
  const { feed, budget } = work;
  const { batch } = options;
  const fetchedMs = performance.now();
  let reached = options.from;
  let left = members;
  for (let at = 0; at < records.length; at += feed.batchRows) {
    if (batch?.isStale()) return { outcome: 'stale', reached };
    const some = records.slice(at, at + feed.batchRows);
    const next = some.at(-1)!.offset + 1n;
    const giveBack = await budget.take(some.length);
    try {
      left = await applySlice(work, left, partition, { records: some, from: reached, next, fetchedMs }, options);
    } finally {
      giveBack();
    }
    if (left.length === 0) return { outcome: 'moved', reached };
    reached = next;
    await batch?.beat();
  }
  return { outcome: 'applied', reached };
}

/** Called with a member that takes too long: the others continue without it. */
type Leave = (member: FeedMember, pending: Promise<boolean>) => void;

/** Decodes a slice and lets each member apply it. Returns the members that continue; none if the partition was taken over. */
async function applySlice(
  { feed, topic, trace }: Work,
  members: readonly FeedMember[],
  partition: number,
  { records, ...slice }: Pick<FeedSlice, 'from' | 'next' | 'fetchedMs'> & { readonly records: readonly InRecord[] },
  { batch, leave }: { readonly batch?: Batch; readonly leave?: Leave },
): Promise<readonly FeedMember[]> {
  const changes = await feed.decoder.decode(topic, partition, records);
  if (trace !== null && batch !== undefined)
    for (const { lineage } of changes) trace.add('commit in the source to fetched', msSince(lineage.committedAt));
  await feed.onChanges?.(changes);
  const applied = members.map((member) => ({
    member,
    pending: ofMember(member.name, () => member.apply({ ...slice, partition, changes, records: records.length })),
  }));
  const slow = new Set(leave === undefined ? [] : await findSlow(applied));
  for (const { member, pending } of slow) leave!(member, pending);
  const others = applied.filter((each) => !slow.has(each));
  const pending = others.map((each) => each.pending);
  // Wait for all of them before any failure counts.
  await Promise.allSettled(pending);
  const areOurs = await Promise.all(pending);
  return areOurs.includes(false) ? [] : others.map(({ member }) => member);
}

/** Waits until all have ended, or until `PATIENCE_MS` after the first has. Returns those still pending. */
async function findSlow<T extends { readonly pending: Promise<unknown> }>(all: readonly T[]): Promise<T[]> {
  if (all.length < 2) return [];
  const open = new Set(all);
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    for (const each of all) {
      const onEnd = () => {
        open.delete(each);
        if (open.size === 0) resolve();
        timer ??= setTimeout(resolve, PATIENCE_MS);
      };
      each.pending.then(onEnd, onEnd);
    }
  });
  clearTimeout(timer);
  return [...open];
}
