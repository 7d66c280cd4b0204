import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AssessOptions, assess } from '../../assess/assess.ts';
import type { AssessedPipeline } from '../../assess/facts.ts';
import { READ_ONLY_OPTIONS, readOnly } from '../../assess/read-only.ts';
import type { Report } from '../../assess/report.ts';
import crm from '../../pipelines/crm/pipeline.ts';
import { createLegacySchema, loadSample } from '../../pipelines/crm/sample/load.ts';
import { plantedRejects } from '../../pipelines/crm/sample/planted-rejects.ts';
import { type Aggregate, defineProjection, type LegacyRow, type Projection } from '../../projectors/projection.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { parseConfig } from '../../runtime/config.ts';
import { connect } from '../../runtime/postgres.ts';
import { runCli } from '../support/cli.ts';
import { sources } from '../support/crm.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';

const SIZE = { seed: 'assess', contacts: 3000, quotes: 3000 };
const EVIL = '<script>alert(1)</script>';

let server: OwnPostgres;
let admin: pg.Client;
/** Of a role that may read, and nothing else. */
let readerUrl: string;
/** Of a role that may stream as well. */
let connectorUrl: string;
const dir = mkdtempSync(join(tmpdir(), 'crosswalk-assess-'));

beforeAll(async () => {
  server = await startOwnPostgres();
  // Nobody else writes: whoever does is found.
  await server.admin('ALTER SYSTEM SET autovacuum = off', 'ALTER SYSTEM SET max_prepared_transactions = 2');
  await server.restart();
  admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await createLegacySchema(admin);
  await loadSample(admin, SIZE);
  await admin.query(`
    CREATE ROLE assess_reader LOGIN PASSWORD 'reader';
    CREATE ROLE assess_connector LOGIN REPLICATION PASSWORD 'connector' IN ROLE pg_read_all_stats;
    CREATE SCHEMA nasty;
    CREATE TABLE nasty.sound (id bigint PRIMARY KEY, name text);
    CREATE TABLE nasty.keyless (a int, b text);
    CREATE TABLE nasty.nearly (no int NOT NULL UNIQUE, name text);
    CREATE TABLE nasty.indexed ("No" int NOT NULL, name text); CREATE UNIQUE INDEX "By no" ON nasty.indexed ("No");
    CREATE TABLE nasty.nullable (no int UNIQUE);
    CREATE UNLOGGED TABLE nasty.volatile (id int PRIMARY KEY);
    CREATE TABLE nasty.parted (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE nasty.parted_old PARTITION OF nasty.parted FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
    CREATE UNLOGGED TABLE nasty.parted_new PARTITION OF nasty.parted FOR VALUES FROM ('2025-01-01') TO ('2030-01-01');
    CREATE TABLE nasty.secret (id int PRIMARY KEY, owner text);
    ALTER TABLE nasty.secret ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON nasty.secret USING (owner = current_user);
    CREATE TABLE nasty.computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL);
    CREATE TABLE nasty.base (id int PRIMARY KEY);
    CREATE TABLE nasty.heir (extra text) INHERITS (nasty.base);
    CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
    CREATE FOREIGN TABLE nasty.far (id int) SERVER nowhere;
    CREATE VIEW nasty.seen AS SELECT id FROM nasty.sound;
    CREATE TABLE nasty.closed (id int PRIMARY KEY);
    CREATE TABLE nasty.people (id int PRIMARY KEY, workspace text, phone text);
    CREATE TABLE nasty."${EVIL}" (id int PRIMARY KEY, "${EVIL}" money);
    CREATE FUNCTION nasty.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE ON nasty.sound FOR EACH ROW EXECUTE FUNCTION nasty.touch();
    INSERT INTO nasty.sound SELECT i, 'name ' || i FROM generate_series(1, 5000) i;
    INSERT INTO nasty.nearly SELECT i, 'name ' || i FROM generate_series(1, 30) i;
    INSERT INTO nasty.parted SELECT i, date '2024-12-01' + i FROM generate_series(1, 60) i;
    INSERT INTO nasty.people SELECT i, 'ws-' || i % 3, CASE WHEN i <= 250 THEN '0000000000' ELSE '+1201555' || i END FROM generate_series(1, 1000) i;
    GRANT USAGE ON SCHEMA public, nasty TO assess_reader, assess_connector;
    GRANT SELECT ON ALL TABLES IN SCHEMA public, nasty TO assess_reader, assess_connector;
    REVOKE SELECT ON nasty.closed FROM assess_reader;`);
  await admin.query('ANALYZE');
  const asRole = (role: string) => {
    const url = new URL(server.url);
    url.username = `assess_${role}`;
    url.password = role;
    return url.href;
  };
  readerUrl = asRole('reader');
  connectorUrl = asRole('connector');
});

