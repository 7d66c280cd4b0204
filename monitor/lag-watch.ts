import type { Position } from '../connectors/position.ts';
import { readPosition } from '../projectors/read-position.ts';
import type { ProjectionStatus } from '../projectors/status.ts';
import { type Config, topicOf } from '../runtime/config.ts';
import { createKafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf } from '../runtime/postgres.ts';
import { type Reading, readWithin } from '../runtime/reading.ts';
import { type PartitionLag, sharpenLags, toPartitionLags } from './lag.ts';
import { type ProjectorsState, readProjectors } from './pipeline-queries.ts';
import type { Watched } from './pipeline-state.ts';

const EVERY_MS = 5000;

/**
 * Tells a projector process every five seconds how far its projections are behind, so that health checks can distinguish an idle projection from a stalled one. It
 * has its own connections, so a stall of the flow does not affect it. While a server is down nothing counts as a stall: a restart would not help.
 */
export function createLagWatch(
  config: Config,
  watched: Watched,
  statuses: ReadonlyMap<string, ProjectionStatus>,
  options: {
    log: Log;
    everyMs?: number;
    /** Receives the result of each check except the first, which cannot distinguish a quiet partition from one that is far behind. */
    onLags?: (lags: readonly PartitionLag[], position: Position) => void;
  },
): { close(): void } {
  const kafka = createKafka(config.kafka(), options.log);
  const url = config.targetUrl();
  let earlier: { readonly micros: bigint; readonly lags: readonly PartitionLag[] } = { micros: 0n, lags: [] };
  let isLooking = false;

  async function look(): Promise<void> {
    const askedMs = performance.now();
    const log = await readWithin(EVERY_MS, `Kafka ${kafka.brokers}`, async () => ({
      position: await readPosition(kafka, config),
    }));
    const target = await readWithin(EVERY_MS, `target database ${addressOf(url)}`, async (signal) => ({
      projectors: await readProjectors(url, signal),
    }));
    for (const status of statuses.values()) noteAnswers(status, [log, target], askedMs);
    if (log.state !== 'up' || target.state !== 'up') return;
    const { position } = log;
    if (position === null) {
      for (const status of statuses.values()) status.behindSinceMs = null;
      return;
    }
    const { projectors } = target;
    const lags = watched.flatMap(({ name, source }) =>
      toPartitionLags(name, topicOf(config, source), position, projectors.offsets),
    );
    const sharp = sharpenLags(earlier.lags, lags, position.sourceMicros - earlier.micros);
    if (earlier.lags.length > 0) options.onLags?.(sharp, position);
    earlier = { micros: position.sourceMicros, lags };
    for (const { name } of watched) {
      const status = statuses.get(name);
      if (status !== undefined) noteLag(status, sharp, projectors, performance.now());
    }
  }

  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => {
      isLooking = false;
    });
  }, options.everyMs ?? EVERY_MS);
  return {
    close: () => clearInterval(timer),
  };
}

/** Records in the status of a projection which server, if any, did not respond: its lag is then unknown. `askedMs` is monotonic. */
export function noteAnswers(
  status: Pick<ProjectionStatus, 'unreachable' | 'behindSinceMs'>,
  readings: readonly Reading<object>[],
  askedMs: number,
): void {
  const problems = readings.flatMap((reading) => (reading.state === 'up' ? [] : [reading.problem]));
  status.unreachable = problems.length === 0 ? null : { problem: problems.join('; '), askedMs };
  if (status.unreachable !== null) status.behindSinceMs = null;
}

/** Records the result in the status of a projection: the lags of its assigned partitions. `nowMs` is monotonic. */
export function noteLag(
  status: ProjectionStatus,
  lags: readonly PartitionLag[],
  projectors: ProjectorsState,
  nowMs: number,
): void {
  const behind = lags.filter(
    ({ projection, partition, lagOffsets }) =>
      projection === status.name && status.partitions.includes(partition) && lagOffsets > 0n,
  );
  status.behindSinceMs = behind.length === 0 ? null : (status.behindSinceMs ?? nowMs);
  const sinceSeconds = (nowMs - (status.behindSinceMs ?? nowMs)) / 1000;
  status.lagOffsets = Number(behind.reduce((sum, lag) => sum + lag.lagOffsets, 0n));
  status.lagSeconds = Math.max(0, ...behind.map(({ lagSeconds }) => lagSeconds ?? sinceSeconds));
  const counts = projectors.projections[status.name];
  status.parkedNow = counts?.parked ?? 0;
  status.parkedSeconds = counts?.parkedSeconds ?? 0;
  status.deadLettersOpen = counts?.deadLetters ?? 0;
}
