import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLegacySchema, loadSample } from '../../pipelines/crm/sample/load.ts';
import { plantedRejects } from '../../pipelines/crm/sample/planted-rejects.ts';
import { startTraffic } from '../../pipelines/crm/sample/traffic.ts';
import { createDatabases } from '../support/stack.ts';

const SIZE = { seed: 'integration', contacts: 2000, quotes: 2000 };
let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('sample');
  client = new pg.Client({ connectionString: databases.legacyUrl });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await databases?.drop();
});

async function countRows(tables: readonly string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of tables) {
    const { rows } = await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${pg.escapeIdentifier(table)}`);
    counts[table] = rows[0]!.n;
  }
  return counts;
}

/** The planted rejects that SQL can see without reading JSON elements. */
async function countFlaws(): Promise<Record<string, number>> {
  const { rows } = await client.query<Record<string, number>>(`
    SELECT (SELECT count(*) FROM contacts WHERE lead_score NOT BETWEEN 0 AND 100)::int AS lead_score,
           (SELECT count(*) FROM contacts WHERE estimated_value = 'NaN')::int AS estimated_value,
           (SELECT count(*) FROM contacts WHERE jsonb_typeof(custom_fields) NOT IN ('object', 'null'))::int AS custom_fields,
           (SELECT count(*) FROM leads WHERE score NOT BETWEEN 0 AND 100)::int AS score,
           (SELECT count(*) FROM leads WHERE status = 'Hot!')::int AS status,
           (SELECT count(*) FROM quotes WHERE total = 'NaN')::int AS total,
           (SELECT count(*) FROM quotes WHERE tax_rate = 'NaN')::int AS tax_rate`);
  return rows[0]!;
}

const flawsOf = (rejects: readonly { path: string }[]) =>
  Object.fromEntries(
    ['lead_score', 'estimated_value', 'custom_fields', 'score', 'status', 'total', 'tax_rate'].map((path) => [
      path,
      rejects.filter((reject) => reject.path === path).length,
    ]),
  );

test('the sample is loaded whole, once', async () => {
  expect(await createLegacySchema(client)).toBe(true);
  expect(await createLegacySchema(client)).toBe(false);
  const seen: string[] = [];
  const counts = await loadSample(client, { ...SIZE, onProgress: ({ table }) => seen.push(table) });
  expect(counts).toMatchObject({ contacts: 2000, quotes: 2000, workspaces: 6, status_options: 42, messages: 1000 });
  expect(Object.values(counts).every((count) => count > 0)).toBe(true);
  expect(seen.filter((table) => table === 'contacts')).toHaveLength(2);
  expect(await countRows(Object.keys(counts))).toEqual(counts);
  expect(await countFlaws()).toEqual(flawsOf(plantedRejects(SIZE.seed, SIZE)));

  await expect(loadSample(client, SIZE)).rejects.toThrow(/already holds sample rows/);
  expect(await countRows(Object.keys(counts))).toEqual(counts);
});

test('long notes are stored out of line', async () => {
  const { rows } = await client.query<{ n: number }>(`
    SELECT count(*)::int AS n FROM quotes WHERE octet_length(notes) > 20000 AND pg_column_size(notes) > 15000`);
  expect(rows[0]!.n).toBe(20);
});

test('the sequences go on behind the sample', async () => {
  await client.query('BEGIN');
  await client.query(`INSERT INTO status_options (name) VALUES ('next')`);
  await client.query(`INSERT INTO orders (order_number) VALUES ('next')`);
  await client.query('ROLLBACK');
});

test('traffic changes as many rows as its report says, and knows what became of the planted rejects', async () => {
  const tables = Object.keys(
    await countRows(['contacts', 'quotes', 'messages', 'appointments', 'opportunities', 'orders']),
  );
  tables.push('workspaces', 'status_options', 'campaigns', 'campaign_subscribers', 'clients', 'leads');
  const before = await countRows(tables);
  const report = await startTraffic({
    url: databases.legacyUrl,
    seed: 'integration',
    changesPerSecond: Number.POSITIVE_INFINITY,
    stopAfter: { changes: 3000 },
    plantRejects: true,
    planted: plantedRejects(SIZE.seed, SIZE),
  }).done;
  const expected = Object.fromEntries(
    tables.map((table) => {
      const { inserted, deleted } = report.tables[table] ?? { inserted: 0, deleted: 0 };
      return [table, before[table]! + inserted - deleted];
    }),
  );
  expect(await countRows(tables)).toEqual(expected);
  const perTable = Object.values(report.tables).flatMap(
    ({ inserted, updated, deleted }) => inserted + updated + deleted,
  );
  expect(perTable.reduce((sum, count) => sum + count, 0)).toBe(report.rowChanges);
  expect(report.rowChanges).toBeGreaterThanOrEqual(3000);
  expect(report.rowChanges).toBeLessThan(3100);
  expect(report.rolledBack).toBeGreaterThan(0);
  // On a busy machine two of its sessions may run into each other: what is rolled back then is not counted.
  expect(report.conflicts).toBeLessThan(5);
  expect(await countFlaws()).toEqual(flawsOf(report.plantedRejects));
  const { rows } = await client.query<{ reached: boolean }>(
    `SELECT pg_current_wal_lsn() >= ('0/0'::pg_lsn + $1::numeric) AS reached`,
    [report.lastLsn.toString()],
  );
  expect(rows[0]!.reached).toBe(true);
}, 60_000);

test('a second run of the same seed makes other rows', async () => {
  const report = await startTraffic({
    url: databases.legacyUrl,
    seed: 'integration',
    changesPerSecond: Number.POSITIVE_INFINITY,
    stopAfter: { changes: 500 },
  }).done;
  expect(report.conflicts).toBeLessThan(5);
  expect(report.rowChanges).toBeGreaterThanOrEqual(500);
}, 60_000);

test('the rate holds on average, and a stop ends it', async () => {
  const traffic = startTraffic({
    url: databases.legacyUrl,
    seed: 'paced',
    changesPerSecond: 100,
    largestTransaction: 10,
  });
  await expect.poll(() => traffic.progress().rowChanges, { timeout: 20_000 }).toBeGreaterThanOrEqual(150);
  const report = await traffic.stop();
  const perSecond = report.rowChanges / (report.elapsedMs / 1000);
  expect(perSecond).toBeLessThan(130);
  expect(report.rowChanges).toBeGreaterThanOrEqual(150);
  expect(await traffic.stop()).toBe(report);
}, 60_000);

test('an empty database fills up', async () => {
  const empty = new pg.Client({ connectionString: databases.targetUrl });
  await empty.connect();
  try {
    await createLegacySchema(empty);
  } finally {
    await empty.end();
  }
  const options = { url: databases.targetUrl, seed: 'empty', changesPerSecond: Number.POSITIVE_INFINITY };
  const report = await startTraffic({ ...options, stopAfter: { changes: 300 } }).done;
  expect(report.actions['workspace created']).toBeGreaterThan(0);
  expect(report.actions['contact created']).toBeGreaterThan(0);
}, 60_000);

test('a missing schema is one clear error', async () => {
  const url = new URL(databases.legacyUrl);
  url.pathname = '/postgres';
  const traffic = startTraffic({ url: url.href, seed: 1, changesPerSecond: 1 });
  await expect(traffic.done).rejects.toThrow(/create the legacy schema first/);
});
