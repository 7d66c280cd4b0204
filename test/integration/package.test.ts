import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { listFiles, root } from '../bugs/tree.ts';
import { createPackedProject, type PackedProject } from '../support/packed-project.ts';
import { createDatabases, stackAddresses } from '../support/stack.ts';

// The package as people get it: test/support/packed-project.ts.

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

let packed: PackedProject;
let dir: string;
let project: string;
let installed: string;
let manifest: Manifest;

const run: PackedProject['run'] = (program, args, env) => packed.run(program, args, env);
const crosswalk: PackedProject['crosswalk'] = (args, env) => packed.crosswalk(args, env);

/** Hidden ones too; not what Node.js keeps of what it has compiled. */
const packedFiles = () =>
  readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(installed, join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('dist/node_modules/'))
    .sort();
const contentOf = (file: string) => readFileSync(join(installed, file), 'utf8');

beforeAll(() => {
  packed = createPackedProject();
  ({ dir, project } = packed);
  installed = join(project, 'node_modules/crosswalk');
  manifest = JSON.parse(contentOf('package.json')) as Manifest;
}, 120_000);

afterAll(() => packed?.remove());

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
    expect(packed.packedBytes).toBeLessThan(MAX_PACKED_BYTES);
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
