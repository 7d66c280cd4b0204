import type pg from 'pg';
import { toLsnText } from '../../changes/lsn.ts';
import type { Position } from '../../connectors/position.ts';
import { type Config, topicOf } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import { pause } from '../../runtime/retry.ts';
import { mark } from '../mark.ts';
import type { Projection } from '../projection.ts';
import { followPosition } from '../read-position.ts';

/** Waits until all committed legacy changes are applied. All waiters share one follower of the connector's position. */
export interface Fence {
  /** Resolves once these projections have applied, parked or dead-lettered everything that is committed now. `legacy` writes the mark, and must not wait for a standby. Throws `not_reached`. */
  pass(legacy: pg.ClientBase, projections: readonly Projection[]): Promise<void>;
  /** Number of fences passed. */
  passed(): number;
  /** Start of the longest current wait, in monotonic milliseconds; null while there are no waiters. */
  waitingSinceMs(): number | null;
  close(): Promise<void>;
}

interface Waiter {
  readonly lsn: bigint;
  readonly projections: readonly Projection[];
  readonly sinceMs: number;
  readonly deadlineMs: number;
  goals: { projection: string; topic: string; partition: number; offset: string }[] | null;
  resolve(): void;
  reject(error: unknown): void;
}

const EVERY_MS = 5;
/** A follower without a new position for this long, and for ten heartbeats, is reopened: a connection may hang forever. */
const SILENT_MS = 15_000;

/** `target` is used while there are waiters. `timeoutMs` 0: no timeout. */
export function createFence(options: {
  config: Config;
  kafka: Kafka;
  target: pg.ClientBase;
  timeoutMs: number;
  signal: AbortSignal;
}): Fence {
  const { config, kafka, target, timeoutMs, signal } = options;
  let waiters: Waiter[] = [];
  let passed = 0;
  let isClosed = false;
  let followed: Awaited<ReturnType<typeof followPosition>> | null = null;
  let running: Promise<void> | null = null;
  let latest: Position | null = null;
  let changedAtMs = 0;

  async function follow(): Promise<Position | null> {
    if (followed !== null && performance.now() - changedAtMs > Math.max(SILENT_MS, 10 * config.heartbeatMs)) {
      void followed.close().catch(() => undefined);
      followed = null;
    }
    if (followed === null) {
      followed = await followPosition(kafka, config).catch((error: unknown) => {
        if (toCrosswalkError(error, `Kafka ${kafka.brokers}`).code === 'server_down') return null;
        throw error;
      });
      changedAtMs = performance.now();
    }
    const now = followed?.latest() ?? null;
    if (now !== latest) changedAtMs = performance.now();
    latest = now;
    return now;
  }

  /** Takes the goals from the first position at or past the waiter's LSN, once the initial load is done: before that, rows committed long ago may be missing in the log. */
  function setGoals(position: Position | null): void {
    if (position === null) return;
    for (const waiter of waiters) {
      if (waiter.goals !== null || position.lsn < waiter.lsn) continue;
      if (!waiter.projections.every(({ source }) => position.snapshot[source]?.done)) continue;
      waiter.goals = waiter.projections.flatMap(({ name, source }) => {
        const topic = topicOf(config, source);
        const offsets = position.offsets[topic] ?? [];
        return offsets.map((offset, partition) => ({ projection: name, topic, partition, offset }));
      });
    }
  }

  async function settle(): Promise<void> {
    const due = waiters.filter(({ goals }) => goals !== null);
    if (due.length === 0) return;
    const { rows } = await target.query<{ projection: string; topic: string; partition: string; next: string }>({
      name: 'crosswalk verify offsets',
      text: 'SELECT projection, topic, partition::text, next_offset::text AS next FROM consumer_offset',
    });
    const next = new Map(rows.map((row) => [`${row.projection} ${row.topic}/${row.partition}`, BigInt(row.next)]));
    for (const waiter of due) {
      const isReached = waiter.goals!.every(
        ({ projection, topic, partition, offset }) =>
          (next.get(`${projection} ${topic}/${partition}`) ?? 0n) >= BigInt(offset),
      );
      if (!isReached) continue;
      passed += 1;
      waiters = waiters.filter((other) => other !== waiter);
      waiter.resolve();
    }
  }

  function expire(): void {
    const now = performance.now();
    for (const waiter of waiters.filter(({ deadlineMs }) => deadlineMs < now)) {
      waiters = waiters.filter((other) => other !== waiter);
      const isInLog = waiter.goals !== null;
      waiter.reject(
        new CrosswalkError(
          isInLog ? 'not_reached.projectors' : 'not_reached.connector',
          `LSN ${toLsnText(waiter.lsn)} ${isInLog ? 'applied' : 'in the log'}: not reached within ${Math.round(timeoutMs / 1000)} s`,
        ),
      );
    }
  }

  async function run(): Promise<void> {
    while (waiters.length > 0 && !isClosed) {
      signal.throwIfAborted();
      setGoals(await follow());
      await settle();
      expire();
      if (waiters.length > 0) await pause(EVERY_MS, signal);
    }
  }

  /** Runs while there are waiters. An error rejects all of them. */
  function wake(): void {
    running ??= run()
      .catch((error: unknown) => {
        const left = waiters;
        waiters = [];
        for (const waiter of left) waiter.reject(error);
      })
      .finally(() => {
        running = null;
        if (waiters.length > 0 && !isClosed) wake();
      });
  }

  return {
    async pass(legacy, projections) {
      const lsn = await mark(legacy);
      // Closed while the mark was written: nothing would ever settle this waiter.
      if (isClosed) throw new Error('the fence is closed');
      await new Promise<void>((resolve, reject) => {
        const sinceMs = performance.now();
        const deadlineMs = timeoutMs === 0 ? Number.POSITIVE_INFINITY : sinceMs + timeoutMs;
        waiters.push({ lsn, projections, sinceMs, deadlineMs, goals: null, resolve, reject });
        wake();
      });
    },
    passed: () => passed,
    waitingSinceMs: () => waiters[0]?.sinceMs ?? null,
    async close() {
      isClosed = true;
      const left = waiters;
      waiters = [];
      for (const { reject } of left) reject(new Error('the fence is closed'));
      await running;
      // Leaving the reader's group takes a round trip; no need to wait for it.
      void followed?.close().catch(() => undefined);
    },
  };
}
