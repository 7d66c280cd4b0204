import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

/** Entry point of the command line, for child processes: TypeScript in a working copy, JavaScript in the package. */
export const PROGRAM = join(import.meta.dirname, `main${extname(import.meta.filename)}`);

/** The version in package.json, which is next to cli/ in a working copy and next to dist/ in the package. */
export function readVersion(): string {
  const places = ['../package.json', '../../package.json'].map((place) => join(import.meta.dirname, place));
  const { version } = JSON.parse(readFileSync(places.find(existsSync)!, 'utf8')) as { version: string };
  return version;
}
