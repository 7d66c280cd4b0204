import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const PRODUCT = [
  'assess',
  'changes',
  'cli',
  'connectors',
  'infra/stack',
  'monitor',
  'pipelines',
  'projectors',
  'runtime',
  'scaffold',
  'schemas',
];
const files = PRODUCT.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root })).sort();
const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));

interface Import {
  readonly name: string;
  readonly isType: boolean;
}

/** What a file imports or re-exports: packages by name, files of this project by their path from the root. */
function importsOf(file: string): Import[] {
  const pattern = /^(?:import|export)\s+(type\s)?[^'"`;]*?from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...(sources.get(file) ?? '').matchAll(pattern)].map((match) => {
    const name = (match[2] ?? match[3] ?? match[4])!;
    return { name: name.startsWith('.') ? normalize(join(dirname(file), name)) : name, isType: match[1] !== undefined };
  });
}

interface BiomeOverride {
  readonly includes: readonly string[];
  readonly linter: { readonly rules: { readonly correctness?: { readonly noNodejsModules?: string } } };
}

/** The pure modules, as biome.json lists them. */
function pureModules(): string[] {
  const { overrides } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as { overrides: BiomeOverride[] };
  const { includes } = overrides.find(({ linter }) => linter.rules.correctness?.noNodejsModules === 'error')!;
  const match = (pattern: string) => globSync(pattern, { cwd: root }).filter((file) => file.endsWith('.ts'));
  const excluded = new Set(includes.filter((pattern) => pattern.startsWith('!')).flatMap((p) => match(p.slice(1))));
  return includes
    .filter((pattern) => !pattern.startsWith('!'))
    .flatMap(match)
    .filter((file) => !excluded.has(file));
}

