import type { Machine } from './machine.ts';
import type { QueriesMeasured } from './queries/measure-queries.ts';
import type { Distribution } from './statistics.ts';
import type { Summary } from './summary.ts';
import type { Judged } from './targets.ts';

/** What is measured, by name. `flat…` copies one table to the same table, as the peer does; the others fan out to eight. */
export const legNames = [
  'backfill',
  'source',
  'projector',
  'catchup',
  'limit',
  'verify',
  'flatBackfill',
  'flatCatchup',
  'peerSnapshot',
  'peerSource',
  'peerCatchup',
] as const;
export type LegName = (typeof legNames)[number];

/** Processes whose use is measured. `peer`: the one worker of both of the peer's connectors; `verify`: this process, which verifies. */
export type ProcessName = 'connect' | 'project' | 'verify' | 'peer' | 'kafka' | 'postgres';

/** A figure for each process that took part. */
export type ByProcess = Readonly<Partial<Record<ProcessName, number>>>;

/** One measured stretch of work. */
export interface Throughput {
  readonly rows: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** From the start of the processes to the first event in the log, or, where the log was full, to the first commit in the target. */
  readonly startupSeconds?: number;
  /** Within the measured time. */
  readonly cpuSeconds: ByProcess;
  /** CPU seconds for a million rows. */
  readonly cpuPerMillion: ByProcess;
  /** Greatest resident size, MiB: of connector, projector and peer since their start, of Kafka since the leg began. */
  readonly peakMiB: ByProcess;
  /** Rows of the new schema that came of them. */
  readonly newRows?: number;
}

/** Whose latency: the peer is measured as it is set for throughput, and as it is set for latency. */
export const latencyNames = ['crosswalk', 'peer', 'peerForLatency'] as const;
export type LatencyName = (typeof latencyNames)[number];

export interface Latency {
  readonly ratePerSecond: number;
  readonly achievedPerSecond: number;
  readonly seconds: number;
  /** Source commit to target commit, milliseconds. */
  readonly commitToVisibleMs: Distribution;
  readonly insertsMs: Distribution;
  readonly updatesMs: Distribution;
  /** From the start of the processes to the event of the only commit that waited for them; none for the peer. */
  readonly startupSeconds?: number;
  readonly cpuSeconds: ByProcess;
  readonly peakMiB: ByProcess;
}

/** A backfill of another size. `shape`: rows as everywhere else, all of them quotes of one customer, or of other numbers of tenants. */
export interface GrowthPoint {
  readonly shape: 'as usual' | 'one customer' | 'one tenant' | '1,000 tenants';
  readonly rows: number;
  /** Null: not over when its time was. */
  readonly measured: Throughput | null;
  /** Rows that were applied when its time was over. */
  readonly applied: number;
}

/** The projector's leg with several processes. */
export interface ScalePoint {
  readonly partitions: number;
  readonly processes: number;
  readonly measured: Throughput;
}

/** Milliseconds from hop to hop of single commits, by name of the hop, in their order; there where processes stamp times (CROSSWALK_TRACE=1). */
export type Hops = Readonly<Record<string, Distribution>>;

/** What one run found. Legs that were not asked for are missing; each has one entry for each repetition. */
export interface Results {
  readonly at: string;
  /** What was typed. */
  readonly command: string;
  readonly machine: Machine & { readonly postgres: string; readonly kafka: string; readonly peer?: string };
  readonly sizes: { readonly rows: number; readonly changes: number; readonly seconds: number };
  /** True where profilers ran beside: such figures say where time goes, not how much. */
  readonly isProfiled: boolean;
  readonly legs: Partial<Record<LegName, Throughput[]>>;
  readonly latency: Partial<Record<LatencyName, Latency[]>>;
  readonly growth: GrowthPoint[];
  /** Results of before have none. */
  readonly scale?: ScalePoint[];
  /** The application's queries, in a run that was asked for them. */
  queries?: QueriesMeasured;
  hops?: Hops;
  /** Why legs of the peer are missing. Those of crosswalk end the run. */
  readonly failures: string[];
  /** Derived of the above, for readers of the file: least, middle and greatest of the repetitions, and the wanted figures. */
  summary?: Summary;
  targets?: readonly Judged[];
}
