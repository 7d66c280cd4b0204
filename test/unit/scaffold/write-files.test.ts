import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeFiles } from '../../../scaffold/write-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crosswalk-write-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const files = ['a/one.ts', 'a/b/two.ts', 'three.ts'].map((path) => ({ path, text: `// ${path}\n` }));
const tree = () => readdirSync(folder, { recursive: true }).map(String).sort();

test('all files are written, with their folders', () => {
  writeFiles(join(folder, 'new/folder'), files);
  for (const { path, text } of files) expect(readFileSync(join(folder, 'new/folder', path), 'utf8')).toBe(text);
});

test('none is written over another one, which are all named', () => {
  mkdirSync(join(folder, 'a'));
  writeFileSync(join(folder, 'a/one.ts'), 'mine');
  symlinkSync('/nowhere/at/all', join(folder, 'three.ts'));
  const before = tree();
  expect(() => writeFiles(folder, files)).toThrow(/^Nothing is written: \S*a\/one\.ts, \S*three\.ts exist already$/);
  expect(tree()).toEqual(before);
  expect(readFileSync(join(folder, 'a/one.ts'), 'utf8')).toBe('mine');
  expect(existsSync('/nowhere/at/all')).toBe(false);
});

test('what was written before one that cannot be is taken back', () => {
  writeFileSync(join(folder, 'file'), '');
  const last = { path: 'file/four.ts', text: '' };
  expect(() => writeFiles(folder, [...files, last])).toThrow(/^Nothing is written: .*(ENOTDIR|EEXIST)/);
  expect(tree()).toEqual(['file']);
});
