// A folder of a user's of crosswalk: its own files, and crosswalk among its packages.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

export interface UserFolder {
  readonly path: string;
  remove(): void;
}

/** An empty folder outside of the project in which packages resolve as they would after an install. */
export function createUserFolder(): UserFolder {
  const path = mkdtempSync(join(tmpdir(), 'crosswalk-user-'));
  mkdirSync(join(path, 'node_modules'));
  symlinkSync(root, join(path, 'node_modules/crosswalk'));
  for (const name of ['@types', 'typescript', 'vitest'])
    symlinkSync(join(root, 'node_modules', name), join(path, 'node_modules', name));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function writeAll(folder: string, files: readonly { readonly path: string; readonly text: string }[]): void {
  for (const { path, text } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** The settings of a careful user, where the folder has none of its own. */
export const STRICT = JSON.stringify({
  compilerOptions: {
    ...{ target: 'es2024', lib: ['es2024', 'esnext'], module: 'nodenext', types: ['node'], noEmit: true, strict: true },
    ...{
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
    },
    ...{ erasableSyntaxOnly: true, verbatimModuleSyntax: true, allowImportingTsExtensions: true, skipLibCheck: true },
  },
  include: ['**/*.ts'],
});

/** What the TypeScript compiler says first about a folder with a tsconfig.json; empty where it is content. */
export function typeCheck(folder: string): string {
  const { stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false'],
    { encoding: 'utf8' },
  );
  if (error) throw error;
  return `${stdout}${stderr}`.trim().split('\n').slice(0, 20).join('\n');
}
