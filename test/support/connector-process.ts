import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kafkaClientEnv } from './kafka-client.ts';
import { waitUntil } from './wait-until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A command of crosswalk in a process of its own. */
export interface CliProcess {
  readonly child: ChildProcess;
  /** What it wrote on standard output and on standard error so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code, or the signal that ended it; resolves once it has ended. */
  readonly ended: Promise<number | string>;
  isRunning(): boolean;
  untilSaid(text: string | RegExp, timeoutMs?: number): Promise<void>;
}

/** Starts `crosswalk <args>` with this environment and no other setting; whoever starts it ends it. What it says is also added to `logFile`. */
export function startCli(args: readonly string[], env: Readonly<Record<string, string>>, logFile?: string): CliProcess {
  const settings = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    CROSSWALK_ENV_FILE: '/nowhere/env',
    ...kafkaClientEnv,
    ...env,
  };
  return startProgram(process.execPath, ['cli/main.ts', ...args], { cwd: root, env: settings }, logFile);
}

/** Starts any program in the same way. */
export function startProgram(
  program: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
  logFile?: string,
): CliProcess {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let result: number | string | null = null;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (logFile !== undefined) appendFileSync(logFile, text);
  });
  const ended = once(child, 'close').then(([code, signal]) => {
    result = (code ?? signal ?? 'unknown') as number | string;
    return result;
  });
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    isRunning: () => result === null,
    async untilSaid(text, timeoutMs = 60_000) {
      await waitUntil(
        `${args.join(' ')} says ${text}`,
        () => {
          if (typeof text === 'string' ? stderr.includes(text) : text.test(stderr)) return true;
          if (result !== null) throw new Error(`it ended with ${result} before it said ${text}: ${stderr}`);
          return false;
        },
        timeoutMs,
      ).catch((error: Error) => {
        throw new Error(`${error.message}; it said: ${stderr}`);
      });
    },
  };
}
