import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import type { LocalStack } from '../cli/local-stack.ts';
import { createProgress } from '../cli/progress.ts';
import { findFreePort } from '../infra/stack/free-port.ts';
import { repositoryRoot } from '../infra/stack/jars.ts';
import type { Projection } from '../projectors/projection.ts';
import type { Config } from '../runtime/config.ts';
import type { Kafka } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import { NODE_ENVIRONMENT, NODE_FLAGS } from '../runtime/node-flags.ts';
import { startChild } from './child.ts';
import type { ByProcess, ProcessName } from './results.ts';
import { readCpuSeconds, readPeakMiB, readTreeCpuSeconds, resetPeak } from './usage.ts';

/** The servers of a run, and what is asked of it. */
export interface Run {
  readonly kafka: Kafka;
  readonly local: LocalStack;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stackDir: string;
  /** Where CPU profiles go; null: none are taken. */
  readonly profileDir: string | null;
  readonly signal: AbortSignal;
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
  readonly sizes: { readonly rows: number; readonly changes: number; readonly seconds: number };
}

/** Two databases: one that is written to, and one that its rows appear in. */
export interface Databases {
  /** Owners' connections. */
  readonly legacy: pg.Client;
  readonly target: pg.Client;
  /** The legacy application's own address. */
  readonly ownerUrl: string;
  /** Table of the target that has the row of each quote, under its id. */
  readonly visibleIn: string;
  /** Number of the last row that was made. */
  lastRow: number;
}

/** A pipeline under measurement, on databases of its own. */
export interface Bench extends Run, Databases {
  readonly name: string;
  readonly config: Config;
  /** Addresses and settings of its processes. */
  readonly workerEnv: Readonly<Record<string, string>>;
  /** What its projector runs. */
  readonly projections: readonly Projection[];
  /** The one that the rows of quotes go through: its offsets say how far it is. */
  readonly projection: string;
  /** The script that is its projector, with arguments. */
  readonly projector: readonly [string, ...string[]];
  /** Whether it analyzes the tables and fills the figures after a load. */
  readonly hasUpkeep: boolean;
  /** Throws unless the target holds what it must. */
  readonly assertEqual: () => Promise<void>;
}

/** A process under measurement: a connector, a projector, or the peer's worker. */
export interface Worker {
  readonly name: 'connect' | 'project' | 'peer';
  readonly startedAtMs: number;
  cpuSeconds(): number;
  peakMiB(): number;
  /** Throws when it ended by itself. */
  assertRunning(): void;
  stop(): Promise<void>;
}

const main = join(repositoryRoot, 'cli/main.ts');
/** The projector that is shipped. */
export const shippedProjector = [main, 'project'] as const;

/** Starts a connector or a projector, a process of its own as in production; `step` names its log and profile. */
export async function startWorker(bench: Bench, name: 'connect' | 'project', step: string): Promise<Worker> {
  const label = `${bench.name}-${step}-${name}`;
  const profile: Record<string, string> = {};
  if (bench.profileDir !== null) {
    mkdirSync(bench.profileDir, { recursive: true });
    profile.NODE_OPTIONS = `--cpu-prof --cpu-prof-dir=${bench.profileDir} --cpu-prof-name=${label}.cpuprofile`;
  }
  const script = name === 'connect' ? [main, 'connect'] : bench.projector;
  const port = await findFreePort();
  return toWorker(
    name,
    startChild(name, [process.execPath, ...NODE_FLAGS, ...script], {
      env: {
        ...NODE_ENVIRONMENT,
        ...bench.env,
        ...bench.workerEnv,
        ...profile,
        CROSSWALK_HTTP_PORT: String(port),
        CROSSWALK_ENV_FILE: '/nonexistent',
      },
      logFile: join(bench.stackDir, 'logs', `${label}.log`),
    }),
  );
}

/** A process as what is measured. */
export function toWorker(name: Worker['name'], child: ReturnType<typeof startChild>): Worker {
  return {
    name,
    startedAtMs: child.startedAtMs,
    cpuSeconds: () => readCpuSeconds(child.pid),
    peakMiB: () => readPeakMiB(child.pid),
    assertRunning: child.assertRunning,
    stop: child.stop,
  };
}

const byName = (workers: readonly Worker[], of: (workers: Worker[]) => number): ByProcess =>
  Object.fromEntries([...Map.groupBy(workers, ({ name }) => name)].map(([name, some]) => [name, of(some)]));

/** CPU seconds of the workers and of those servers that this machine runs, since their start. */
export function readCpu({ local }: Run, workers: readonly Worker[]): ByProcess {
  const { postgres, kafka } = local.stack.servers;
  return {
    ...byName(workers, (of) => of.reduce((sum, worker) => sum + worker.cpuSeconds(), 0)),
    ...(kafka ? { kafka: readCpuSeconds(kafka.pid) } : {}),
    ...(postgres ? { postgres: readTreeCpuSeconds(postgres.pid) } : {}),
  };
}

/** CPU seconds between two readings. */
export function cpuBetween(first: ByProcess, last: ByProcess): ByProcess {
  const names = Object.keys(last) as ProcessName[];
  return Object.fromEntries(names.map((name) => [name, Number((last[name]! - (first[name] ?? 0)).toFixed(2))]));
}

/** Begins the memory of a leg: from here on Kafka's greatest size counts. */
export function resetServerPeaks({ local }: Run): void {
  if (local.stack.servers.kafka) resetPeak(local.stack.servers.kafka.pid);
}

/** Greatest resident sizes, MiB; of several processes of one name that of the greatest. Those of PostgreSQL are not there: its processes share most of what they hold. */
export function readPeaks({ local }: Run, workers: readonly Worker[]): ByProcess {
  const { kafka } = local.stack.servers;
  return {
    ...byName(workers, (of) => Math.round(Math.max(...of.map((worker) => worker.peakMiB())))),
    ...(kafka ? { kafka: Math.round(readPeakMiB(kafka.pid)) } : {}),
  };
}

export function say(run: Pick<Run, 'write'>, line: string): void {
  run.write(`${line}\n`);
}

/** A progress line of this run. */
export function startProgress(
  run: Pick<Run, 'isTerminal' | 'write'>,
  label: string,
  total: number,
): ReturnType<typeof createProgress> {
  return createProgress({ label: `  ${label}`, total, isTerminal: run.isTerminal, write: run.write });
}

/** Runs `work` beside workers, which are stopped after it in any case. */
export async function withWorkers<T>(starting: readonly Promise<Worker>[], work: (workers: Worker[]) => Promise<T>) {
  const started = await Promise.allSettled(starting);
  const workers = started.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  try {
    const failed = started.find((start) => start.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return await work(workers);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}
