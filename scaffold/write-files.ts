import { lstatSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { CrosswalkError } from '../runtime/errors.ts';
import type { NewFile } from './introspection.ts';

/** Paths that already exist, including broken links. */
export function findExisting(folder: string, files: readonly NewFile[]): string[] {
  return files.flatMap(({ path }) => (isThere(join(folder, path)) ? [path] : []));
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // The parent is not a folder, or cannot be read: writing will report it.
    return false;
  }
}

/**
 * Writes all files or none, and never overwrites one. Throws `config_invalid` with all paths if some already exist. Also throws it if a file cannot be
 * written, after undoing what this call has created.
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
      // A file created since the check is not overwritten.
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

/** Creates a folder and its parents, and records how to undo each. */
function makeFolder(folder: string, undo: (() => void)[]): void {
  if (isThere(folder)) return;
  makeFolder(dirname(folder), undo);
  mkdirSync(folder);
  undo.push(() => rmdirSync(folder));
}

function toShown(folder: string, paths: readonly string[]): string {
  return paths.map((path) => relative(process.cwd(), join(folder, path))).join(', ');
}
