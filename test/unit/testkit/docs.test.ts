import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { parseBlocks } from '../../support/doc-blocks.ts';

const root = resolve(import.meta.dirname, '../../..');
const PAGE = 'docs/testing-projections.md';
const example = parseBlocks(PAGE, readFileSync(join(root, PAGE), 'utf8')).find(
  ({ language }) => language === 'ts',
)!.text;
/** What the example imports, and where it is here. */
const modules = { 'crosswalk/testkit': 'testkit/testkit.ts', './shop.ts': 'test/unit/testkit/shop.ts' };

/** Runs a text as a file of tests, without vitest; returns what the runner prints, and whether all tests pass. */
function run(text: string): { passes: boolean; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'crosswalk-testkit-'));
  const file = join(folder, 'shop.test.ts');
  const resolved = Object.entries(modules).reduce(
    (left, [name, path]) => left.replaceAll(`'${name}'`, `'${pathToFileURL(join(root, path)).href}'`),
    text,
  );
  writeFileSync(file, resolved);
  try {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    return {
      passes: true,
      output: execFileSync(process.execPath, ['--test', file], { encoding: 'utf8', env, stdio: 'pipe' }),
    };
  } catch (error) {
    return { passes: false, output: (error as { stdout: string }).stdout };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the example of the page passes, in the runner of Node.js', () => {
  const { passes, output } = run(example);
  expect(output).toMatch(/pass 4\n/);
  expect(passes).toBe(true);
});

test('and fails where a row is another one, with the difference', () => {
  const { passes, output } = run(example.replace("number: '1', total: '12.50' }]", "number: '1', total: '12.00' }]"));
  expect(output).toMatch(/orders_new\n +id \S+ \(of orders \["north","1"\]\)\n +total: expected "12\.00", is "12\.50"/);
  expect(passes).toBe(false);
});
