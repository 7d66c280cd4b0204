import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { CrosswalkError } from '../runtime/errors.ts';

const STOP_MS = 30_000;

/** A process under measurement. It is never started again: a restart in the middle would be measured too. */
export interface Child {
  readonly pid: number;
  readonly startedAtMs: number;
  /** Throws when it has ended by itself, or could not be run. */
  assertRunning(): void;
  /** SIGTERM, and SIGKILL after 30 s. */
  stop(): Promise<void>;
}

/** Starts `command`; what it prints goes to `logFile`. Throws where it cannot be started. */
export function startChild(
  name: string,
  command: readonly [string, ...string[]],
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly logFile: string },
): Child {
  const [program, ...args] = command;
  const log = openSync(options.logFile, 'a');
  const startedAtMs = Date.now();
  const child = spawn(program, args, { env: options.env as NodeJS.ProcessEnv, stdio: ['ignore', log, log] });
  closeSync(log);
  let isOver = false;
  let said: string | null = null;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      isOver = true;
      said = error.message;
      resolve();
    });
    child.once('exit', (code, signal) => {
      isOver = true;
      said = lastLine(options.logFile) ?? `it ended with ${signal ?? `exit code ${code}`}`;
      resolve();
    });
  });
  const killNow = () => void child.kill('SIGKILL');
  process.once('exit', killNow);
  const assertRunning = () => {
    if (!isOver) return;
    throw new CrosswalkError('unexpected.log', `${name} ended: ${said}`, { file: options.logFile });
  };
  if (child.pid === undefined)
    throw new CrosswalkError('unexpected.not_installed', `${name} could not be started: ${program}`);
  return {
    pid: child.pid,
    startedAtMs,
    assertRunning,
    async stop() {
      child.kill('SIGTERM');
      const kill = setTimeout(killNow, STOP_MS);
      await ended;
      clearTimeout(kill);
      process.off('exit', killNow);
    },
  };
}

function lastLine(file: string): string | undefined {
  return readFileSync(file, 'utf8').trim().split('\n').at(-1) || undefined;
}
