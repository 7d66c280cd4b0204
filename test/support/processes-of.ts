import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Processes that run in a folder or name it on their command line, as `pid command`. Needs /proc. */
export function processesOf(folder: string): string[] {
  const read = (pid: string) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return { command, cwd: readlinkSync(`/proc/${pid}/cwd`) };
    } catch {
      return { command: '', cwd: '' };
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({ pid, ...read(pid) }))
    .filter(({ command, cwd }) => command.includes(folder) || cwd.startsWith(folder))
    .map(({ pid, command }) => `${pid} ${command}`);
}
