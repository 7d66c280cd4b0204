import { lstatSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { CrosswalkError } from '../runtime/errors.ts';
import type { NewFile } from './introspection.ts';

/** Paths that are there already, broken links too. */
export function findExisting(folder: string, files: readonly NewFile[]): string[] {
  return files.flatMap(({ path }) => (isThere(join(folder, path)) ? [path] : []));
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Below something that is no folder, or that may not be looked into: writing will say so.
    return false;
  }
}

/**
 * Writes all of the files or none, and never over another one. Throws `config_invalid`: where some are there already, with all of their paths; where one cannot be
 * written, after taking back what this call has made.
 */
export function writeFiles(folder: string, files: readonly NewFile[]): void {
  const existing = findExisting(folder, files);
  if (existing.length > 0)
    throw new CrosswalkError(
      'config_invalid.file_exists',
      `Nothing is written: ${toShown(folder, existing)} ${existing.length === 1 ? 'exists' : 'exist'} already`,
    );
  const undo: (() => void)[] = [];
  try {
    for (const { path, text } of files) {
      const target = join(folder, path);
      makeFolder(dirname(target), undo);
      // Whoever made it since it was looked for keeps it.
      writeFileSync(target, text, { flag: 'wx' });
      undo.push(() => rmSync(target));
    }
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw new CrosswalkError('config_invalid.folder_unwritable', `Nothing is written: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Makes a folder and those above it, each to be taken back. */
function makeFolder(folder: string, undo: (() => void)[]): void {
  if (isThere(folder)) return;
  makeFolder(dirname(folder), undo);
  mkdirSync(folder);
  undo.push(() => rmdirSync(folder));
}

function toShown(folder: string, paths: readonly string[]): string {
  return paths.map((path) => relative(process.cwd(), join(folder, path))).join(', ');
}