afterAll(async () => {
  await admin?.end();
  await server?.close();
  rmSync(dir, { recursive: true, force: true });
});

const OPTIONS: AssessOptions = {
  full: false,
  sampleRows: 10_000,
  rate: null,
  walSeconds: 0.05,
  signal: new AbortController().signal,
  onProgress: () => undefined,
};

function run(
  pipeline: Partial<AssessedPipeline>,
  options: Partial<AssessOptions> = {},
  url = readerUrl,
): Promise<Report> {
  const config = parseConfig({ LEGACY_DATABASE_URL: url }, crm);
  return assess(
    config,
    {
      ...{ name: 'crm', legacySchema: 'public', sources: config.tables, projections: crm.projections },
      ...{ tenants: readTenants(crm), hints: null, rejects: 'rejects' },
      ...pipeline,
    },
    { ...OPTIONS, ...options },
  );
}

/** A projection of a nasty table: every row becomes one, and merges with all that have its phone. */
function projectionOf(source: string, map?: (row: LegacyRow) => void): Projection {
  const aggregate = { name: 'homes', targets: [], needsHistory: false, fold: () => ({}) } as unknown as Aggregate;
  return defineProjection({
    ...{ name: `${source}_rows`, version: '1', source, requires: ['id'], reads: ['id', 'phone'] },
    tenant: { column: 'workspace' },
    owned: [{ table: 'copies', columns: ['id'], retract: 'delete', scope: { column: 'id', of: (key: string) => key } }],
    aggregates: [aggregate],
    map: (row) => {
      map?.(row);
      const contributions =
        row.phone === undefined ? [] : [{ aggregate: 'homes', mergeKey: `${row.workspace}|p:${row.phone}`, data: {} }];
      return { rows: { copies: [{ id: row.id ?? row.no ?? null }] }, contributions };
    },
  });
}

const nasty = (sources: readonly string[], projections: readonly Projection[] = []): Partial<AssessedPipeline> => ({
  legacySchema: 'nasty',
  sources,
  projections,
});

/** Everything that an assessment must leave as it is; also whether anybody was given a transaction id. */
async function readState(): Promise<unknown> {
  const { rows } = await admin.query<{ state: string }>(`
    SELECT json_build_object(
      'relations', (SELECT md5(string_agg(concat_ws(' ', oid, relname, relfilenode, relkind, relreplident, relpersistence, relacl::text), ',' ORDER BY oid)) FROM pg_class),
      'publications', (SELECT count(*) FROM pg_publication), 'slots', (SELECT count(*) FROM pg_replication_slots),
      'roles', (SELECT md5(string_agg(r::text, ',' ORDER BY rolname)) FROM pg_roles r), 'functions', (SELECT count(*) FROM pg_proc),
      'settings', (SELECT count(*) FROM pg_db_role_setting),
      'contacts', (SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM public.contacts c),
      'quotes', (SELECT md5(string_agg(q::text, ',' ORDER BY id)) FROM public.quotes q),
      'transactions', pg_snapshot_xmax(pg_current_snapshot())::text)::text AS state`);
  return JSON.parse(rows[0]!.state);
}

const whats = (report: Report, level: string) =>
  report.findings.filter((finding) => finding.level === level).map(({ what }) => what);

