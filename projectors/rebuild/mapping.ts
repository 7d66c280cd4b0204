import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Pipeline } from '../pipeline.ts';
import type { Projection } from '../projection.ts';

const ROOT = join(import.meta.dirname, '../..');
const ENGINE = [
  ...['projectors/values/*', 'projectors/write/*', 'projectors/decode.*', 'projectors/source-change.*'],
  ...['schemas/avro/*'],
];
const CODE = /(?<!\.d)\.(ts|js|mjs|json)$/;
/** Files of a pipeline that do not affect rows. */
const BESIDE = /^(node_modules|migrations|oracle|sample|tests?|dist)\/|\.test\.|^(checks|stages)\./;

/** Files that decide which rows result from which records, by name: the engine's, the pipeline's own, and the manifests of imported packages. */
export function mappingFiles(pipeline: Pick<Pipeline, 'folder'>): Map<string, string> {
  const files = new Map<string, string>();
  for (const file of ENGINE.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).sort())
    if (CODE.test(file)) files.set(file, join(ROOT, file));
  const own = globSync('**/*', { cwd: pipeline.folder }).filter((file) => CODE.test(file) && !BESIDE.test(file));
  for (const file of own.sort()) files.set(`pipeline/${file}`, join(pipeline.folder, file));
  for (const name of packagesOf([...files.values()])) {
    const manifest = manifestOf(name, pipeline.folder);
    if (manifest !== null) files.set(name, manifest);
  }
  return files;
}

const IMPORTED = /\bfrom '((?:@[^/']+\/)?[^./'][^/':]*)(?:\/[^']*)?'/g;

/** Packages that files import, by name. */
function packagesOf(files: readonly string[]): string[] {
  const names = files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(IMPORTED)].map((match) => match[1]!));
  return [...new Set(names)].filter((name) => name !== 'node').toSorted();
}

function manifestOf(name: string, folder: string): string | null {
  const search = createRequire(pathToFileURL(join(folder, 'pipeline.ts'))).resolve.paths(name) ?? [];
  return search.map((path) => join(path, name, 'package.json')).find((file) => existsSync(file)) ?? null;
}

/** What decides the rows of projections: their versions, and a digest of the files, which may change without a new version. */
export function readMapping(
  pipeline: Pick<Pipeline, 'folder'>,
  projections: readonly Projection[],
  files = mappingFiles(pipeline),
): string {
  const digest = createHash('sha256');
  for (const [name, path] of files) digest.update(`${name}\n`).update(readFileSync(path));
  const versions = projections.map(({ name, version }) => `${name} ${version}`).toSorted();
  return `${versions.join(', ')} (${digest.digest('hex').slice(0, 12)})`;
}
