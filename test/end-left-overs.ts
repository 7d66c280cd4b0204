// Ends the servers that a test run left behind when it was interrupted or crashed: node test/end-left-overs.ts <folder of the run>
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { endLeftOvers } from '../infra/stack/server.ts';

const MAX_DEPTH = 4;

/** The folders of stacks at and below a folder: those that hold the pid file of a server. */
function findStacks(dir: string, depth = 0): string[] {
  const entries = readdirSync(dir, { withFileTypes: true });
  if (entries.some((entry) => /^(postgres|kafka|registry)\.pid$/.test(entry.name))) return [dir];
  if (depth === MAX_DEPTH) return [];
  return entries
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
    .flatMap((entry) => findStacks(join(dir, entry.name), depth + 1));
}

for (const dir of findStacks(process.argv[2]!)) await endLeftOvers(dir, (line) => console.error(line));