describe('pure modules', () => {
  const pure = pureModules();

  test('are those that decode, map, merge and build SQL', () => {
    for (const file of [
      'changes/change.ts',
      'changes/lsn.ts',
      'connectors/partition.ts',
      'changes/pgoutput.ts',
      'connectors/position.ts',
      'connectors/snapshot/visibility.ts',
      'projectors/projection.ts',
      'pipelines/crm/projections/contacts.ts',
      'pipelines/crm/projections/quotes.ts',
      'projectors/source-change.ts',
      'pipelines/crm/tenants.ts',
      'pipelines/crm/values/phone.ts',
      'projectors/write/map-changes.ts',
      'projectors/write/statements.ts',
      'pipelines/crm/sample/random.ts',
      'pipelines/crm/sample/rows/contacts.ts',
      'scaffold/introspection.ts',
      'schemas/avro/encode.ts',
    ])
      expect(pure).toContain(file);
  });

  test.each(pure)('%s reaches nothing that does input or output', (start) => {
    const allowed = new Set(['avsc', 'libphonenumber-js/max', 'pipelines/crm/placeholders.json']);
    // Hashing is a function of its input.
    const isHash = (file: string, name: string) => file === 'projectors/values/uuid5.ts' && name === 'node:crypto';
    const seen = new Set([start]);
    const wrong: string[] = [];
    for (const file of seen) {
      for (const { name, isType } of importsOf(file)) {
        if (sources.has(name)) {
          if (!isType) seen.add(name);
        } else if (!allowed.has(name) && !isHash(file, name)) wrong.push(`${file} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test.each(pure)('%s has no clock and no dice', (file) => {
    expect(sources.get(file)).not.toMatch(/Date\.now\(|new Date\(\)|performance\.now\(|Math\.random\(|randomUUID\(/);
  });
});

describe('every module', () => {
  test('but one leaves kafkajs alone', () => {
    expect(files.filter((file) => importsOf(file).some(({ name }) => name.startsWith('kafkajs')))).toEqual([
      'runtime/kafka/kafkajs.ts',
    ]);
  });

  test('but the command line leaves the environment and the exit code alone', () => {
    // Programs that the stack starts inherit the environment; run.ts is a program of its own.
    const readers = files.filter((file) => /process\.(env|exitCode|exit)\b/.test(sources.get(file)!));
    expect(readers.filter((file) => file !== 'cli/main.ts' && !file.startsWith('infra/stack/'))).toEqual([]);
  });

  // The floors of the house, from below: each knows those beneath it.
  const mayImport: Record<string, readonly string[]> = {
    runtime: [],
    changes: ['runtime'],
    schemas: ['changes', 'runtime'],
    connectors: ['changes', 'runtime', 'schemas'],
    projectors: ['changes', 'connectors', 'runtime', 'schemas'],
    monitor: ['changes', 'connectors', 'projectors', 'runtime', 'schemas'],
    assess: ['changes', 'connectors', 'monitor', 'projectors', 'runtime', 'schemas'],
    pipelines: ['projectors', 'schemas'],
    scaffold: ['runtime', 'schemas'],
    infra: [],
    cli: ['assess', 'changes', 'connectors', 'infra', 'monitor', 'projectors', 'runtime', 'scaffold', 'schemas'],
  };
  test.each(Object.keys(mayImport))('of %s imports only from folders that it may know', (folder) => {
    const wrong = files
      .filter((file) => file.startsWith(`${folder}/`))
      .flatMap((file) => importsOf(file).map(({ name }) => ({ file, name })))
      .filter(({ name }) => /^[a-z]+\//.test(name) && name.endsWith('.ts'))
      .filter(({ name }) => ![folder, ...mayImport[folder]!].includes(name.split('/')[0]!));
    expect(wrong).toEqual([]);
  });

  test('of a file with a relative import finds it', () => {
    const relative = files.flatMap((file) => importsOf(file).filter(({ name }) => name.endsWith('.ts')));
    expect(relative.length).toBeGreaterThan(100);
    expect(relative.filter(({ name }) => !sources.has(name))).toEqual([]);
  });
});

describe('lint', () => {
  const dir = mkdtempSync(join(tmpdir(), 'crosswalk-lint-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  cpSync(join(root, 'biome.json'), join(dir, 'biome.json'));

  /** The rules that a file of this content, at this path, breaks. */
  function broken(file: string, content: string): string[] {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), content);
    const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
    const args = ['lint', '--vcs-enabled=false', '--reporter=github', file];
    try {
      return rulesIn(execFileSync(process.execPath, [biome, ...args], { cwd: dir, encoding: 'utf8', stdio: 'pipe' }));
    } catch (error) {
      return rulesIn((error as { stdout: string }).stdout);
    } finally {
      rmSync(join(dir, file));
    }
  }
  const rulesIn = (output: string) => [
    ...new Set([...output.matchAll(/title=lint\/([a-zA-Z/]+)/g)].map((match) => match[1]!)),
  ];
  const imports = (name: string) => `import { value } from '${name}';\n\nexport const used = value;\n`;

  test.each([
    ['changes/pgoutput.ts', 'node:fs'],
    ['changes/lsn-text.ts', 'node:timers/promises'],
    ['pipelines/crm/projections/quotes/rows.ts', 'pg'],
    ['pipelines/crm/values/phone.ts', 'kafkajs'],
    ['pipelines/crm/values/phone.ts', '../../../runtime/postgres.ts'],
    ['projectors/write/statements.ts', 'prom-client'],
    ['pipelines/crm/sample/rows/quotes.ts', 'node:crypto'],
    ['schemas/avro/encode.ts', 'pino'],
    ['projectors/project.ts', 'kafkajs'],
  ])('keeps %s from importing %s', (file, name) => {
    expect(broken(file, imports(name))).toContain('style/noRestrictedImports');
  });

  test.each([
    ['type', `import type pg from 'pg';\n\nexport type Client = pg.Client;\n`],
    ['dynamic', `export const fs = await import('node:fs');\n`],
  ])('sees a %s import', (_, content) => {
    expect(broken('projectors/values/text.ts', content)).toContain('style/noRestrictedImports');
  });

  test.each([
    ['pipelines/crm/values/phone.ts', 'libphonenumber-js/max'],
    ['connectors/position.ts', '../runtime/errors.ts'],
    ['runtime/kafka/kafkajs.ts', 'kafkajs'],
    ['projectors/project.ts', '../runtime/postgres.ts'],
  ])('lets %s import %s', (file, name) => {
    expect(broken(file, imports(name))).toEqual([]);
  });

  test('keeps the environment for the command line, and the console from the flow', () => {
    const content = 'export const home = process.env.HOME;\nconsole.log(home);\n';
    expect(broken('runtime/log.ts', content).sort()).toEqual(['style/noProcessEnv', 'suspicious/noConsole']);
    expect(broken('cli/main.ts', content)).toEqual([]);
  });

  test('sees a promise that nobody waits for', () => {
    const content = 'async function work(): Promise<void> {}\n\nexport function start(): void {\n  work();\n}\n';
    expect(broken('connectors/connect.ts', content)).toContain('nursery/noFloatingPromises');
  });
});
