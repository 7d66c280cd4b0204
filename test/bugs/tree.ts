import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

/** Where the servers' programs are fetched to, for trees that have no such folder of their own. */
export const cache = resolve(process.env.CROSSWALK_CACHE || join(root, '.crosswalk/jars'));

/** The project's files, as they are now: what git knows, and what is new and not ignored. */
export function listFiles(): string[] {
  if (!existsSync(join(root, '.git'))) return walk('');
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  return [...new Set(listed.split('\0'))].filter((file) => file !== '' && existsSync(join(root, file)));
}

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (['node_modules', '.crosswalk', '.git'].includes(entry.name)) return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
}

/** Copies files to another folder. */
export function copyFiles(files: readonly string[], from: string, to: string): void {
  for (const file of files) {
    if (!lstatSync(join(from, file)).isFile()) continue;
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(from, file), join(to, file));
  }
}

/** Copies files to a new folder, which shares the installed packages. */
export function copyTree(files: readonly string[], from: string, to: string): void {
  copyFiles(files, from, to);
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
}
