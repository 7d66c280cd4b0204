// `make up` as somebody types it, in a folder that looks like a working copy and keeps its data to itself.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import { processesOf } from './processes-of.ts';
import { waitUntil } from './wait-until.ts';

/** A question at the end of what a terminal shows, with what moves its cursor. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's own
const QUESTION = /\[y\/N\] (\x1b\[\d*[A-Z])*$/;

const root = resolve(import.meta.dirname, '../..');

/** What a command line came to. */
export interface Typed {
  /** Exit code; 128 and the signal's number where a signal ended it. */
  readonly code: number;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

export interface TypeOptions {
  /** Lines to answer questions with, on a terminal of its own; without them there is no terminal. */
  readonly answers?: string;
  /** Told to stop (SIGTERM) as soon as this returns true; asked with its output so far. */
  readonly until?: (output: string) => boolean | Promise<boolean>;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface StackFolder {
  readonly dir: string;
  /** The addresses that `make up` wrote down. */
  addresses(): Record<string, string>;
  /** Runs a command line in bash, in the folder. */
  type(command: string, options?: TypeOptions): Promise<Typed>;
  /** Types `make up`, with whatever is set before it, and waits until it runs. */
  up(command: string, timeoutMs: number): Promise<void>;
  /** Ctrl-C, and the end. Returns what `make up` said. */
  down(timeoutMs?: number): Promise<string>;
  /** Ends whatever still runs in the folder, by pid, and removes it. */
  remove(): void;
  /** Processes that run in the folder or name it, as `pid command`. */
  processes(): string[];
}

/** The environment of a shell that knows nothing of this run. */
function newcomersEnvironment(): NodeJS.ProcessEnv {
  const known =
    /^(CROSSWALK_|LEGACY_|TARGET_|RESTORE_|KAFKA_|SCHEMA_REGISTRY_|VITEST|NODE_|npm_|MAKE|MFLAGS|SAMPLE$|ROWS$|CI$)/;
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !known.test(name))),
    CROSSWALK_CACHE: resolve(process.env.CROSSWALK_CACHE ?? join(root, '.crosswalk/jars')),
  };
}

/** Everything of the working copy by links, but its data. */
export function createStackFolder(): StackFolder {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-docs-')));
  for (const name of readdirSync(root))
    if (!['.crosswalk', '.git', 'package-lock.json'].includes(name)) symlinkSync(join(root, name), join(dir, name));
  // Older than the packages that are linked: `make` would install them anew, through the link.
  copyFileSync(join(root, 'package-lock.json'), join(dir, 'package-lock.json'));
  utimesSync(join(dir, 'package-lock.json'), 0, 0);
  let make: ChildProcess | null = null;
  let said = '';

  const processes = () => processesOf(dir);

  return {
    dir,
    processes,
    addresses: () => parseEnv(readFileSync(join(dir, '.crosswalk/env'), 'utf8')) as Record<string, string>,
    async type(command, { answers, until, env = {}, timeoutMs = 120_000 } = {}) {
      // `script` is a terminal for what asks only where somebody can answer.
      const [program, args] =
        answers === undefined
          ? ['bash', ['-c', command]]
          : ['script', ['--quiet', '--return', '--command', command, '/dev/null']];
      const child = spawn(program, args as string[], {
        cwd: dir,
        // Compiled once for all of these commands: it halves what each costs.
        env: {
          ...newcomersEnvironment(),
          SHELL: '/bin/bash',
          NODE_COMPILE_CACHE: join(dir, 'compile-cache'),
          ...env,
        },
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      });
      let output = '';
      const end = (signal: NodeJS.Signals) => {
        try {
          process.kill(-child.pid!, signal);
        } catch {
          // It is gone already.
        }
      };
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
      let isOver = false;
      const stopped = (async () => {
        while (!isOver && until !== undefined && !(await until(output))) await sleep(50);
        if (until !== undefined) end('SIGTERM');
      })();
      let left = answers?.split('\n') ?? [];
      const answer = setInterval(() => {
        // A question is answered once it stands there.
        if (left.length === 0 || !QUESTION.test(output)) return;
        child.stdin.write(`${left[0]}\n`);
        output += `${left[0]}\n`;
        left = left.slice(1);
      }, 50);
      const limit = setTimeout(() => end('SIGKILL'), timeoutMs);
      const code = await new Promise<number>((done) =>
        child.once('close', (exit, signal) => done(exit ?? (signal === 'SIGKILL' ? 137 : 143))),
      );
      isOver = true;
      await stopped;
      clearInterval(answer);
      clearTimeout(limit);
      return { code, output };
    },
    async up(command, timeoutMs) {
      make = spawn('bash', ['-c', command], {
        cwd: dir,
        env: newcomersEnvironment(),
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      let isRunning = true;
      make.once('close', () => {
        isRunning = false;
      });
      for (const stream of [make.stdout!, make.stderr!])
        stream.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
      await waitUntil(
        'make up',
        () => {
          if (!isRunning) throw new Error(`make up ended: ${said}`);
          return said.includes('running; addresses are in');
        },
        timeoutMs,
      ).catch((error: Error) => {
        throw new Error(`${error.message}: ${said}`);
      });
    },
    async down(timeoutMs = 60_000) {
      if (make?.exitCode === null && make.signalCode === null) process.kill(-make.pid!, 'SIGINT');
      await waitUntil('the end of make up', () => processes().length === 0, timeoutMs);
      return said;
    },
    remove() {
      for (const line of existsSync(dir) ? processes() : []) process.kill(Number(line.split(' ')[0]), 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