test('with every row it predicts the rejects that were planted, and leaves the database as it was', async () => {
  const before = await readState();
  const progress: number[] = [];
  const report = await run({}, { full: true, onProgress: (rows) => progress.push(rows) });
  expect(await readState()).toEqual(before);

  const planted = new Map<string, number>();
  for (const { table, path, reason } of plantedRejects(SIZE.seed, SIZE)) {
    const kind = JSON.stringify([table, path.replace(/[0-9]+/g, '*'), reason]);
    planted.set(kind, (planted.get(kind) ?? 0) + 1);
  }
  const predicted = new Map(
    report.tables.flatMap(({ table, read }) =>
      (read?.rejects ?? []).map(({ path, reason, count }) => [JSON.stringify([table, path, reason]), count] as const),
    ),
  );
  expect(planted.size).toBeGreaterThan(5);
  expect(predicted).toEqual(planted);

  const contacts = report.tables.find(({ table }) => table === 'contacts')!;
  expect(contacts).toMatchObject({ rows: 3000, key: ['id'], read: { rows: 3000, isWhole: true, throws: [] } });
  expect(contacts.read!.targets).toContainEqual({ table: 'leads', rows: 3000 });
  expect(report.tables.find(({ table }) => table === 'messages')).toMatchObject({ rows: 1500 });
  // What no projection reads is not read here either.
  for (const { table, read } of report.tables)
    expect([table, read === null]).toEqual([table, !sources.includes(table)]);
  expect(report.merges.map(({ aggregate }) => aggregate).sort()).toEqual(['customers', 'dnc_list', 'leads']);
  const customers = report.merges.find(({ aggregate }) => aggregate === 'customers')!;
  expect(customers.contributions).toBe(3000);
  expect(customers.buckets.reduce((sum, { keys }) => sum + keys, 0)).toBe(customers.keys);
  expect(report.tenants.count).toBeGreaterThan(4);
  expect(report.load).toMatchObject({ isWhole: true, rowsPerSecond: 2000 });
  expect(report.load.rows).toBeGreaterThan(7500);
  expect(report.server.wal!.bytesPerSecond).toBeGreaterThanOrEqual(0);
  expect(progress.at(-1)).toBe(report.mapped.rows);
});

test('a sample is read from pages all over a table, and is bounded', async () => {
  const { rows: seen, tables } = { rows: [] as number[], tables: ['sound'] };
  const report = await run(nasty(tables, [projectionOf('sound', ({ id }) => void seen.push(Number(id)))]), {
    sampleRows: 500,
  });
  const { read } = report.tables[0]!;
  expect(read).toMatchObject({ isWhole: false, problem: null, rows: seen.length });
  expect(seen.length).toBeGreaterThan(100);
  expect(seen.length).toBeLessThanOrEqual(1000);
  expect(new Set(seen).size).toBe(seen.length);
  expect(Math.max(...seen) - Math.min(...seen)).toBeGreaterThan(2500);
  expect(report.tables[0]!.rows).toBe(5000);
  expect(report.load.rows).toBe(5000);
});

test('a table that is smaller than the sample is read whole', async () => {
  const report = await run(nasty(['nearly', 'parted'], [projectionOf('nearly'), projectionOf('parted')]), {
    sampleRows: 100,
  });
  expect(report.tables.map(({ table, read }) => [table, read?.rows, read?.isWhole])).toEqual([
    // By its unique index, since it has no key.
    ['nearly', 30, true],
    ['parted', 60, true],
  ]);
});

test('tables that cannot be captured are told apart, each with its remedy', async () => {
  const sources = [
    ...['sound', 'keyless', 'nearly', 'nullable', 'volatile', 'parted', 'secret', 'computed', 'base', 'heir', 'far'],
    ...['seen', 'closed', 'missing', EVIL],
  ];
  const report = await run(nasty(sources, [projectionOf('sound'), projectionOf('secret')]));
  expect(report.verdict).toBe('blocked');
  expect(whats(report, 'blocked')).toEqual([
    'The legacy schema nasty has no table missing',
    'Table keyless has no primary key, and no unique index that could be one',
    'Table nullable has no primary key; the unique index nullable_no_key could be one, but no may be null',
    'Table heir has no primary key (that of the table it inherits from is not its own), and no unique index that could be one',
    'far is a foreign table: its changes are not in the log of this server',
    'seen is a view: its changes are not in the log of this server',
    expect.stringMatching(/^Columns that are computed when read cannot be captured: computed/),
  ]);
  expect(whats(report, 'work')).toEqual([
    'Role assess_reader may not read what is to be captured',
    'Table nearly has no primary key, and the unique index nearly_no_key can be one (no)',
    expect.stringMatching(/^Unlogged.*volatile/),
    expect.stringMatching(/^Unlogged.*nasty\.parted_new/),
    expect.stringMatching(/^Tables that inherit from captured ones.*base \(heir\)/),
    expect.stringMatching(/^Row-level security hides rows of secret from role assess_reader/),
  ]);
  expect(whats(report, 'setup')).toEqual(
    expect.arrayContaining([
      'Role assess_reader may not stream changes',
      expect.stringMatching(/^Not REPLICA IDENTITY FULL: sound, volatile, parted/),
      'The legacy database has no publication crosswalk',
    ]),
  );
  const marks = Object.fromEntries(report.tables.map(({ table, marks }) => [table, marks]));
  expect(marks).toMatchObject({
    sound: ['1 triggers'],
    volatile: ['unlogged'],
    parted: ['2 partitions'],
    secret: ['row-level security'],
    base: ['inherited'],
    heir: ['inherits'],
  });
  // Policies hide its rows: what they become is not asked.
  expect(report.tables.find(({ table }) => table === 'secret')!.read).toBeNull();
  expect(report.others.map(({ table }) => table)).toEqual(['people', 'indexed']);
  expect(report.server.otherSchemas).toEqual(['public']);
});

