import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { COULD_NOT_RUN } from '../runtime/error-codes/policy.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { NODE_ENVIRONMENT, NODE_FLAGS } from '../runtime/node-flags.ts';
import { PROGRAM } from './program.ts';

/** A child process of crosswalk, restarted when it exits by itself, as by a container's restart policy. */
export interface ManagedProcess {
  readonly name: string;
  /** HTTP port of its health checks and metrics. */
  readonly port: number;
  pid(): number | undefined;
  /** The last line of a process that needs an operator; null while it runs. */
  failure(): string | null;
  /** SIGTERM, and SIGKILL after 10 s. */
  stop(): Promise<void>;
}

const RESTART_AFTER_MS = 1000;

export function startProcess(
  name: string,
  options: {
    env: Readonly<Record<string, string | undefined>>;
    logFile: string;
    port: number;
    args?: readonly string[];
  },
): ManagedProcess {
  let isStopping = false;
  let failure: string | null = null;
  let restart: NodeJS.Timeout | undefined;
  let ended: Promise<void> = Promise.resolve();
  let child = start();

  function start() {
    const log = openSync(options.logFile, 'a');
    const started = spawn(process.execPath, [...NODE_FLAGS, PROGRAM, name, ...(options.args ?? [])], {
      env: { ...NODE_ENVIRONMENT, ...(options.env as NodeJS.ProcessEnv) },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    ended = new Promise((resolve) => {
      started.once('error', () => resolve());
      started.once('exit', (code) => {
        if (!isStopping) {
          if (code === COULD_NOT_RUN) failure = lastLine(options.logFile);
          else restart = setTimeout(() => (child = start()), RESTART_AFTER_MS);
        }
        resolve();
      });
    });
    return started;
  }

  return {
    name,
    port: options.port,
    pid: () => child.pid,
    failure: () => failure,
    async stop() {
      isStopping = true;
      clearTimeout(restart);
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(kill);
    },
  };
}

/** Throws `process_ended` if one of them exited and a restart would not help. Logs are in `logs` of `dir`. */
export function assertRunning(processes: readonly ManagedProcess[], dir: string): void {
  for (const { name, failure } of processes) {
    const said = failure();
    if (said !== null)
      throw new CrosswalkError('process_ended.log', `${name} ended: ${said}`, { file: `${dir}/logs/${name}.log` });
  }
}

/** The last line in which a command reported why it could not run. */
function lastLine(file: string): string {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const said = lines.findLast((line) => line.startsWith('crosswalk ')) ?? lines.at(-1) ?? 'it ended without a word';
  return said.replace(/^crosswalk \w+: /, '');
}
