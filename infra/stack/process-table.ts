// What the operating system says of processes: from /proc on Linux, from ps elsewhere.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const hasProc = existsSync('/proc/self/stat');

function readStat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold spaces: count from the last parenthesis.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function readPs(args: string[]): string {
  try {
    return execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

/** The command line of a process, its arguments separated by spaces; empty where there is no such process. */
export function readCommandLine(pid: number): string {
  if (!hasProc) return readPs(['-o', 'command=', '-p', String(pid)]).trim();
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** When a process began, in an opaque form; with the pid it tells a process from a later one with the same pid. */
export function readStartTime(pid: number): string | undefined {
  if (!hasProc) return readPs(['-o', 'lstart=', '-p', String(pid)]).trim() || undefined;
  return readStat(pid)?.[19];
}

/** The pids of the direct children of a process. */
export function readChildren(pid: number): number[] {
  if (!hasProc) {
    const rows = readPs(['-A', '-o', 'pid=,ppid=']).split('\n');
    return rows
      .map((row) => row.trim().split(/\s+/).map(Number))
      .filter(([, parent]) => parent === pid)
      .map(([child]) => child as number);
  }
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((child) => readStat(child)?.[1] === String(pid));
}

/** Whether a process runs; one that ended but was not yet reaped by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return hasProc ? readStat(pid)?.[0] !== 'Z' : true;
}

/** Sends a signal; a process that is gone is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Sends a signal to a process and its children. The parent is stopped first, so that it forks no child unseen. */
export function sendSignalToTree(pid: number, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
  if (signal !== 'SIGCONT') sendSignal(pid, 'SIGSTOP');
  for (const child of readChildren(pid)) sendSignal(child, signal);
  if (signal !== 'SIGSTOP') sendSignal(pid, signal);
}
