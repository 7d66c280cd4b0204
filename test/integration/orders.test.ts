// examples/orders, which is written as somebody else would: a legacy database of their own on the packed crosswalk, from its first row to a changed mapping. Nothing of it is imported here.
import { randomBytes } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/postgres.ts';
import { deleteTopicsWith } from '../support/connector.ts';
import { type CliProcess, startProgram } from '../support/connector-process.ts';
import { kafkaClientEnv } from '../support/kafka-client.ts';
import { createPackedProject, type PackedProject } from '../support/packed-project.ts';
import { pollUntil } from '../support/poll.ts';
import { createDatabases, stackAddresses } from '../support/stack.ts';

const EXAMPLE = 'examples/orders';
/** What its package.json asks for to test with, and what that asks for. */
const DEVELOPMENT = [
  ...['fast-check', 'pure-rand', 'typescript', `@typescript/typescript-${process.platform}-${process.arch}`],
  ...['@types/node', 'undici-types'],
];
const name = `orders_${randomBytes(4).toString('hex')}`;
/** The projectors' login, and that of people who set stages. */
const logins = { crosswalk_projector: `${name}_project`, crosswalk_operator: `${name}_operate` };

const INITIAL = `
  INSERT INTO shops VALUES ('north', 'North', '{"theme": "dark"}', '2020-05-01 00:00:00+00'), ('south', 'South', NULL, NULL);
  INSERT INTO orders VALUES
    ('north', 1, 'new', ' Ada@Example.org', 'Ada', NULL, 25.00, '{"city": "Leeds", "country": "GB"}', NULL, '2026-01-02 03:04:05.678901+00', '2026-01-02 03:04:05.678901+00'),
    ('north', 2, 'paid', 'bob@example.org', 'Bob', 'usd', 10.50, NULL, 'For you', '2026-01-03 00:00:00+00', '2026-01-03 00:00:00+00'),
    ('north', 3, 'shipped', 'n/a', NULL, 'USD', 7.00, '"call me"', NULL, '2026-01-04 00:00:00+00', '2026-01-04 00:00:00+00'),
    ('south', 1, 'new', 'ada@example.org', 'Ada', NULL, 'NaN', NULL, NULL, '2026-01-05 00:00:00+00', '2026-01-05 00:00:00+00');
  INSERT INTO order_lines VALUES
    ('north', 1, 1, 'tea', '2', 12.50, '{"gift": true}'), ('north', 2, 1, 'cup', '3', 3.50, NULL), ('north', 3, 1, 'pot', 'two', 3.50, NULL), ('north', 3, 2, 'lid', '1', 7.00, NULL);
  INSERT INTO newsletter_signups VALUES
    (1, 'north', 'ADA@example.org ', 'Ada L.', true, '2025-12-01 00:00:00+00', '2026-02-01 00:00:00+00'),
    (2, 'north', 'cleo@example.org', 'Cleo', false, '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00'),
    (5, 'south', 'eve@example.org', 'Eve', true, now(), now());
  INSERT INTO orders SELECT 'south', 100 + n, 'delivered', 'b' || n % 50 || '@example.org', 'Buyer ' || n, NULL, n * 1.10, NULL, NULL, now(), now() FROM generate_series(1, 300) n;
  INSERT INTO order_lines SELECT 'south', 100 + n, 1, 'tea', '1', n * 1.10, NULL FROM generate_series(1, 300) n;`;

/** Each a transaction of its own. */
const CHANGES = [
  `UPDATE orders SET status = 'paid' WHERE shop_id = 'north' AND order_no = 1`,
  `UPDATE orders SET status = 'shipped', total = 26.00 WHERE shop_id = 'north' AND order_no = 1`,
  // Its lines follow.
  `UPDATE orders SET order_no = 20 WHERE shop_id = 'north' AND order_no = 2`,
  // Its lines go with it.
  `DELETE FROM orders WHERE shop_id = 'north' AND order_no = 3`,
  `BEGIN; INSERT INTO orders VALUES ('north', 4, 'new', 'dan@example.org', 'Dan', NULL, 5.00, '{"city": "Oslo"}', NULL, now(), now());
   INSERT INTO order_lines VALUES ('north', 4, 1, 'spoon', ' 4 ', 1.25, NULL), ('north', 4, 2, 'fork', 'some', 1.25, NULL); COMMIT`,
  `INSERT INTO newsletter_signups VALUES (3, 'north', 'Bob@example.org', NULL, true, now(), '2026-01-01 00:00:00+00')`,
  `UPDATE newsletter_signups SET email = 'cleo@example.com' WHERE id = 2`,
  `INSERT INTO newsletter_signups VALUES (4, 'south', 'nobody', NULL, true, now(), now())`,
  `DELETE FROM newsletter_signups WHERE id = 5`,
];

