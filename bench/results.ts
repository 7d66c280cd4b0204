import type { Machine } from './machine.ts';
import type { Distribution } from './statistics.ts';

/** CPU seconds of each process within the measured time. */
export interface CpuSeconds {
  readonly connect?: number;
  readonly project?: number;
  readonly kafka?: number;
  readonly postgres?: number;
}

/** One measured stretch of work. */
export interface Throughput {
  readonly rows: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** From the start of the processes to the first event in the log, or, where the log was full, to the first commit in the target. */
  readonly startupSeconds: number;
  readonly cpuSeconds: CpuSeconds;
  /** CPU seconds of connector and projector per million rows. */
  readonly cpuPerMillion: number;
  /** Greatest resident size since the start of the process, MiB. */
  readonly peakMiB: { readonly connect?: number; readonly project?: number };
}

export interface Latency {
  readonly ratePerSecond: number;
  readonly achievedPerSecond: number;
  readonly seconds: number;
  /** Source commit to target commit, milliseconds. */
  readonly commitToVisibleMs: Distribution;
  readonly insertsMs: Distribution;
  readonly updatesMs: Distribution;
  readonly cpuSeconds: CpuSeconds;
  readonly peakMiB: { readonly connect?: number; readonly project?: number };
}

/** The same rows through one session of INSERT … SELECT. */
export interface Limit {
  readonly rows: number;
  readonly newRows: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
}

export interface Verified {
  readonly rows: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly isEqual: boolean;
}

/** What one run found. Steps that were not asked for are missing. */
export interface Results {
  readonly at: string;
  readonly machine: Machine & { readonly postgres: string; readonly kafka: string };
  readonly sizes: { readonly rows: number; readonly changes: number; readonly seconds: number };
  /** True where profilers ran beside: such figures say where time goes, not how much. */
  readonly isProfiled: boolean;
  backfill?: Throughput & { readonly newRows: number };
  source?: Throughput;
  projector?: Throughput;
  catchup?: Throughput;
  latency?: Latency;
  verify?: Verified;
  limit?: Limit;
}
