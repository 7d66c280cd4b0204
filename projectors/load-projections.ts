import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isProjection, type Projection } from './projection.ts';

/** Projections that the files of a folder export, helpers in its subfolders aside: histories last, otherwise in the order of files and exports. */
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
  return found.toSorted((a, b) => Number(a.history !== undefined) - Number(b.history !== undefined));
}