test('what would be a key of a table without one is said as a statement that does it', async () => {
  const report = await run(nasty(['nearly', 'indexed']));
  const statements = report.findings.flatMap(({ remedy }) => /ALTER TABLE \S+ ADD PRIMARY KEY .*;/.exec(remedy) ?? []);
  expect(statements).toEqual([
    'ALTER TABLE nasty.nearly ADD PRIMARY KEY (no);',
    'ALTER TABLE nasty.indexed ADD PRIMARY KEY USING INDEX "By no";',
  ]);
  await admin.query('BEGIN');
  try {
    for (const statement of statements) await admin.query(statement);
    const { rows } = await admin.query(
      `SELECT FROM pg_constraint WHERE contype = 'p' AND conrelid IN ('nasty.nearly'::regclass, 'nasty.indexed'::regclass)`,
    );
    expect(rows).toHaveLength(2);
  } finally {
    await admin.query('ROLLBACK');
  }
});

test('strangers that meet under one placeholder are found by their number, and nothing of them is shown', async () => {
  const report = await run(nasty(['people'], [projectionOf('people')]));
  const [merge] = report.merges;
  // Of three workspaces.
  expect(merge!.largest.slice(0, 3).map(({ contributions }) => contributions)).toEqual([84, 83, 83]);
  expect(merge!.keys).toBe(753);
  const all = await run(nasty(['people'], [projectionOf('people', (row) => Object.assign(row, { workspace: 'one' }))]));
  expect(all.merges[0]!.largest).toEqual([{ contributions: 250, shape: 'a|a:9' }]);
  expect(whats(all, 'work')).toEqual([
    expect.stringContaining('Merged rows of homes with 100 and more legacy rows each: 1'),
  ]);
  expect(JSON.stringify([report, all])).not.toMatch(/0000000000|1201555/);
});

test('rows that the mapping throws on are counted, and told without what they hold', async () => {
  const report = await run(
    nasty(
      ['people'],
      [
        projectionOf('people', ({ id, phone }) => {
          if (Number(id) % 100 === 0) throw new TypeError(`cannot read ${phone}`);
        }),
      ],
    ),
  );
  expect(report.tables[0]!.read!.throws).toEqual([
    { projection: 'people_rows', reason: 'map threw TypeError', count: 10 },
  ]);
  expect(report.verdict).toBe('needs work');
  expect(JSON.stringify(report)).not.toMatch(/cannot read/);
});

test('a table under a lock is left alone, and the others are assessed', async () => {
  const locker = await connect(server.url, 'test');
  try {
    await locker.query('BEGIN; LOCK TABLE nasty.sound');
    const report = await run(nasty(['sound', 'people'], [projectionOf('sound'), projectionOf('people')]));
    const [sound, people] = report.tables;
    expect(sound!.read).toMatchObject({ rows: 0, problem: expect.stringContaining('held a lock') });
    // As the catalog holds it.
    expect(sound!.rows).toBe(5000);
    expect(people!.read).toMatchObject({ rows: 1000, isWhole: true });
    expect(whats(report, 'work')).toContainEqual(expect.stringMatching(/^Rows of sound could not be read/));
  } finally {
    await locker.end();
  }
});

