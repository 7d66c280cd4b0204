import type { ConnectorStatus } from '../connectors/status.ts';
import type { ProjectionStatus } from '../projectors/status.ts';
import type { VerifyStatus } from '../projectors/verify/status.ts';
import type { Config } from '../runtime/config.ts';

/**
 * healthy: takes part, and is up to date. lagging: takes part, behind by more than the warning threshold. blocked: takes part, but changes wait for a
 * dependency that does not arrive. stalled: has work but makes no progress, a restart may help. waiting: for a server, or its turn. stopped: is ending.
 */
export type Sign = 'healthy' | 'lagging' | 'blocked' | 'stalled' | 'waiting' | 'stopped';

/** The response of a process to health checks. `live` false: restart it. `ready` false: it does not take part now. */
export interface Health {
  readonly live: boolean;
  readonly ready: boolean;
  readonly sign: Sign;
  readonly reason: string;
}

/** Even a slow broker responds within this time. */
const BLOCKED_AFTER_MS = 5000;

type Thresholds = Pick<Config, 'heartbeatMs' | 'lagWarningSeconds' | 'stallSeconds'>;

/** No progress for this long, with work at hand, is a stall: longer than any batch, any pause of a broker, or a few heartbeats. */
export function stallAfterMs({ heartbeatMs, stallSeconds }: Pick<Config, 'heartbeatMs' | 'stallSeconds'>): number {
  return Math.max(stallSeconds * 1000, 10 * heartbeatMs);
}

/**
 * Health of a connector. Heartbeats advance the position even of an idle source, so a streaming connector that writes no position is stalled.
 * `nowMs` is monotonic, `wallMicros` microseconds since 1970.
 */
export function connectorHealth(
  status: Pick<ConnectorStatus, 'state' | 'lastProgressMs' | 'sourceMicros'> &
    Partial<Pick<ConnectorStatus, 'sendingSinceMs' | 'lastHeardMs'>>,
  config: Thresholds,
  nowMs: number = performance.now(),
  wallMicros: bigint = BigInt(Date.now()) * 1000n,
): Health {
  switch (status.state) {
    case 'starting':
      return waiting('starting, or waiting for a server: the log says which');
    case 'standing by':
      return waiting('standing by: another connector has the slot');
    case 'stopped':
      return stopped;
    case 'streaming': {
      // A server that responds may have to read or skip a lot before it sends anything: a restart would make it begin again.
      const idleMs = nowMs - Math.max(status.lastProgressMs, status.lastHeardMs ?? 0);
      if (idleMs > stallAfterMs(config)) return stalled(`no position written for ${Math.round(idleMs / 1000)} s`);
      const sendingMs = status.sendingSinceMs == null ? 0 : nowMs - status.sendingSinceMs;
      if (sendingMs > BLOCKED_AFTER_MS)
        return takingPart('blocked', `Kafka has not answered for ${Math.round(sendingMs / 1000)} s`);
      const lagSeconds = status.sourceMicros === 0n ? 0 : Number(wallMicros - status.sourceMicros) / 1e6;
      return lagSeconds > config.lagWarningSeconds
        ? takingPart('lagging', `${Math.round(lagSeconds)} s behind the legacy database`)
        : takingPart('healthy', 'streaming');
    }
  }
}

/** Health of one projection in a projector process. `nowMs` is monotonic. */
export function projectionHealth(
  status: Pick<
    ProjectionStatus,
    'name' | 'state' | 'lastProgressMs' | 'unreachable' | 'behindSinceMs' | 'lagSeconds' | 'parkedSeconds'
  >,
  config: Thresholds,
  nowMs: number = performance.now(),
): Health {
  if (status.state === 'stopped') return stopped;
  if (status.state === 'starting')
    return waiting(
      status.unreachable?.problem ?? `${status.name}: starting, or waiting for a server: the log says which`,
    );
  // The lag watch has its own connections: while batches are applied, its failures do not matter.
  if (status.unreachable !== null && status.lastProgressMs < status.unreachable.askedMs)
    return waiting(status.unreachable.problem);
  if (status.behindSinceMs !== null) {
    const idleMs = nowMs - Math.max(status.behindSinceMs, status.lastProgressMs);
    if (idleMs > stallAfterMs(config))
      return stalled(`${status.name}: behind, and nothing applied for ${Math.round(idleMs / 1000)} s`);
  }
  if (status.lagSeconds > config.lagWarningSeconds)
    return takingPart('lagging', `${status.name}: ${Math.round(status.lagSeconds)} s behind`);
  if (status.parkedSeconds > config.lagWarningSeconds)
    return takingPart('blocked', `${status.name}: a change is parked for ${Math.round(status.parkedSeconds)} s`);
  return takingPart('healthy', `${status.name}: running`);
}

/** Health of a continuous verification. While the pipeline does not apply commits there is nothing to compare, and a restart would not help. `nowMs` is monotonic. */
export function verifyHealth(
  status: Pick<VerifyStatus, 'state' | 'lastProgressMs' | 'waitingSinceMs' | 'tables'>,
  config: Thresholds,
  nowMs: number = performance.now(),
): Health {
  if (status.state === 'stopped') return stopped;
  if (status.state === 'starting') return waiting('starting, or waiting for a server: the log says which');
  if (status.waitingSinceMs !== null && nowMs - status.waitingSinceMs > BLOCKED_AFTER_MS)
    return waiting(
      `the pipeline has not applied for ${Math.round((nowMs - status.waitingSinceMs) / 1000)} s what was committed then`,
    );
  const idleMs = nowMs - status.lastProgressMs;
  if (status.state === 'comparing' && idleMs > stallAfterMs(config))
    return stalled(`nothing compared for ${Math.round(idleMs / 1000)} s`);
  const wrong = status.tables.filter(({ differences }) => differences > 0).map(({ table }) => table);
  return takingPart('healthy', wrong.length === 0 ? status.state : `differences in ${wrong.join(', ')}`);
}

const bySeverity: readonly Sign[] = ['stalled', 'waiting', 'blocked', 'lagging', 'stopped', 'healthy'];

/** Health of a projector process: live while each of its projections is, ready when all are; the worst state is reported. */
export function projectorHealth(
  statuses: readonly Parameters<typeof projectionHealth>[0][],
  config: Thresholds,
  nowMs: number = performance.now(),
): Health {
  const all = statuses.map((status) => projectionHealth(status, config, nowMs));
  const sign = bySeverity.find((candidate) => all.some((health) => health.sign === candidate)) ?? 'waiting';
  const worst = all.filter((health) => health.sign === sign);
  return {
    live: all.every((health) => health.live),
    ready: all.length > 0 && all.every((health) => health.ready),
    sign,
    reason:
      sign === 'healthy'
        ? 'running'
        : [...new Set(worst.map((health) => health.reason))].join('; ') || 'no projection has started',
  };
}

const stopped: Health = { live: true, ready: false, sign: 'stopped', reason: 'stopping' };
const waiting = (reason: string): Health => ({ live: true, ready: false, sign: 'waiting', reason });
const stalled = (reason: string): Health => ({ live: false, ready: false, sign: 'stalled', reason });
const takingPart = (sign: Sign, reason: string): Health => ({ live: true, ready: true, sign, reason });
