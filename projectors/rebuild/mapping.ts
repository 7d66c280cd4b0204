import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Projection } from '../projection.ts';

const PROJECTORS = join(import.meta.dirname, '..');
const SOURCES = [
  ...['projections/**/*.ts', 'values/*.ts', 'tenants.json', 'placeholders.json', 'tenants.ts'],
  ...['decode.ts', 'source-change.ts', 'write/*.ts', '../schemas/avro/*.ts'],
];

/** Files that decide which rows come of which records, by name: the program's own, and the manifest of the library that reads phone numbers. */
export function mappingFiles(): Map<string, string> {
  const own = SOURCES.flatMap((pattern) => globSync(pattern, { cwd: PROJECTORS })).sort();
  const library = createRequire(import.meta.url).resolve('libphonenumber-js/package.json');
  return new Map([...own.map((file) => [file, join(PROJECTORS, file)] as const), ['libphonenumber-js', library]]);
}

/** What decides the rows of projections: their versions, and a digest of the files, which may have been changed without a new version. */
export function readMapping(projections: readonly Projection[], files = mappingFiles()): string {
  const digest = createHash('sha256');
  for (const [name, path] of files) digest.update(`${name}\n`).update(readFileSync(path));
  const versions = projections.map(({ name, version }) => `${name} ${version}`).toSorted();
  return `${versions.join(', ')} (${digest.digest('hex').slice(0, 12)})`;
}
