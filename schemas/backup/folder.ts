import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, mkdtemp, open, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { reach } from '../../runtime/faults.ts';
import { digestFile, type FileDigest } from './copy.ts';

/** The list of files with their SHA-256, in the format of `sha256sum -c`. */
export const SUMS = 'SHA256SUMS';

/** Throws `backup_invalid` if the folder is not empty. */
export async function refuseFilled(dir: string): Promise<void> {
  const found = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw toFolderError(error, dir);
  });
  if (found.length > 0) throw new CrosswalkError('backup_invalid.folder_not_empty', `${dir} is not empty`);
}

/**
 * Checks that folders can be created in `dir`, leaving nothing behind. Throws `backup_invalid` if they cannot, or if it
 * is itself a backup, which must not be modified.
 */
export async function probeFolder(dir: string): Promise<void> {
  const isBackup = await access(join(dir, SUMS)).then(
    () => true,
    () => false,
  );
  if (isBackup) throw new CrosswalkError('backup_invalid.folder_of_backup', `${dir} is a backup itself`);
  try {
    const made = await mkdir(dir, { recursive: true });
    await rmdir(await mkdtemp(join(dir, '.probe-')));
    if (made !== undefined) await removeEmpty(dir, made);
  } catch (error) {
    throw toFolderError(error as NodeJS.ErrnoException, dir);
  }
}

/** Removes empty folders from `dir` up to `top`. */
async function removeEmpty(dir: string, top: string): Promise<void> {
  for (let at = resolve(dir); ; at = dirname(at)) {
    await rmdir(at);
    if (at === resolve(top)) return;
  }
}

/**
 * Lets `fill` write files into a new folder next to `dir`, accessible only to the owner, and renames it to `dir` once
 * everything is on disk: a folder of that name is always a complete backup. Returns the SHA-256 of the list of files,
 * which represents all of them.
 */
export async function writeFolder(
  dir: string,
  fill: (folder: string) => Promise<ReadonlyMap<string, FileDigest>>,
): Promise<string> {
  const target = resolve(dir);
  const partial = join(dirname(target), `.${basename(target)}.partial-${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(dirname(target), { recursive: true });
    await mkdir(partial, { mode: 0o700 });
  } catch (error) {
    throw toFolderError(error as NodeJS.ErrnoException, dir);
  }
  try {
    const files = await fill(partial);
    const sums = [...files]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { sha256 }]) => `${sha256}  ${name}\n`)
      .join('');
    await writeText(join(partial, SUMS), sums);
    await syncFolder(partial);
    await reach?.('backup.before_rename');
    await rmdir(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(partial, target);
    await syncFolder(dirname(target));
    return createHash('sha256').update(sums).digest('hex');
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** Writes a new file, accessible only to the owner, and flushes it to disk. */
export async function writeText(file: string, text: string): Promise<FileDigest> {
  await writeFile(file, text, { mode: 0o600, flag: 'wx', flush: true });
  return { bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') };
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Checks every file against the list and returns the SHA-256 of the list. Throws `backup_invalid`, naming the first
 * file that is missing, damaged or not part of the backup.
 */
export async function checkFolder(dir: string, onBytes: (bytes: number) => void): Promise<string> {
  const damaged = (what: string) => new CrosswalkError('backup_invalid.damaged', `${dir}: ${what}`);
  const sums = await readFile(join(dir, SUMS), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT'
      ? new CrosswalkError('backup_invalid.no_backup', `${dir} is no backup: it has no ${SUMS}`)
      : toFolderError(error, dir);
  });
  const listed = new Map<string, string>();
  for (const line of sums.split('\n').slice(0, -1)) {
    const entry = /^([0-9a-f]{64}) {2}((?:data\/)?[A-Za-z0-9][A-Za-z0-9._-]*)$/.exec(line);
    if (entry === null) throw damaged(`${SUMS} is damaged`);
    listed.set(entry[2]!, entry[1]!);
  }
  if (!sums.endsWith('\n') || !listed.has('manifest.json')) throw damaged(`${SUMS} is damaged`);
  const found = await readdir(dir, { recursive: true, withFileTypes: true });
  for (const entry of found) {
    const name = join(entry.parentPath, entry.name).slice(join(dir, '/').length);
    if (entry.isFile() && name !== SUMS && !listed.has(name)) throw damaged(`file ${name} is not of this backup`);
  }
  let bytes = 0;
  for (const [name, expected] of listed) {
    const digest = await digestFile(join(dir, name)).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT' ? damaged(`file ${name} is missing`) : toFolderError(error, dir);
    });
    if (digest.sha256 !== expected) throw damaged(`file ${name} is damaged`);
    bytes += digest.bytes;
    onBytes(bytes);
  }
  return createHash('sha256').update(sums).digest('hex');
}

function toFolderError(error: NodeJS.ErrnoException, dir: string): CrosswalkError {
  if (['EACCES', 'EPERM', 'ENOTDIR', 'EEXIST', 'EROFS', 'ENOSPC', 'EDQUOT'].includes(String(error.code)))
    return new CrosswalkError('backup_invalid.folder_unwritable', `${dir}: ${error.message}`, { cause: error });
  return toCrosswalkError(error, dir);
}
