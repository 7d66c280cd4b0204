import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { applyPatch, type Bug, readBugs } from '../bugs/bug.ts';

// Whether they are caught takes minutes to see: make bugs.

const root = resolve(import.meta.dirname, '../..');
const bugs = readBugs(join(root, 'test/bugs'));

test('there are bugs, each with a sentence of its own', () => {
  expect(bugs.length).toBeGreaterThan(50);
  expect(new Set(bugs.map(({ bug }) => bug)).size).toBe(bugs.length);
});

describe.each(bugs.map((bug): [string, Bug] => [bug.name, bug]))('%s', (_, bug) => {
  test('still applies', () => {
    expect(applyPatch(root, bug.file, true)).toBeNull();
  });

  test('changes product code alone, and names tests that exist', () => {
    const changed = [...readFileSync(bug.file, 'utf8').matchAll(/^[+-]{3} [ab]\/(\S+)$/gm)].map((match) => match[1]!);
    expect(changed.length).toBeGreaterThan(0);
    for (const file of changed)
      expect(file).toMatch(/^(changes|cli|connectors|monitor|pipelines|projectors|runtime|schemas)\//);
    for (const file of bug.tests) {
      expect(file).toMatch(/^test\/(unit|integration)\/.*\.test\.ts$/);
      expect(existsSync(join(root, file)), file).toBe(true);
    }
    // A name that no test has would run none of them.
    const sources = bug.tests.map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
    if (bug.testName !== null) expect(sources).toContain(bug.testName);
  });
});

describe('a patch', () => {
  const dir = mkdtempSync(join(tmpdir(), 'crosswalk-patch-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const [bug] = bugs;
  const [file] = [...readFileSync(bug!.file, 'utf8').matchAll(/^\+{3} b\/(\S+)$/gm)].map((match) => match[1]!);
  mkdirSync(dirname(join(dir, file!)), { recursive: true });
  cpSync(join(root, file!), join(dir, file!));
  const read = () => readFileSync(join(dir, file!), 'utf8');

  test('applies where there is no repository, once', () => {
    const before = read();
    expect(applyPatch(dir, bug!.file, true)).toBeNull();
    expect(read()).toBe(before);
    expect(applyPatch(dir, bug!.file)).toBeNull();
    expect(read()).not.toBe(before);
    expect(applyPatch(dir, bug!.file, true)).toMatch(/patch does not apply/);
  });
});
