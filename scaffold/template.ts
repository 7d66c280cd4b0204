import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { NewFile } from './introspection.ts';

/** Files that users get unchanged. They are checked with the project and covered by its tests. */
const TEMPLATE = join(import.meta.dirname, 'template');

/** Files stored under other names because npm, TypeScript or git would interpret the real ones here: npm leaves every .gitignore out of a package. */
const NAMES: Readonly<Record<string, string>> = {
  'gitignore.template': '.gitignore',
  'package.template.json': 'package.json',
  'tsconfig.template.json': 'tsconfig.json',
};

/** The initial files of a repository. `version`: the version of crosswalk that it depends on. */
export function readTemplate(version: string): NewFile[] {
  return readdirSync(TEMPLATE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      const path = relative(TEMPLATE, file).split(sep).join('/');
      const text = readFileSync(file, 'utf8');
      return path in NAMES
        ? { path: NAMES[path]!, text: text.replace('"VERSION"', JSON.stringify(version)) }
        : { path, text };
    })
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
