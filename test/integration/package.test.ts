import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { copyTree, listFiles, root } from '../bugs/tree.ts';
import { createDatabases, stackAddresses } from '../support/stack.ts';

// The package as people get it: packed from a copy of the working copy, installed by npm in a project outside of it, without a network, and used from there. What it depends on lies in the
// project already, copied from here: a dependency that package.json does not list is missing there.

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

/** Files that people get as they are, TypeScript and tests of theirs among them. */
const TEMPLATE = 'dist/scaffold/template/';
const MAX_PACKED_BYTES = 1_500_000;
const MAX_UNPACKED_BYTES = 6_000_000;

let dir: string;
let project: string;
let installed: string;
let manifest: Manifest;
let packedBytes: number;

/** A shell of somebody who has this Node.js and nothing of this working copy. */
const newcomer = () => ({ PATH: [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter), HOME: dir });

/** Runs a program in the project. Never throws: code, standard output and standard error. */
function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((done) => {
    execFile(
      program,
      args,
      { cwd: project, env: { ...newcomer(), ...env }, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => done({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}
const crosswalk = (args: readonly string[], env?: Readonly<Record<string, string>>) =>
  run('node_modules/.bin/crosswalk', args, env);

/** npm, which is where this run found it, and asks nobody anything. */
function npm(cwd: string, ...args: readonly string[]): void {
  const settings = {
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
    npm_config_cache: join(dir, 'npm'),
  };
  execFileSync('npm', [...args, '--silent', '--no-audit', '--no-fund'], {
    cwd,
    env: { ...newcomer(), PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** What package-lock.json lists for those who use the package, with the commands that npm makes of it: it would install anew what lacks its own. Some of it is for other platforms. */
function copyDependencies(): void {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; bin?: Record<string, string> }>;
  };
  const commands = join(project, 'node_modules/.bin');
  mkdirSync(commands, { recursive: true });
  for (const [path, { dev, devOptional, bin = {} }] of Object.entries(packages)) {
    if (!/^node_modules\/(?!.*node_modules)/.test(path) || dev || devOptional || !existsSync(join(root, path)))
      continue;
    cpSync(join(root, path), join(project, path), { recursive: true });
    for (const [name, file] of Object.entries(bin)) symlinkSync(join('../..', path, file), join(commands, name));
  }
}

/** Hidden ones too; not what Node.js keeps of what it has compiled. */
const packedFiles = () =>
  readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(installed, join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('dist/node_modules/'))
    .sort();
const contentOf = (file: string) => readFileSync(join(installed, file), 'utf8');

beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-package-')));
  const tree = join(dir, 'tree');
  copyTree(listFiles(), root, tree);
  npm(tree, 'pack', '--pack-destination', dir);
  const tarball = join(dir, globSync('*.tgz', { cwd: dir })[0]!);
  packedBytes = statSync(tarball).size;

  project = join(dir, 'project');
  installed = join(project, 'node_modules/crosswalk');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }\n');
  copyDependencies();
  npm(project, 'install', '--ignore-scripts', tarball);
  manifest = JSON.parse(contentOf('package.json')) as Manifest;
  // The copy is gone when the package is used: nothing in it may refer to where it was made.
  rmSync(tree, { recursive: true, force: true });
}, 120_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('what is packed', () => {
  test('is what runs, what it reads, and pages: no tests, no sources, no settings of anybody', () => {
    const expected = [
      /^dist\/.+\.(js|d\.ts|sql|json)$/,
      /^dist\/cli\/crosswalk\.sh$/,
      /^dist\/infra\/embedded\/kafka\/[a-z0-9.]+$/,
      /^docs\/[a-z-]+\.md$/,
      /^infra\/prometheus\/[a-z]+\.yaml$/,
    ];
    const files = packedFiles().filter((file) => !file.startsWith(TEMPLATE));
    const others = files.filter((file) => !expected.some((pattern) => pattern.test(file)));
    expect(others).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
    const wrong =
      /(^|\/)(tests?|bench|chaos|node_modules|\.\w+)\/|(^|\/)\.|\.(test|map|tgz|env|log|pem|key)\b|password|secret/;
    expect(files.filter((file) => wrong.test(file))).toEqual([]);
  });

  test('holds every file of a compiled folder that is not compiled, unchanged and at its place', () => {
    const compiled = new Set(packedFiles().map((file) => /^dist\/([^/]+)\/.*\.js$/.exec(file)?.[1]));
    const read = listFiles().filter(
      (file) =>
        compiled.has(file.split('/')[0]) &&
        (/\.(sql|json|properties)$|pom\.xml$/.test(file) || `dist/${file}`.startsWith(TEMPLATE)),
    );
    expect(read.filter((file) => file.endsWith('.sql')).length).toBeGreaterThan(40);
    for (const file of read) expect(contentOf(`dist/${file}`), file).toBe(readFileSync(join(root, file), 'utf8'));
  });

  test('is small, and names no place of the machine that it was made on, nor where packages come from', () => {
    expect(packedBytes).toBeLessThan(MAX_PACKED_BYTES);
    const contents = packedFiles().map((file) => ({ file, text: contentOf(file) }));
    expect(contents.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(MAX_UNPACKED_BYTES);
    const places = [dir, realpathSync(root), process.env.HOME].filter(
      (place) => place !== undefined && place.length > 5,
    );
    for (const { file, text } of contents) {
      for (const place of places) expect(text.includes(place!), `${file} names ${place}`).toBe(false);
      expect(text, file).not.toMatch(/registry\.[a-z]+\.(org|com|io|dev)\b|_authToken|sourceMappingURL/);
    }
  });

  test('imports no TypeScript, and only what the package has or depends on', () => {
    const wrong = packedFiles()
      .filter((file) => /\.(js|d\.ts)$/.test(file) && !file.startsWith(TEMPLATE))
      .flatMap((file) =>
        [
          ...contentOf(file).matchAll(/(?:^(?:import|export)\b[^'"`;]*?from |^import |\bimport\()["']([^"']+)["']/gm),
        ].flatMap(([, name]) => {
          if (name!.startsWith('.')) return existsSync(join(installed, dirname(file), name!)) ? [] : `${file}: ${name}`;
          const bare = name!
            .split('/')
            .slice(0, name!.startsWith('@') ? 2 : 1)
            .join('/');
          return name!.startsWith('node:') || bare in manifest.dependencies || file.startsWith('dist/testkit/')
            ? []
            : `${file}: ${name}`;
        }),
      );
    expect(wrong).toEqual([]);
  });
});

/** What a team writes for a table `things`. */
const OWN_PIPELINE = {
  'crosswalk.config.ts': `
    import { definePipeline, defineProjection, parseNumeric, type Cell } from 'crosswalk';

    const toPrice = (cell: Cell): Cell => (cell === null ? null : parseNumeric(cell));
    const things = defineProjection({
      name: 'things', version: '1', source: 'things', requires: ['id'], reads: ['id', 'price'], aggregates: [],
      owned: [{ table: 'things_new', columns: ['id', 'price'], retract: 'delete', scope: { column: 'id', of: (key) => key } }],
      map: (row) => ({ rows: { things_new: [{ id: row.id ?? null, price: toPrice(row.price ?? null) }] }, contributions: [] }),
    });
    export default definePipeline({
      name: 'shop', folder: import.meta.dirname, targetSchema: 'shop', sources: ['things'], projections: [things],
      migrations: 'migrations', tenants: { file: 'tenants.json', parse: () => () => ({}) }, stages: ['nothing', 'things'],
    });
  `,
  'tenants.json': '{ "default": {}, "tenants": {} }',
  'migrations/001_things.up.sql':
    'CREATE SCHEMA shop;\nCREATE TABLE shop.things_new (id text PRIMARY KEY, price numeric);\n',
  'migrations/001_things.down.sql': 'DROP SCHEMA shop CASCADE;\n',
};

describe('the command', () => {
  /** What `migrate plan` prints in the project, with a legacy database of this schema and an empty target. */
  async function planMigration(legacySchema: string): Promise<string> {
    const { legacyUrl, targetUrl, drop } = await createDatabases('package');
    try {
      const legacy = await connect(legacyUrl, 'package');
      await legacy.query(legacySchema).finally(() => legacy.end());
      const { kafkaBrokers, registryUrl } = stackAddresses();
      const env = {
        ...{ LEGACY_DATABASE_URL: legacyUrl, TARGET_DATABASE_URL: targetUrl, TARGET_OWNER_URL: targetUrl },
        ...{ KAFKA_BROKERS: kafkaBrokers, SCHEMA_REGISTRY_URL: registryUrl },
      };
      const { code, stdout, stderr } = await crosswalk(['migrate', 'plan'], env);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout;
    } finally {
      await drop();
    }
  }

  test('runs by the link that npm makes, with the version of package.json', async () => {
    expect(await crosswalk(['--version'])).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' });
    const help = await crosswalk(['--help']);
    expect(help.stdout).toMatch(/^Usage: crosswalk/);
    expect(help.code).toBe(0);
  });

  test('says which Node.js it needs where this one is too old', async () => {
    const old = await run(process.execPath, ['--no-strip-types', join(installed, 'dist/cli/main.js'), '--version']);
    expect(old.code).toBe(2);
    expect(old.stderr).toMatch(/^crosswalk: Node\.js v\S+ does not run TypeScript as it is: install version [^\n]+\n$/);
  });

  test('reads the SQL that it brings along: the plan of the shipped migration, on new databases', async () => {
    const plan = await planMigration(contentOf('dist/pipelines/crm/sample/legacy-schema.sql'));
    expect(plan).toContain('CREATE TABLE crosswalk.consumer_offset (');
    expect(plan).toContain('CREATE TABLE crm.quotes_new');
  });

  test("runs a pipeline of the project's own, in TypeScript", async () => {
    mkdirSync(join(project, 'migrations'));
    for (const [file, content] of Object.entries(OWN_PIPELINE)) writeFileSync(join(project, file), content);
    const plan = await planMigration('CREATE TABLE things (id int8 PRIMARY KEY, price text)');
    expect(plan).toContain('CREATE TABLE shop.things_new');
    expect(plan).not.toContain('crm.');
  });
});

describe('the interface', () => {
  const entries = () => Object.keys(manifest.exports).filter((name) => !name.endsWith('.json'));
  const importAll = () =>
    entries().map(
      (name, at) => `import * as entry${at} from '${name.replace(/^\./, 'crosswalk')}';\nvoid entry${at};\n`,
    );

  test('runs without a flag and without what is optional, and nothing behind it can be imported', async () => {
    writeFileSync(join(project, 'use.ts'), `${importAll().join('')}const done: string = 'done';\nconsole.log(done);\n`);
    expect(await run(process.execPath, ['use.ts'])).toEqual({ code: 0, stdout: 'done\n', stderr: '' });
    writeFileSync(join(project, 'behind.ts'), `import 'crosswalk/dist/cli/main.js';\n`);
    expect((await run(process.execPath, ['behind.ts'])).stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  test('has declarations that say no, and need nothing but what is optional, which is there now', async () => {
    writeFileSync(
      join(project, 'typed.ts'),
      `${importAll().join('')}
       import { type Cell, defineProjection, parseNumeric, toTenantId } from 'crosswalk';
       const amount: Cell = parseNumeric('1.50');
       export const p = defineProjection({
         name: 'p', version: '1', source: 't', requires: [], reads: ['id'], aggregates: [],
         owned: [{ table: 'n', columns: ['id', 'amount'], retract: 'delete', scope: { column: 'id', of: (key) => key } }],
         map: (row) => ({ rows: { n: [{ id: row.id ?? null, amount, tenant_id: toTenantId(row.id) }] }, contributions: [] }),
       });
       // @ts-expect-error
       export const one: number = parseNumeric('1');\n`,
    );
    symlinkSync(join(root, 'node_modules/fast-check'), join(project, 'node_modules/fast-check'));
    // Libraries too, as whoever wants to know sets it.
    const compilerOptions = { noEmit: true, strict: true, module: 'nodenext', types: [], skipLibCheck: false };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    expect(await run(process.execPath, [tsc, '-p', 'tsconfig.json'])).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});
