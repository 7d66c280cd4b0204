import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CrosswalkError } from '../runtime/errors.ts';
import { isProjection, type Projection } from './projection.ts';

/** Loads the projections that the files of a folder export, without its subfolders: histories last, otherwise in the order of files and exports. Throws `config_invalid` if there is none. */
export async function loadProjections<Settings extends object>(
  ...folder: readonly string[]
): Promise<Projection<Settings>[]> {
  const path = join(...folder);
  const files = readdirSync(path).filter((file) => /\.[jt]s$/.test(file) && !/\.(d|test)\.ts$/.test(file));
  const found: Projection<Settings>[] = [];
  for (const file of files.toSorted()) {
    const exported = (await import(pathToFileURL(join(path, file)).href)) as Readonly<Record<string, unknown>>;
    for (const value of Object.values(exported))
      if (isProjection(value)) found.push(value as unknown as Projection<Settings>);
  }
  if (found.length === 0)
    throw new CrosswalkError('config_invalid.no_projection', `No file of ${path} exports a projection`);
  return found.toSorted((a, b) => Number(a.history !== undefined) - Number(b.history !== undefined));
}