let packed: PackedProject;
let databases: Awaited<ReturnType<typeof createDatabases>>;
let legacy: pg.Client;
let owner: pg.Client;
let env: Record<string, string>;
const processes: CliProcess[] = [];

/** Every command of crosswalk that was run. */
const ran: string[] = [];

/** Runs a command of the installed package in the project's folder, to its end; what it printed. */
async function run(args: readonly string[], code = 0): Promise<string> {
  ran.push(args.join(' '));
  const result = await packed.crosswalk(args, env);
  expect(result.code, `crosswalk ${args.join(' ')}\n${result.stderr}\n${result.stdout}`).toBe(code);
  return result.stdout;
}
const runJson = async <T>(args: readonly string[], code = 0) => JSON.parse(await run([...args, '--json'], code)) as T;

/** Rows of the new schema as arrays of texts, as their owner sees them. */
async function rowsOf(sql: string): Promise<(string | null)[][]> {
  const { rows } = await owner.query({ text: sql, rowMode: 'array' });
  return rows as (string | null)[][];
}
const cellOf = async (sql: string) => (await rowsOf(sql))[0]![0]!;

function start(args: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}): CliProcess {
  const program = join(packed.project, 'node_modules/.bin/crosswalk');
  const started = startProgram(program, args, { cwd, env: { ...packed.env, ...env, ...more } });
  processes.push(started);
  ran.push(args.join(' '));
  return started;
}

/** Ends a process as its supervisor does. */
async function stop(running: CliProcess): Promise<void> {
  running.child.kill('SIGTERM');
  expect(await running.ended, running.stderr()).toBe(0);
  expect(running.stderr()).not.toContain('"level":"error"');
}

beforeAll(async () => {
  packed = createPackedProject({ example: EXAMPLE, packages: DEVELOPMENT });
  databases = await createDatabases('orders');
  legacy = await connect(databases.legacyUrl, 'test');
  owner = await connect(databases.targetUrl, 'test');
  await legacy.query(readFileSync(join(packed.project, 'legacy/schema.sql'), 'utf8'));
  await legacy.query(INITIAL);
  const { kafkaBrokers, registryUrl } = stackAddresses();
  env = {
    ...{ LEGACY_DATABASE_URL: databases.legacyUrl, TARGET_DATABASE_URL: databases.targetUrl },
    ...{ TARGET_OWNER_URL: databases.targetUrl, KAFKA_BROKERS: kafkaBrokers, SCHEMA_REGISTRY_URL: registryUrl },
    ...{ CROSSWALK_SLOT: name, CROSSWALK_PUBLICATION: name, CROSSWALK_TOPIC_PREFIX: name },
    ...{ CROSSWALK_PARTITIONS: '3', CROSSWALK_HEARTBEAT_MS: '200', CROSSWALK_LAG_WARNING_SECONDS: '600' },
    ...{ CROSSWALK_ENV_FILE: '/nowhere/env', LOG_LEVEL: 'warn', ...kafkaClientEnv },
  };
});
afterAll(async () => {
  for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
  await Promise.all([legacy?.end(), owner?.end()]);
  await databases?.drop();
  if (env !== undefined) {
    await deleteTopicsWith(env.KAFKA_BROKERS!, (topic) => topic.startsWith(`${name}.`));
    const admin = await connect(stackAddresses().targetAdminUrl, 'test');
    for (const login of Object.values(logins)) await admin.query(`DROP ROLE IF EXISTS ${login}`);
    await admin.end();
  }
  packed?.remove();
});

