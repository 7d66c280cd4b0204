import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import type { LocalStack } from '../cli/local-stack.ts';
import { type ManagedProcess, startProcess } from '../cli/managed-process.ts';
import { createProgress } from '../cli/progress.ts';
import { findFreePort } from '../infra/stack/free-port.ts';
import type { Config } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka } from '../runtime/kafka.ts';
import type { CpuSeconds } from './results.ts';
import { readCpuSeconds, readPeakMiB, readTreeCpuSeconds } from './usage.ts';

/** What every step is given. */
export interface Bench {
  readonly config: Config;
  readonly kafka: Kafka;
  readonly local: LocalStack;
  /** Owners' connections. */
  readonly legacy: pg.Client;
  readonly target: pg.Client;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stackDir: string;
  /** Where CPU profiles go; null: none are taken. */
  readonly profileDir: string | null;
  readonly signal: AbortSignal;
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
  readonly sizes: { readonly rows: number; readonly changes: number; readonly seconds: number };
  /** Number of the last row that was made. */
  lastRow: number;
}

/** A connector or projector under measurement: a process of its own, as in production. */
export interface Worker {
  readonly name: 'connect' | 'project';
  readonly startedAtMs: number;
  cpuSeconds(): number;
  peakMiB(): number;
  /** Throws when it ended by itself: a restart in the middle would be measured too. */
  assertRunning(): void;
  stop(): Promise<void>;
}

/** Starts a connector or a projector; `step` names its log and profile. */
export async function startWorker(bench: Bench, name: Worker['name'], step: string): Promise<Worker> {
  const port = await findFreePort();
  const logFile = join(bench.stackDir, 'logs', `${step}-${name}.log`);
  const profile: Record<string, string> = {};
  if (bench.profileDir !== null) {
    mkdirSync(bench.profileDir, { recursive: true });
    profile.NODE_OPTIONS = `--cpu-prof --cpu-prof-dir=${bench.profileDir} --cpu-prof-name=${step}-${name}.cpuprofile`;
  }
  const startedAtMs = Date.now();
  const child: ManagedProcess = startProcess(name, {
    env: {
      ...bench.env,
      ...bench.local.env,
      ...profile,
      CROSSWALK_HTTP_PORT: String(port),
      CROSSWALK_ENV_FILE: '/nonexistent',
    },
    logFile,
    port,
  });
  const pid = child.pid()!;
  const assertRunning = () => {
    if (child.failure() === null && child.pid() === pid) return;
    throw new CrosswalkError(
      'unexpected',
      `${name} ended in ${step}${child.failure() === null ? '' : `: ${child.failure()}`}`,
      `Its log is ${logFile}.`,
    );
  };
  return {
    name,
    startedAtMs,
    cpuSeconds: () => readCpuSeconds(pid),
    peakMiB: () => readPeakMiB(pid),
    assertRunning,
    stop: () => child.stop(),
  };
}

/** CPU seconds of the workers and of those servers that this machine runs, since their start. */
export function readCpu(bench: Bench, workers: readonly Worker[]): CpuSeconds {
  const { postgres, kafka } = bench.local.stack.servers;
  return {
    ...Object.fromEntries(workers.map((worker) => [worker.name, worker.cpuSeconds()])),
    ...(kafka ? { kafka: readCpuSeconds(kafka.pid) } : {}),
    ...(postgres ? { postgres: readTreeCpuSeconds(postgres.pid) } : {}),
  };
}

/** CPU seconds between two readings. */
export function cpuBetween(first: CpuSeconds, last: CpuSeconds): CpuSeconds {
  const names = Object.keys(last) as (keyof CpuSeconds)[];
  return Object.fromEntries(names.map((name) => [name, Number((last[name]! - (first[name] ?? 0)).toFixed(2))]));
}

export function say(bench: Bench, line: string): void {
  bench.write(`${line}\n`);
}

/** A progress line of this run. */
export function startProgress(bench: Bench, label: string, total: number): ReturnType<typeof createProgress> {
  return createProgress({ label: `  ${label}`, total, isTerminal: bench.isTerminal, write: bench.write });
}
