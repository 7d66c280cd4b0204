import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

/** What the figures were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** One minute's load average before anything was started: above 0.5 other work was measured too. */
  readonly loadAtStart: number;
  readonly commit: string;
}

export function readMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    loadAtStart: loadavg()[0]!,
    commit: readCommit(),
  };
}

/** Version of the Kafka that a stack of ours runs, from the names of its jars; `given` where it runs none. */
export function readKafkaVersion(jarsDir: string): string {
  try {
    for (const folder of readdirSync(jarsDir).filter((name) => name.startsWith('kafka-')))
      for (const jar of readdirSync(join(jarsDir, folder))) {
        const version = /^kafka-clients-(\d[\d.]*)\.jar$/.exec(jar)?.[1];
        if (version !== undefined) return version;
      }
  } catch {
    // No jars: Kafka came from elsewhere.
  }
  return 'given';
}

function readCommit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes';
    return `${git('rev-parse', '--short', 'HEAD')}${changed}`;
  } catch {
    return readFileSync('package.json', 'utf8').match(/"version": "([^"]+)"/)?.[1] ?? 'unknown';
  }
}
