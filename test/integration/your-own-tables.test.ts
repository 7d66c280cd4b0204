// docs/your-own-tables.md, from an empty folder to rows that are verified: what the page says to type is typed, what it shows is what is there.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { type DocBlock, isShell, parseBlocks, toCommands } from '../support/doc-blocks.ts';
import { createDatabases, stackAddresses } from '../support/stack.ts';
import { createUserFolder, type UserFolder } from '../support/type-check.ts';

const root = resolve(import.meta.dirname, '../..');
const PAGE = 'docs/your-own-tables.md';
const blocks = parseBlocks(PAGE, readFileSync(join(root, PAGE), 'utf8'));
const blockOf = (text: string): DocBlock => {
  const found = blocks.filter((block) => block.text.includes(text));
  if (found.length !== 1) throw new Error(`${PAGE}: ${found.length} blocks have ${text}`);
  return found[0]!;
};

const LEGACY = `
  CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('new', 'paid', 'cancelled')), total numeric(12, 2));
  CREATE TABLE order_items (order_id bigint REFERENCES orders, line int, tenant_id text NOT NULL, product text, PRIMARY KEY (order_id, line));
  INSERT INTO orders (tenant_id, status, total) SELECT 't' || n % 3, (ARRAY['new', 'paid', 'cancelled'])[1 + n % 3], n * 1.5 FROM generate_series(1, 50) n;
  INSERT INTO order_items SELECT id, n, tenant_id, 'Product ' || n FROM orders CROSS JOIN generate_series(1, 3) n;
`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let user: UserFolder;
let env: Record<string, string>;

beforeAll(async () => {
  databases = await createDatabases('own_tables');
  const legacy = await connect(databases.legacyUrl, 'test');
  await legacy.query(LEGACY).finally(() => legacy.end());
  user = createUserFolder();
  const bin = join(user.path, 'node_modules/.bin');
  mkdirSync(bin);
  // What npm links for the packages that are there.
  writeFileSync(join(bin, 'crosswalk'), `#!/bin/sh\nexec "${process.execPath}" "${root}/cli/main.ts" "$@"\n`);
  chmodSync(join(bin, 'crosswalk'), 0o755);
  symlinkSync(join(root, 'node_modules/.bin/tsc'), join(bin, 'tsc'));
  const name = `own_${randomBytes(4).toString('hex')}`;
  const { kafkaBrokers, registryUrl } = stackAddresses();
  env = {
    ...{ LEGACY_DATABASE_URL: databases.legacyUrl, TARGET_DATABASE_URL: databases.targetUrl },
    ...{ KAFKA_BROKERS: kafkaBrokers, SCHEMA_REGISTRY_URL: registryUrl, LOG_LEVEL: 'warn' },
    ...{ CROSSWALK_TOPIC_PREFIX: name, CROSSWALK_SLOT: name, CROSSWALK_PUBLICATION: name },
  };
});
afterAll(async () => {
  user?.remove();
  await databases?.drop();
});

/** Types commands in the folder of the user. What they leave running in the background is told to stop when the last one has ended. */
async function type(text: string): Promise<{ code: number | null; output: string }> {
  const child = spawn('bash', ['-c', text], {
    cwd: user.path,
    env: {
      PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
      HOME: user.path,
      npm_config_offline: 'true',
      npm_config_update_notifier: 'false',
      CROSSWALK_ENV_FILE: '/nowhere/env',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  child.once('exit', () => {
    try {
      process.kill(-child.pid!, 'SIGTERM');
    } catch {
      // Nothing runs any more.
    }
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (said: string) => {
      output += said;
    });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, output };
}
async function expectTyped(text: string): Promise<string> {
  const { code, output } = await type(text);
  expect(`${code}\n${output}`).toMatch(/^0\n/);
  return output;
}
const read = (path: string) => readFileSync(join(user.path, path), 'utf8');

describe('the page', () => {
  test('has no block that nobody tries', () => {
    expect(blocks.filter((block) => !isShell(block)).map(({ language }) => language)).toEqual(['ts', 'ts']);
    expect(blocks.filter(isShell)).toHaveLength(4);
  });

  test('begins with a repository of which the test passes', async () => {
    const [init, install, run] = toCommands(blockOf('crosswalk init')).map(({ text }) => text) as [
      string,
      string,
      string,
    ];
    expect(await expectTyped(init)).toContain('files are written. Next:');
    // Its packages are linked already: nothing is fetched in a test.
    expect(install).toBe('npm install');
    expect(await expectTyped(run)).toMatch(/\bpass 4\b/);
  });

  test('has no repository written where one is, whatever state it is in', async () => {
    const { code, output } = await type(
      `mkdir other && cd other && echo 'throw new Error()' > crosswalk.config.ts && ../node_modules/.bin/crosswalk init`,
    );
    expect(`${code} ${output}`).toMatch(
      /^2 crosswalk init: Nothing is written: crosswalk\.config\.ts exists already\. /,
    );
    expect(readdirSync(join(user.path, 'other'))).toEqual(['crosswalk.config.ts']);
    rmSync(join(user.path, 'other'), { recursive: true });
  });

  test('has the tables read, and shows the type that they get', async () => {
    const [set, dry, introspect] = toCommands(blockOf('introspect')).map(({ text }) => text) as [
      string,
      string,
      string,
    ];
    expect(set).toMatch(/^export LEGACY_DATABASE_URL=/);
    expect(await expectTyped(dry)).toContain('8 files would be written for 2 tables.');
    const printed = await expectTyped(introspect);
    const shown = blockOf('export type OrdersRow').text;
    expect(read('pipeline/legacy/orders.ts')).toContain(shown);
    expect(read('pipeline/migrations/003_orders.up.sql')).toContain("SELECT crosswalk.adopt('app.orders', 0);");
    // What it says to add is what the page has.
    const pipeline = blockOf('definePipeline').text;
    for (const line of printed.split('\n').filter((line) => line.startsWith('  import ')))
      expect(pipeline).toContain(line.trim());
  });

  test('has them put into the pipeline, which compiles', async () => {
    for (const path of [
      'pipeline/projections/customers.ts',
      'pipeline/values',
      'test',
      'pipeline/migrations/002_customers.up.sql',
      'pipeline/migrations/002_customers.down.sql',
    ])
      rmSync(join(user.path, path), { recursive: true });
    writeFileSync(join(user.path, 'pipeline/pipeline.ts'), blockOf('definePipeline').text);
    for (const { text } of toCommands(blockOf('npx tsc'))) await expectTyped(text);
  });

  test('runs it, and finds every row equal', async () => {
    const output = await expectTyped(`set -e\n${blockOf('crosswalk connect').text}`);
    expect(output).toMatch(/^verified: every row is equal \(200 legacy rows/m);
    const target = await connect(databases.targetUrl, 'test');
    try {
      const { rows } = await target.query(
        `SELECT (SELECT count(*) FROM app.orders WHERE origin = 'cdc') AS orders, (SELECT sum(total) FROM app.orders) AS total,
           (SELECT count(DISTINCT id) FROM app.order_items) AS items, (SELECT string_agg(DISTINCT tenant_id, ',') FROM app.order_items) AS tenants`,
      );
      expect(rows).toEqual([{ orders: '50', total: '1912.50', items: '150', tenants: 't0,t1,t2' }]);
    } finally {
      await target.end();
    }
  });
});
