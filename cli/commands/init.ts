import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { CrosswalkError } from '../../runtime/errors.ts';
import { readTemplate } from '../../scaffold/template.ts';
import { writeFiles } from '../../scaffold/write-files.ts';
import { print, printJson } from '../context.ts';
import { readVersion } from '../program.ts';
import { toCountText } from '../quantity-text.ts';

/**
 * Writes the first files of a repository with its own pipeline into a folder, which need not exist; an existing package.json is not changed. Throws `config_invalid`, and
 * writes nothing, if any other of the files already exists.
 */
export function init(into: string, options: { json?: boolean }): boolean {
  const folder = resolve(into);
  const own = readPackage(folder);
  const files = readTemplate(readVersion()).filter(({ path }) => path !== 'package.json' || own === null);
  writeFiles(folder, files);
  const missing = own === null ? [] : missingFrom(own);
  if (options.json) printJson({ folder, files: files.map(({ path }) => path), missing });
  else
    for (const line of toLines(
      relative(process.cwd(), folder),
      files.map(({ path }) => path),
      missing,
    ))
      print(line);
  return true;
}

interface Package {
  readonly type?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The package.json of a folder; null if there is none. Throws `config_invalid` if it is not a JSON object. */
function readPackage(folder: string): Package | null {
  const file = join(folder, 'package.json');
  if (!existsSync(file)) return null;
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as unknown;
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read;
    throw new Error('not an object');
  } catch (error) {
    throw new CrosswalkError(
      'config_invalid.file_unfit',
      `Nothing is written: ${relative(process.cwd(), file)} cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** What an existing package.json lacks, as commands that add it. */
function missingFrom({ type, dependencies = {}, devDependencies = {} }: Package): string[] {
  const wanted = JSON.parse(readTemplate(readVersion()).find(({ path }) => path === 'package.json')!.text) as {
    readonly dependencies: Readonly<Record<string, string>>;
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  const installed = { ...dependencies, ...devDependencies };
  const lacking = (of: Readonly<Record<string, string>>) =>
    Object.entries(of).flatMap(([name, version]) => (name in installed ? [] : [`${name}@${version}`]));
  const [runs, checks] = [lacking(wanted.dependencies), lacking(wanted.devDependencies)];
  return [
    ...(type === 'module' ? [] : ['npm pkg set type=module']),
    ...(runs.length === 0 ? [] : [`npm install --save-exact ${runs.join(' ')}`]),
    ...(checks.length === 0 ? [] : [`npm install --save-exact --save-dev ${checks.join(' ')}`]),
  ];
}

/** Output of `init`. */
function toLines(folder: string, paths: readonly string[], missing: readonly string[]): string[] {
  const steps = [
    ...(folder === '' ? [] : [`cd ${folder}`]),
    ...(missing.length === 0 ? ['npm install'] : missing),
    'npm test                                   # the projection of the example, in memory',
    'npx crosswalk introspect --out pipeline    # your own tables, of LEGACY_DATABASE_URL',
    'npx crosswalk doctor                       # what the servers lack',
  ];
  return [
    ...paths.map((path) => join(folder, path)),
    '',
    `${toCountText(paths.length)} files are written. Next:`,
    ...steps.map((step) => `  ${step}`),
    'docs/your-own-tables.md says more.',
  ];
}
