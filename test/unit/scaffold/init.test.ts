import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { init } from '../../../cli/commands/init.ts';
import { createUserFolder, typeCheck, type UserFolder, writeAll } from '../../support/type-check.ts';

const root = resolve(import.meta.dirname, '../../..');
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
const WRITTEN = [
  ...['.gitignore', 'crosswalk.config.ts', 'package.json', 'pipeline/migrations/001_rejects.down.sql'],
  ...['pipeline/migrations/001_rejects.up.sql', 'pipeline/migrations/002_customers.down.sql'],
  ...['pipeline/migrations/002_customers.up.sql', 'pipeline/pipeline.ts', 'pipeline/projections/customers.ts'],
  ...['pipeline/tenants.json', 'pipeline/values/email.ts', 'test/customers.test.ts', 'tsconfig.json'],
];

let user: UserFolder;
let printed: string;
beforeEach(() => {
  user = createUserFolder();
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  user.remove();
});
const read = (path: string) => readFileSync(join(user.path, path), 'utf8');
const tree = () =>
  readdirSync(user.path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name).slice(user.path.length + 1))
    .sort();

describe('init in an empty folder', () => {
  test('writes files that compile, and a test that passes', () => {
    expect(init(user.path, {})).toBe(true);
    expect(tree()).toEqual([...WRITTEN].sort());
    expect(printed).toContain('13 files are written. Next:');
    expect(printed).toContain('\n  npm install\n');
    expect(typeCheck(user.path)).toBe('');
    const tested = spawnSync(process.execPath, ['--test'], { cwd: user.path, encoding: 'utf8' });
    expect(`${tested.status}\n${tested.stdout}`).toMatch(/^0\n[\s\S]*\btests 4\b[\s\S]*\bpass 4\b/);
  });

  test('writes a test that fails where the mapping is wrong', () => {
    init(user.path, {});
    writeFileSync(
      join(user.path, 'pipeline/values/email.ts'),
      read('pipeline/values/email.ts').replace('toLowerCase(trim(cell))', 'cell'),
    );
    const tested = spawnSync(process.execPath, ['--test'], { cwd: user.path, encoding: 'utf8' });
    expect(tested.status).toBe(1);
    expect(tested.stdout).toContain('email');
  });

  test('names this crosswalk, and the versions that it is tested with', () => {
    init(user.path, {});
    const made = JSON.parse(read('package.json')) as typeof own;
    expect(made).toMatchObject({ type: 'module', dependencies: { crosswalk: own.version }, engines: own.engines });
    for (const [name, version] of Object.entries(made.devDependencies!))
      expect([name, version]).toEqual([name, own.devDependencies![name]]);
    expect(read('.gitignore')).toContain('.env\n');
  });
});

describe('init where something is already', () => {
  test('leaves a package.json as it is, and says what it lacks', () => {
    const mine = '{ "name": "mine", "devDependencies": { "typescript": "5.9.2" } }';
    writeAll(user.path, [
      { path: 'package.json', text: mine },
      { path: '.git/HEAD', text: 'ref' },
    ]);
    expect(init(user.path, { json: true })).toBe(true);
    expect(read('package.json')).toBe(mine);
    const { files, missing } = JSON.parse(printed) as { files: string[]; missing: string[] };
    expect(files).toEqual(WRITTEN.filter((path) => path !== 'package.json'));
    expect(missing).toEqual([
      'npm pkg set type=module',
      `npm install --save-exact crosswalk@${own.version}`,
      expect.stringMatching(/^npm install --save-exact --save-dev @types\/node@\S+ fast-check@\S+$/),
    ]);
  });

  test('writes nothing over a file, and names every one that is there', () => {
    writeAll(user.path, [
      { path: 'tsconfig.json', text: '{}' },
      { path: 'pipeline/pipeline.ts', text: '// mine' },
    ]);
    expect(() => init(user.path, {})).toThrow(
      /^Nothing is written: \S*pipeline\/pipeline\.ts, \S*tsconfig\.json exist already$/,
    );
    expect(tree()).toEqual(['pipeline/pipeline.ts', 'tsconfig.json']);
    expect(read('pipeline/pipeline.ts')).toBe('// mine');
  });

  test('writes nothing beside a package.json that is none', () => {
    writeAll(user.path, [{ path: 'package.json', text: '{ "name": ' }]);
    expect(() => init(user.path, {})).toThrow(/^Nothing is written: \S*package\.json cannot be read/);
    expect(tree()).toEqual(['package.json']);
    expect(existsSync(join(user.path, 'pipeline'))).toBe(false);
  });
});
