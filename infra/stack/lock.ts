// Locks between processes: a file that names its owner, so that the lock of a dead owner counts for nothing.
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, readStartTime } from './process-table.ts';

function readOwner(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Takes the lock; returns its release, or the pid of the living process that holds it. */
export function takeLock(path: string): { release: () => void } | { heldBy: number } {
  const mine = `${process.pid} ${readStartTime(process.pid)}`;
  const draft = `${path}.${process.pid}`;
  for (;;) {
    writeFileSync(draft, mine);
    try {
      // A link appears with its content; a file that is created and then written could be read while empty.
      linkSync(draft, path);
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    const owner = readOwner(path);
    if (owner === undefined) continue;
    const [pid, startTime] = [Number(owner.split(' ', 1)[0]), owner.slice(owner.indexOf(' ') + 1)];
    if (isRunning(pid) && readStartTime(pid) === startTime) return { heldBy: pid };
    if (readOwner(path) === owner) rmSync(path, { force: true });
  }
}

/** Runs `work` while holding the lock, after waiting for whoever holds it. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  for (;;) {
    const lock = takeLock(path);
    if ('heldBy' in lock) {
      await sleep(200);
      continue;
    }
    try {
      return await work();
    } finally {
      lock.release();
    }
  }
}