describe("somebody else's pipeline, on the package alone,", () => {
  test('passes its own tests, and the compiler', async () => {
    expect(await packed.run(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit'])).toEqual({
      ...{ code: 0, stdout: '', stderr: '' },
    });
    const { code, stdout } = await packed.run(process.execPath, ['--test']);
    expect({ code, passed: /^. pass (\d+)$/m.exec(stdout)?.[1] }).toEqual({ code: 0, passed: '10' });
  });

  test('is migrated, and loads what is there', async () => {
    await run(['migrate', 'up']);
    const as = async (role: keyof typeof logins) => {
      const password = randomBytes(12).toString('hex');
      await owner.query(`CREATE ROLE ${logins[role]} LOGIN PASSWORD '${password}' IN ROLE ${role}`);
      const url = new URL(databases.targetUrl);
      [url.username, url.password] = [logins[role], password];
      return url.href;
    };
    env.TARGET_DATABASE_URL = await as('crosswalk_projector');
    env.TARGET_OPERATOR_URL = await as('crosswalk_operator');
    // As in a container that has the pipeline somewhere, and as in the project's own folder.
    start(['connect'], packed.dir, { CROSSWALK_CONFIG: join(packed.project, 'crosswalk.config.ts') });
    start(['--config', join(packed.project, 'crosswalk.config.ts'), 'project'], packed.dir);
    await run(['wait', '--timeout', '100']);
    expect(
      await rowsOf(`SELECT 'shops', count(*) FROM shop.shops UNION ALL SELECT 'orders', count(*) FROM shop.orders
        UNION ALL SELECT 'lines', count(*) FROM shop.order_lines UNION ALL SELECT 'buyers', count(*) FROM shop.buyers`),
    ).toEqual([
      ['shops', '2'],
      ['orders', '304'],
      ['lines', '304'],
      ['buyers', '55'],
    ]);
  });

  test('follows what the legacy application does', async () => {
    for (const change of CHANGES) await legacy.query(change);
    await run(['wait', '--timeout', '100']);
    const of = `tenant_id = 'north' AND deleted_at IS NULL`;
    expect(
      await rowsOf(`SELECT o.order_no::text, o.status, o.currency, o.total::text, o.city, b.email, o.source_metadata::text, o.placed_at = '2026-01-02 03:04:05.678901+00'
        FROM shop.orders o LEFT JOIN shop.buyers b ON b.id = o.buyer_id WHERE o.${of.replace('deleted_at', 'o.deleted_at')} ORDER BY o.order_no`),
    ).toEqual([
      ['1', 'shipped', 'CAD', '26.00', 'Leeds', 'ada@example.org', null, 't'],
      ['4', 'new', 'CAD', '5.00', 'Oslo', 'dan@example.org', null, 'f'],
      ['20', 'paid', 'usd', '10.50', null, 'bob@example.org', '{"gift_note": "For you"}', 'f'],
    ]);
    expect(
      await rowsOf(
        `SELECT order_no::text FROM shop.orders WHERE tenant_id = 'north' AND deleted_at IS NOT NULL ORDER BY 1`,
      ),
    ).toEqual([['2'], ['3']]);
    expect(
      await rowsOf(`SELECT o.order_no::text, l.line_no::text, l.sku, l.amount::text, l.options::text
        FROM shop.order_lines l JOIN shop.orders o ON o.id = l.order_id WHERE l.tenant_id = 'north' ORDER BY o.order_no, l.line_no`),
    ).toEqual([
      ['1', '1', 'tea', '25.00', '{"gift": true}'],
      ['4', '1', 'spoon', '5.00', null],
      ['4', '2', 'fork', null, null],
      ['20', '1', 'cup', '10.50', null],
    ]);
    expect(await rowsOf(`SELECT email, name, is_subscribed FROM shop.buyers WHERE ${of} ORDER BY email`)).toEqual([
      ['ada@example.org', 'Ada L.', 't'],
      ['bob@example.org', 'Bob', 't'],
      ['cleo@example.com', 'Cleo', 'f'],
      ['dan@example.org', 'Dan', 'f'],
    ]);
    expect(
      await rowsOf(`SELECT tenant_id, email FROM shop.buyers WHERE deleted_at IS NOT NULL ORDER BY email`),
    ).toEqual([
      ['north', 'cleo@example.org'],
      ['south', 'eve@example.org'],
    ]);
    expect(
      await rowsOf(`SELECT o.order_no::text, h.from_status, h.to_status FROM shop.order_status_history h JOIN shop.orders o ON o.id = h.order_id
        ORDER BY h.changed_at, h.ordinal`),
    ).toEqual([
      ['1', 'new', 'paid'],
      ['1', 'paid', 'shipped'],
      ['2', 'paid', null],
      ['20', null, 'paid'],
      ['3', 'shipped', null],
      ['4', null, 'new'],
    ]);
  });

  test('is verified, by its own mapping and by SQL that shares nothing with it', async () => {
    const found = await runJson<{ ok: boolean; tables: { table: string; expected: number }[]; checks: unknown[] }>([
      'verify',
    ]);
    expect(found.ok).toBe(true);
    expect(found.tables.find(({ table }) => table === 'orders')!.expected).toBe(304);
    // One total and two checks of the pipeline's own, beside the sums of the engine.
    expect(JSON.stringify(found.checks)).toContain('sum of order totals');
    expect(JSON.stringify(found.checks)).toContain('lines without an order');
    expect(await run(['verify', '--oracle', 'sql'])).toContain('the SQL oracle expects the same rows');
  });

  test('moves one shop to its first stage behind a gate, and back', async () => {
    /** Orders that the new application sees of a shop. */
    const seen = async (shop: string) => {
      await owner.query('BEGIN; SET LOCAL ROLE crosswalk_app');
      await owner.query(`SELECT set_config('crosswalk.tenant_id', $1, true)`, [shop]);
      const counts = await rowsOf(
        `SELECT (SELECT count(*) FROM shop.shops)::text, (SELECT count(*) FROM shop.orders WHERE deleted_at IS NULL)::text,
           (SELECT count(*) FROM shop.order_status_history)::text`,
      );
      await owner.query('ROLLBACK');
      return counts[0];
    };
    expect(await seen('north')).toEqual(['1', '0', '0']);
    const raise = ['stage', 'set', 'north', '1', '--by', 'ann', '--max-lag-seconds', '600'];
    expect(await run(raise, 1)).toMatch(/^no-go +backup/m);
    expect(await seen('north')).toEqual(['1', '0', '0']);

    for (const kind of ['backup', 'rollback', 'team', 'monitoring'])
      await run(['gate', 'confirm', 'north', kind, '--by', 'ann', '--note', 'tried']);
    // An hour of samples, as if the projectors had run for so long.
    await owner.query(
      `INSERT INTO crosswalk.lag_sample SELECT p, at, 1, 0 FROM unnest($1::text[]) p,
         generate_series(date_bin('15 seconds', now(), 'epoch') - interval '70 minutes', now(), '15 seconds') at
       ON CONFLICT (projection, at) DO UPDATE SET lag_seconds = excluded.lag_seconds`,
      [['shops', 'orders', 'order_lines', 'newsletter_signups', 'order_history']],
    );
    expect(await run(['gate', 'north', '--max-lag-seconds', '600'])).toMatch(/^Gate \d+ for north: go$/m);
    expect(await run(raise)).toContain('north: stage 0 → 1, orders, their lines and buyers');
    expect(await seen('north')).toEqual(['1', '3', '0']);
    expect(await seen('south')).toEqual(['1', '0', '0']);
    await run(['stage', 'set', 'north', '0', '--by', 'ann', '--reason', 'incident 7']);
    expect(await seen('north')).toEqual(['1', '0', '0']);
  });

  test('has a row that somebody changed found by both, and repaired', async () => {
    const line = await cellOf(`UPDATE shop.order_lines SET amount = 6.00 WHERE sku = 'spoon' RETURNING id`);
    const found = await runJson<{ differences: { table: string; id: string; column: string }[] }>(
      ['verify', '--oracle', 'sql'],
      1,
    );
    expect(found.differences).toMatchObject([{ table: 'order_lines', id: line, column: 'amount' }]);
    const verified = await runJson<{ tables: { table: string; differences: Record<string, unknown>[] }[] }>(
      ['verify'],
      1,
    );
    expect(verified.tables.flatMap(({ differences }) => differences)).toMatchObject([
      { table: 'order_lines', id: line, column: 'amount' },
    ]);
    expect(await run(['verify', '--repair', '--yes'])).toContain('1 rows repaired');
    expect(await cellOf(`SELECT amount::text FROM shop.order_lines WHERE id = '${line}'`)).toBe('5.00');
  });

  test('is replayed to the same rows, and tells what a changed mapping would change', async () => {
    interface Rebuilt {
      readonly report: {
        readonly failures: unknown[];
        readonly differences: Record<string, unknown>[];
        readonly projections: {
          readonly tables: readonly Readonly<Record<'before' | 'added' | 'changed' | 'removed', number>>[];
        }[];
      };
    }
    /** Rows of all tables, contributions and states of histories among them, and how many of them differ. */
    const countOf = ({ report }: Rebuilt) => {
      const tables = report.projections.flatMap((projection) => projection.tables);
      const sum = (of: (table: (typeof tables)[number]) => number) => tables.reduce((all, table) => all + of(table), 0);
      return {
        rows: sum(({ before }) => before),
        differing: sum((table) => table.added + table.changed + table.removed),
      };
    };
    const same = await runJson<Rebuilt>(['rebuild', 'all', '--dry-run']);
    expect(same.report).toMatchObject({ failures: [], differences: [] });
    expect(countOf(same).differing).toBe(0);
    expect(countOf(same).rows).toBeGreaterThan(600);

    // The mapping of tomorrow, in a folder beside that of today.
    cpSync(join(packed.project, 'pipeline'), join(packed.project, 'next'), { recursive: true });
    const file = join(packed.project, 'next/projections/orders.ts');
    const changed = readFileSync(file, 'utf8')
      .replace("filledCellOf(row, 'currency') ??", "filledCellOf(row, 'currency')?.toUpperCase() ??")
      .replace("version: '1'", "version: '2'");
    writeFileSync(file, changed);
    writeFileSync(join(packed.project, 'next.config.ts'), "export { default } from './next/pipeline.ts';\n");
    const preview = await runJson<Rebuilt>(['--config', 'next.config.ts', 'rebuild', 'all', '--dry-run', '--unmask']);
    expect(preview.report.failures).toEqual([]);
    expect(countOf(preview).differing).toBe(1);
    expect(preview.report.differences).toMatchObject([
      { table: 'orders', kind: 'change', column: 'currency', before: 'usd', after: 'USD', legacyKey: '["north","20"]' },
    ]);
    const currency = () => rowsOf(`SELECT currency, mapping_version FROM shop.orders WHERE order_no = 20`);
    expect(await currency()).toEqual([['usd', '1']]);

    // It is deployed, and what was written before is brought up to it.
    env.CROSSWALK_CONFIG = join(packed.project, 'next.config.ts');
    await stop(processes.pop()!);
    start(['project'], packed.dir);
    await run(['rebuild', 'all', '--yes']);
    expect(await currency()).toEqual([['USD', '2']]);
    await run(['verify']);
  });

  test('tells what it rejected, where a row comes from, and how it is', async () => {
    const { rows } = await runJson<{ rows: Record<string, string>[] }>(['rejects', '--unmask']);
    expect(rows).toEqual([
      { table: 'newsletter_signups', key: '4', path: 'email', reason: 'not an e-mail address', rawValue: 'nobody' },
      { table: 'order_lines', key: '["north","4","2"]', path: 'quantity', reason: 'not a number', rawValue: 'some' },
      { table: 'orders', key: '["south","1"]', path: 'total', reason: 'not a number', rawValue: 'NaN' },
    ]);

    const id = await cellOf(`SELECT id FROM shop.buyers WHERE tenant_id = 'north' AND email = 'ada@example.org'`);
    const buyer = await runJson<Record<string, unknown>>(['explain', 'buyers', id, '--unmask']);
    expect(buyer).toMatchObject({
      problems: [],
      row: { state: 'live', legacyTable: 'newsletter_signups', legacyKey: '1' },
    });
    const contributors = buyer.contributors as { legacyTable: string; legacyKey: string; gives: string[] }[];
    expect(contributors.map(({ legacyTable, legacyKey }) => `${legacyTable} ${legacyKey}`).sort()).toEqual([
      'newsletter_signups 1',
      'orders ["north","1"]',
    ]);
    expect(contributors.find(({ legacyTable }) => legacyTable === 'newsletter_signups')!.gives).toEqual(
      expect.arrayContaining(['name', 'is_subscribed']),
    );
    const row = await cellOf(`SELECT id FROM shop.orders WHERE tenant_id = 'north' AND order_no = 1`);
    expect(await run(['explain', 'orders', row])).toMatch(/^ +currency .* the tenant's currency$/m);
    const order = await run(['explain', '--legacy', 'orders', 'north', '1', '--unmask']);
    expect(order).toMatch(/shop\.orders +\S+ +live/);
    expect(order).toMatch(/status: "new" → "paid"[\s\S]*status: "paid" → "shipped"/);

    const status = () =>
      runJson<{ verdict: string; projections: { projection: string; deadLetters: number }[] }>(['status']);
    const { projections } = await pollUntil(status, ({ verdict }) => verdict === 'healthy');
    expect(projections.map(({ projection, deadLetters }) => `${projection} ${deadLetters}`).sort()).toEqual([
      'newsletter_signups 0',
      'order_history 0',
      'order_lines 0',
      'orders 0',
      'shops 0',
    ]);
    for (const running of processes) await stop(running);
  });

  test('has a page whose commands are those that were run here', () => {
    const page = readFileSync(join(packed.project, 'README.md'), 'utf8');
    const named = [...page.matchAll(/npx crosswalk ([^#&`\n]+)/g)].map(([, command]) =>
      command!.replaceAll('"', '').trim(),
    );
    expect(named.length).toBeGreaterThan(14);
    expect(named.filter((command) => !ran.some((line) => line.startsWith(command)))).toEqual([]);
  });
});