test('the session can write nothing, whatever a statement does', async () => {
  // A policy runs a function of somebody's with every look at the rows.
  await admin.query(`
    CREATE TABLE nasty.trap (id int PRIMARY KEY);
    INSERT INTO nasty.trap VALUES (1);
    CREATE FUNCTION nasty.bite() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO nasty.trap VALUES (2); RETURN 1; END';
    CREATE VIEW nasty.bait AS SELECT nasty.bite() AS id;
    GRANT ALL ON nasty.trap, nasty.bait TO assess_reader`);
  const plain = await connect(readerUrl, 'test');
  const bound = await connect(readerUrl, 'test', READ_ONLY_OPTIONS);
  try {
    await expect(readOnly(plain, 1000, () => plain.query('SELECT * FROM nasty.bait'))).rejects.toMatchObject({
      code: '25006',
    });
    await expect(bound.query('SELECT * FROM nasty.bait')).rejects.toMatchObject({ code: '25006' });
    await expect(readOnly(plain, 100, () => plain.query('SELECT pg_sleep(10)'))).rejects.toMatchObject({
      code: '57014',
    });
  } finally {
    await plain.end();
    await bound.end();
    await admin.query('DROP VIEW nasty.bait; DROP FUNCTION nasty.bite; DROP TABLE nasty.trap');
  }
});

test('open and prepared transactions are seen by who may see them', async () => {
  const holder = await connect(server.url, 'test');
  try {
    await holder.query('BEGIN; SELECT 1');
    await admin.query(`BEGIN; INSERT INTO nasty.sound VALUES (0); PREPARE TRANSACTION 'assess'`);
    const seeing = await run(nasty(['sound']), {}, connectorUrl);
    expect(seeing.server.transactions.count).toBe(1);
    expect(seeing.server.transactions.oldestSeconds).toBeGreaterThan(0);
    expect(seeing.server.prepared.count).toBe(1);
    expect(seeing.server).toMatchObject({ provider: 'self-managed', sign: null });
    expect(whats(seeing, 'note')).not.toContainEqual(expect.stringContaining('could not be seen'));
    const blind = await run(nasty(['sound']));
    expect(blind.server.transactions.count).toBe(0);
    expect(whats(blind, 'note')).toContainEqual(expect.stringContaining('could not be seen'));
  } finally {
    await admin.query(`ROLLBACK PREPARED 'assess'`);
    await holder.end();
  }
});

test('a provider is told by its signs, and what it has in the place of a superuser', async () => {
  await admin.query('CREATE ROLE rds_superuser; CREATE ROLE rds_replication');
  try {
    const without = await run(nasty(['sound']));
    expect(without.server).toMatchObject({ provider: 'Amazon RDS', sign: 'role rds_superuser' });
    expect(without.findings).toContainEqual(
      expect.objectContaining({ remedy: expect.stringContaining('GRANT rds_replication TO assess_reader;') }),
    );
    await admin.query('GRANT rds_replication TO assess_reader');
    const granted = await run(nasty(['sound']));
    expect(whats(granted, 'setup')).not.toContainEqual(expect.stringContaining('may not stream'));
  } finally {
    await admin.query('DROP ROLE rds_superuser; DROP ROLE rds_replication');
  }
});

test('the command needs the legacy database alone, and writes a page', async () => {
  const file = join(dir, 'page.html');
  const env = { LEGACY_DATABASE_URL: connectorUrl, CROSSWALK_ENV_FILE: '/nowhere/env' };
  const text = await runCli(['assess', '--html', file], env);
  expect(text.stderr).not.toContain('crosswalk assess:');
  expect(text.code).toBe(0);
  expect(text.stdout).toMatch(/Tables of the pipeline[\s\S]*contacts +3,000/);
  const page = readFileSync(file, 'utf8');
  expect(page).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
  expect(page).toContain('quotes');

  const blocked = await runCli(['assess', '--json', '--full'], {
    ...env,
    CROSSWALK_LEGACY_SCHEMA: 'nasty',
    CROSSWALK_TABLES: 'keyless',
  });
  expect(blocked.code).toBe(1);
  expect(JSON.parse(blocked.stdout)).toMatchObject({ verdict: 'blocked', schema: 'nasty', sampleRows: null });

  const nowhere = await runCli(['assess', '--html', join(dir, 'none/page.html')], env);
  expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('The page could not be written: ENOENT') });
});
