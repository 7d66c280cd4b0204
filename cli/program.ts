import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

/** The program of the command line, for processes of its own: TypeScript in a working copy, JavaScript in the package. */
export const PROGRAM = join(import.meta.dirname, `main${extname(import.meta.filename)}`);

/** The version of package.json, which lies beside cli/ in a working copy and beside dist/ in the package. */
export function readVersion(): string {
  const places = ['../package.json', '../../package.json'].map((place) => join(import.meta.dirname, place));
  const { version } = JSON.parse(readFileSync(places.find(existsSync)!, 'utf8')) as { version: string };
  return version;
}
