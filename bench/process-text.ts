/** CPU seconds of a process, user and system, from the text of /proc/<pid>/stat; `withReaped` adds those of children that have ended. */
export function parseCpuSeconds(stat: string, ticksPerSecond: number, withReaped = false): number {
  // The name in parentheses may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (at: number) => {
    const value = Number(fields[at]);
    if (!Number.isInteger(value)) throw new Error('not the text of /proc/<pid>/stat');
    return value;
  };
  return (ticks(11) + ticks(12) + (withReaped ? ticks(13) + ticks(14) : 0)) / ticksPerSecond;
}

/** Greatest resident size so far in MiB, from the text of /proc/<pid>/status. */
export function parsePeakMiB(status: string): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  if (match === null) throw new Error('not the text of /proc/<pid>/status');
  return Number(match[1]) / 1024;
}
