// One server process of the embedded stack: its start, end, pause, pid file and log.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, readCommandLine, sendSignal, sendSignalToTree } from './process-table.ts';
import type { Server } from './stack.ts';

const startTimeoutMs = 120_000;
const stopTimeoutMs = 30_000;

export interface ServerSpec {
  readonly name: Server['name'];
  /** The stack's folder, absolute. The command line must contain it: that is how a left-over process is recognised. */
  readonly dir: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly ids: { uid?: number; gid?: number };
  /** The signal of an orderly stop. */
  readonly stopSignal: 'SIGINT' | 'SIGTERM';
  /** One attempt to use the server; a rejection means not yet. */
  readonly isReady: () => Promise<boolean>;
}

/** A server that ended or stayed silent while it was started; `portTaken` says that another port may help. */
export class StartError extends Error {
  readonly portTaken: boolean;
  constructor(message: string, portTaken: boolean) {
    super(message);
    this.name = 'StartError';
    this.portTaken = portTaken;
  }
}

/** Where a server's output goes. */
export function logPath(dir: string, name: string): string {
  return join(dir, 'logs', `${name}.log`);
}

function pidPath(dir: string, name: string): string {
  return join(dir, `${name}.pid`);
}

function readLog(path: string, fromByte: number): string {
  try {
    return readFileSync(path).subarray(fromByte).toString('utf8');
  } catch {
    return '';
  }
}

/** The server, not yet started. `start` resolves once the server answers, and throws a StartError otherwise. */
export function createServer(spec: ServerSpec): Server {
  const log = logPath(spec.dir, spec.name);
  const pidFile = pidPath(spec.dir, spec.name);
  let pid = 0;

  // A parent that ends without close() must not leave servers behind; a SIGKILLed parent is seen to by endLeftOvers.
  const onExit = () => {
    if (pid !== 0) sendSignal(pid, spec.stopSignal);
  };

  async function start(): Promise<void> {
    if (pid !== 0 && isRunning(pid)) return;
    const output = openSync(log, 'a');
    const logStart = readFileSync(log).length;
    const [program, ...args] = spec.command;
    // Detached: Ctrl-C in a terminal reaches the parent alone, which then stops its work before its servers.
    const child = spawn(program as string, args, {
      ...spec.ids,
      env: spec.env,
      cwd: spec.dir,
      detached: true,
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    let ended: string | undefined;
    child.once('error', (error) => {
      ended = `could not be run: ${error.message}`;
    });
    child.once('exit', (code, signal) => {
      ended = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
      if (pid === child.pid) {
        pid = 0;
        process.off('exit', onExit);
      }
    });
    if (child.pid !== undefined) {
      pid = child.pid;
      writeFileSync(pidFile, `${pid}\n`);
      process.on('exit', onExit);
      child.unref();
    }
    const deadline = Date.now() + startTimeoutMs;
    while (ended === undefined) {
      if (await spec.isReady().catch(() => false)) return;
      if (Date.now() > deadline) {
        await stop('SIGKILL');
        ended = `did not answer within ${startTimeoutMs / 1000} s`;
      } else {
        await sleep(100);
      }
    }
    const lines = readLog(log, logStart).trimEnd().split('\n');
    const portTaken = lines.some((line) => /address already in use|BindException|already bound/i.test(line));
    throw new StartError(`${spec.name} ${ended}; the last lines of ${log}:\n${lines.slice(-12).join('\n')}`, portTaken);
  }

  async function stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const target = pid;
    if (target !== 0) {
      if (signal === 'SIGKILL') {
        sendSignalToTree(target, 'SIGKILL');
      } else {
        sendSignal(target, spec.stopSignal);
        // A paused server takes the signal only once it runs again.
        sendSignalToTree(target, 'SIGCONT');
      }
      const deadline = Date.now() + stopTimeoutMs;
      while (isRunning(target)) {
        if (Date.now() > deadline) sendSignalToTree(target, 'SIGKILL');
        await sleep(20);
      }
      if (pid === target) pid = 0;
      process.off('exit', onExit);
    }
    rmSync(pidFile, { force: true });
  }

  return {
    name: spec.name,
    get pid() {
      return pid;
    },
    start,
    stop,
    pause: () => sendSignalToTree(pid, 'SIGSTOP'),
    resume: () => sendSignalToTree(pid, 'SIGCONT'),
  };
}

/** Ends the servers that a killed parent left running in `dir`: exactly those whose command line names that folder. */
export async function endLeftOvers(dir: string, log: (line: string) => void): Promise<void> {
  for (const name of ['registry', 'kafka', 'postgres']) {
    const file = pidPath(dir, name);
    let pid: number;
    try {
      pid = Number(readFileSync(file, 'utf8'));
    } catch {
      continue;
    }
    if (pid > 1 && readCommandLine(pid).includes(`${dir}/`)) {
      log(`Ending ${name} (pid ${pid}), left over from an earlier run`);
      sendSignalToTree(pid, 'SIGCONT');
      sendSignal(pid, name === 'postgres' ? 'SIGINT' : 'SIGTERM');
      const deadline = Date.now() + stopTimeoutMs;
      while (isRunning(pid)) {
        if (Date.now() > deadline) sendSignalToTree(pid, 'SIGKILL');
        await sleep(50);
      }
    }
    rmSync(file, { force: true });
  }
}
