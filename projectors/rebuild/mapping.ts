import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Projection } from '../projection.ts';

/** What decides the rows of projections: their versions, and a digest of the program's own files, which may have been changed without a new version. */
export function readMapping(projections: readonly Projection[]): string {
  const folder = join(import.meta.dirname, '..');
  const files = globSync(['projections/**/*.ts', 'values/*.ts', 'tenants.json', 'tenants.ts'], { cwd: folder }).sort();
  const digest = createHash('sha256');
  for (const file of files) digest.update(`${file}\n`).update(readFileSync(join(folder, file)));
  const versions = projections.map(({ name, version }) => `${name} ${version}`).toSorted();
  return `${versions.join(', ')} (${digest.digest('hex').slice(0, 12)})`;
}
