import {
  type ByProcess,
  type Latency,
  type LatencyName,
  type LegName,
  latencyNames,
  legNames,
  type ProcessName,
  type Results,
  type Throughput,
} from './results.ts';
import { type Range, toRange } from './statistics.ts';

/** A leg over its repetitions: rates as they spread, times and CPU in the middle, memory at its greatest. */
export interface LegSummary {
  readonly runs: number;
  readonly rowsPerSecond: Range;
  readonly seconds: number;
  readonly startupSeconds: number | null;
  readonly cpuPerMillion: ByProcess;
  readonly peakMiB: ByProcess;
}

/** Latency over its repetitions, milliseconds. */
export interface LatencySummary {
  readonly runs: number;
  readonly achievedPerSecond: number;
  /** Of one core, in percent: connector and projector, or the peer's worker. */
  readonly cpuPercent: number;
  readonly p50: Range;
  readonly p95: Range;
  readonly p99: Range;
  readonly max: number;
  readonly startupSeconds: number | null;
  readonly peakMiB: ByProcess;
}

/** All that was measured, over its repetitions. */
export interface Summary {
  readonly legs: Partial<Record<LegName, LegSummary>>;
  readonly latency: Partial<Record<LatencyName, LatencySummary>>;
}

/** Everything that the results hold, leg by leg. */
export function summarise(results: Results): Summary {
  return {
    legs: collect(legNames, (name) => summariseLeg(results, name)),
    latency: collect(latencyNames, (name) => summariseLatency(results, name)),
  };
}

function collect<N extends string, T>(names: readonly N[], find: (name: N) => T | null): Partial<Record<N, T>> {
  const found: Partial<Record<N, T>> = {};
  for (const name of names) {
    const value = find(name);
    if (value !== null) found[name] = value;
  }
  return found;
}

/** A leg of the results; null where it was not measured. */
export function summariseLeg({ legs }: Pick<Results, 'legs'>, name: LegName): LegSummary | null {
  const runs = legs[name] ?? [];
  if (runs.length === 0) return null;
  return {
    runs: runs.length,
    rowsPerSecond: toRange(runs.map(({ rowsPerSecond }) => rowsPerSecond)),
    seconds: middle(runs.map(({ seconds }) => seconds)),
    startupSeconds: middleStartup(runs),
    cpuPerMillion: byProcess(runs, ({ cpuPerMillion }) => cpuPerMillion, middle),
    peakMiB: byProcess(runs, ({ peakMiB }) => peakMiB, greatest),
  };
}

/** A latency of the results; null where it was not measured. */
export function summariseLatency({ latency }: Pick<Results, 'latency'>, name: LatencyName): LatencySummary | null {
  const runs = latency[name] ?? [];
  if (runs.length === 0) return null;
  const spreadOf = (of: 'p50' | 'p95' | 'p99') => toRange(runs.map(({ commitToVisibleMs }) => commitToVisibleMs[of]));
  return {
    runs: runs.length,
    achievedPerSecond: middle(runs.map(({ achievedPerSecond }) => achievedPerSecond)),
    cpuPercent: middle(runs.map(({ cpuSeconds, seconds }) => ((toOwnCpu(cpuSeconds) ?? 0) * 100) / seconds)),
    ...{ p50: spreadOf('p50'), p95: spreadOf('p95'), p99: spreadOf('p99') },
    max: greatest(runs.map(({ commitToVisibleMs }) => commitToVisibleMs.max)),
    startupSeconds: middleStartup(runs),
    peakMiB: byProcess(runs, ({ peakMiB }) => peakMiB, greatest),
  };
}

/** What the peer does that a leg is compared with; undefined: nothing. */
export function peerOf(name: LegName): LegName | undefined {
  const peers: Partial<Record<LegName, LegName>> = {
    ...{ backfill: 'peerSnapshot', flatBackfill: 'peerSnapshot', source: 'peerSource' },
    ...{ catchup: 'peerCatchup', flatCatchup: 'peerCatchup' },
  };
  return peers[name];
}

/** In less time a rate is that of a process which is just getting up to speed: it is shown and warned of, and compared with nothing. */
const SHORT_SECONDS = 1;

/** Whether a leg took too little time for a rate. */
export const isShort = ({ seconds }: LegSummary): boolean => seconds < SHORT_SECONDS;

/** The ratio of two legs' middle rates; null where one of them is missing or too short. */
export function ratioOf(results: Pick<Results, 'legs'>, name: LegName, to: LegName | undefined): number | null {
  const [leg, other] = [summariseLeg(results, name), to === undefined ? null : summariseLeg(results, to)];
  return leg === null || other === null || isShort(leg) || isShort(other)
    ? null
    : leg.rowsPerSecond.median / other.rowsPerSecond.median;
}

/** CPU of those that do the work, without the servers; of a verification that of the process that verifies, beside which the others rest. */
export function toOwnCpu({ connect, project, peer, verify }: ByProcess): number | null {
  if (verify !== undefined) return verify;
  const own = [connect, project, peer].flatMap((value) => value ?? []);
  return own.length === 0 ? null : own.reduce((sum, value) => sum + value, 0);
}

function middleStartup(runs: readonly { readonly startupSeconds?: number }[]): number | null {
  const startups = runs.flatMap(({ startupSeconds }) => startupSeconds ?? []);
  return startups.length === 0 ? null : middle(startups);
}

const middle = (values: readonly number[]) => toRange(values).median;
const greatest = (values: readonly number[]) => Math.max(...values);

function byProcess<T extends Throughput | Latency>(
  runs: readonly T[],
  pick: (run: T) => ByProcess,
  join: (values: readonly number[]) => number,
): ByProcess {
  const names = new Set(runs.flatMap((run) => Object.keys(pick(run)) as ProcessName[]));
  return Object.fromEntries([...names].map((name) => [name, join(runs.flatMap((run) => pick(run)[name] ?? []))]));
}
