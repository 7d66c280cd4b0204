// A folder of a user's of crosswalk: its own files, and crosswalk among its packages.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
};

export interface UserFolder {
  readonly path: string;
  remove(): void;
}

/** An empty folder outside of the project in which packages resolve as they would after an install. */
export function createUserFolder(): UserFolder {
  const path = mkdtempSync(join(tmpdir(), 'crosswalk-user-'));
  const crosswalk = join(path, 'node_modules/crosswalk');
  mkdirSync(crosswalk, { recursive: true });
  // What the package exports, as sources: test/integration/package.test.ts sees to the compiled ones.
  const exports = Object.entries(own.exports).flatMap(([name, to]) => {
    if (typeof to === 'string') return [];
    const source = to.default.replace('./dist/', '').replace(/\.js$/, '.ts');
    const link = source.replaceAll('/', '-');
    symlinkSync(join(root, source), join(crosswalk, link));
    return [[name, `./${link}`] as const];
  });
  const manifest = { name: 'crosswalk', type: 'module', exports: Object.fromEntries(exports) };
  writeFileSync(join(crosswalk, 'package.json'), JSON.stringify(manifest));
  for (const name of ['@types', 'fast-check'])
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

/** What the TypeScript compiler says first about the files of a folder with a tsconfig.json; empty where it is content. */
export function typeCheck(folder: string): string {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout, stderr, error } = spawnSync(process.execPath, [compiler, '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (error) throw error;
  // crosswalk's own files are read as declarations by others, under no settings of theirs.
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !/^(\.\.\/| )/.test(line));
  return lines.slice(0, 20).join('\n');
}
