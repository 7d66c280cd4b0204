import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseCpuSeconds, parsePeakMiB } from './process-text.ts';

let ticksPerSecond = 0;
const readTicks = () => {
  ticksPerSecond ||= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticksPerSecond;
};

/** CPU seconds that a process has used, itself. */
export function readCpuSeconds(pid: number): number {
  return parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'utf8'), readTicks());
}

/** CPU seconds of a process with its children, those that have ended too: PostgreSQL's, whose backends come and go. */
export function readTreeCpuSeconds(pid: number): number {
  const own = parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, 'utf8'), readTicks(), true);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean);
  return children.reduce((sum, child) => {
    try {
      return sum + readCpuSeconds(Number(child));
    } catch {
      return sum;
    }
  }, own);
}

/** Greatest resident size of a process so far, MiB. */
export function readPeakMiB(pid: number): number {
  return parsePeakMiB(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** Makes a process count its greatest resident size anew; false where that may not be done, and the size since its start is all there is. */
export function resetPeak(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    return true;
  } catch {
    return false;
  }
}
