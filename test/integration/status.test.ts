// What people see of a pipeline that runs, lags and loses a server, through the processes that they would start.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../infra/stack/free-port.ts';
import { createLegacySchema, loadSample } from '../../pipelines/crm/sample/load.ts';
import { plantedRejects } from '../../pipelines/crm/sample/planted-rejects.ts';
import type { PlantedReject } from '../../pipelines/crm/sample/rows/row.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { startCli } from '../support/connector-process.ts';
import { allProjections, parseConfig } from '../support/crm.ts';
import { createDatabases, stackAddresses } from '../support/stack.ts';
import { waitUntil } from '../support/wait-until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const SIZE = { seed: 7, contacts: 150, quotes: 150 };

let databases: Awaited<ReturnType<typeof createDatabases>>;
let legacy: pg.Client;
let target: pg.Client;
let env: Record<string, string>;
let connectorUrl: string;
let projectorUrl: string;
let projector: ChildProcess;
const children: ChildProcess[] = [];

function start(args: readonly string[], extra: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, ['cli/main.ts', ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, CROSSWALK_ENV_FILE: '/nowhere/env', ...env, ...extra },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

async function run(
  args: readonly string[],
  extra: Record<string, string> = {},
): Promise<{ code: number; out: string }> {
  const child = start(args, extra);
  let out = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  const [code] = await once(child, 'close');
  return { code: code as number, out };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

interface LagDocument {
  verdict: string;
  source: { lagBytes: number; lagSeconds: number } | null;
  projections: {
    projection: string;
    lagOffsets: number;
    lagSeconds: number | null;
    partitions: { partition: number; lagOffsets: number }[];
  }[];
}

const readStatus = async () => JSON.parse((await run(['status', '--json'])).out);
const readLag = async () => JSON.parse((await run(['lag', '--json'])).out) as LagDocument;
const lagOf = (document: LagDocument, projection: string) =>
  document.projections.find((candidate) => candidate.projection === projection)!;

beforeAll(async () => {
  databases = await createDatabases('status');
  const { kafkaBrokers, registryUrl } = stackAddresses();
  const id = new URL(databases.legacyUrl).pathname.slice(1).replace(/_legacy$/, '');
  const [connectorPort, projectorPort] = [await findFreePort(), await findFreePort()];
  env = {
    LEGACY_DATABASE_URL: databases.legacyUrl,
    TARGET_DATABASE_URL: databases.targetUrl,
    KAFKA_BROKERS: kafkaBrokers,
    SCHEMA_REGISTRY_URL: registryUrl,
    CROSSWALK_SLOT: id,
    CROSSWALK_TOPIC_PREFIX: id,
    CROSSWALK_PARTITIONS: '3',
    CROSSWALK_HEARTBEAT_MS: '200',
    LOG_LEVEL: 'error',
    NODE_OPTIONS: '--disable-warning=TimeoutNegativeWarning',
  };
  legacy = new pg.Client({ connectionString: databases.legacyUrl });
  await legacy.connect();
  target = new pg.Client({ connectionString: databases.targetUrl });
  await target.connect();
  await createLegacySchema(legacy);
  await loadSample(legacy, SIZE);
  expect((await run(['migrate', 'up'])).code).toBe(0);
  connectorUrl = `http://127.0.0.1:${connectorPort}`;
  projectorUrl = `http://127.0.0.1:${projectorPort}`;
  const before = await run(['status']);
  expect(before.code).toBe(1);
  expect(before.out).toContain('Start the connector: `crosswalk connect`.');
  start(['connect'], { CROSSWALK_HTTP_PORT: String(connectorPort) });
  projector = start(['project'], { CROSSWALK_HTTP_PORT: String(projectorPort) });
});

afterAll(async () => {
  await Promise.all(children.map(stop));
  await legacy?.end();
  await target?.end();
  await databases?.drop();
});

describe('a pipeline that runs', () => {
  it('becomes healthy', async () => {
    await waitUntil('status is healthy', async () => (await run(['status'])).code === 0, 100_000, 500);
    const { out } = await run(['status']);
    expect(out).toMatch(/^Pipeline: healthy\n/);
    expect(out).toMatch(/contacts +150 +done/);
    expect(out).toMatch(/quotes +0 +0\.0 s +0 +0\n/);
    expect(out).toContain('read by a connector');
    const document = await readStatus();
    expect(document).toMatchObject({ verdict: 'healthy', findings: [], connector: { slot: { active: true } } });
    expect(document.connector.lagSeconds).toBeLessThan(30);
    expect(await run(['lag'])).toMatchObject({ code: 0 });
    const lag = await readLag();
    expect(lag.verdict).toBe('healthy');
    expect(lag.projections.map(({ projection, lagOffsets }) => [projection, lagOffsets])).toEqual(
      allProjections.map(({ name }) => [name, 0]),
    );
  });

  it('answers health checks and metrics', async () => {
    for (const url of [connectorUrl, projectorUrl]) {
      for (const path of ['/healthz', '/readyz']) {
        const response = await fetch(url + path);
        expect([response.status, await response.json()]).toMatchObject([200, { sign: 'healthy' }]);
      }
    }
    const connector = await (await fetch(`${connectorUrl}/metrics`)).text();
    expect(connector).toMatch(/^crosswalk_snapshot_table_rows\{table="quotes"\} 150$/m);
    expect(connector).toMatch(/^crosswalk_connector_state_info\{state="streaming"\} 1$/m);
    const projected = await (await fetch(`${projectorUrl}/metrics`)).text();
    expect(projected).toMatch(/^crosswalk_projection_applied_rows_total\{projection="quotes"\} 150$/m);
  });

  it('lists the planted rejects, and their values only when asked', async () => {
    const planted = plantedRejects(SIZE.seed, SIZE);
    expect(planted.length).toBeGreaterThan(2);
    const document = JSON.parse((await run(['rejects', '--json', '--limit', '1000'])).out);
    expect(document.total).toBe(planted.length);
    expect(document.rows).toHaveLength(planted.length);
    expect(document.rows[0]).not.toHaveProperty('rawValue');
    const shown = await run(['rejects', '--limit', '2']);
    expect(shown.code).toBe(0);
    expect(shown.out).toContain(`Rejected legacy values: ${planted.length}\n`);
    expect(shown.out).toContain(`… and ${planted.length - 2} more: --limit ${planted.length}`);
    const toText = (reject: PlantedReject) => [reject.table, reject.key, reject.path, reject.reason].join(' ');
    expect(document.rows.map(toText).sort()).toEqual(planted.map(toText).sort());
    const unmasked = JSON.parse((await run(['rejects', '--json', '--unmask', '--limit', '1000'])).out);
    expect(unmasked.rows.map((row: { rawValue: string }) => row.rawValue)).toContain('NaN');
  });

  it('says which server is down, without waiting for it', async () => {
    const port = await findFreePort();
    const startedAtMs = performance.now();
    const { code, out } = await run(['status', '--json'], { TARGET_DATABASE_URL: `postgres://127.0.0.1:${port}/crm` });
    expect(performance.now() - startedAtMs).toBeLessThan(15_000);
    expect(code).toBe(1);
    const document = JSON.parse(out);
    expect(document).toMatchObject({
      verdict: 'failing',
      servers: { kafka: { state: 'up' }, target: { state: 'down' } },
    });
    expect(document.projections[0].lagOffsets).toBeNull();
    expect(document.findings[0].what).toContain(`127.0.0.1:${port}/crm`);
  });

  it('a command that is told to stop does not end as if it were done', async () => {
    const command = startCli(['wait', '--lsn', 'FFFF/0'], env);
    await waitUntil('it waits', async () => {
      const { rowCount } = await target.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crosswalk-wait'`,
      );
      return rowCount === 1;
    });
    command.child.kill('SIGTERM');
    expect(await command.ended).toBe(1);
    expect(command.stderr()).toBe('crosswalk wait: stopped before it was done.\n');
    expect(command.stdout()).toBe('');
  });

  it('tells in its metrics that a projector is held up', async () => {
    const lagMetric = async () => {
      const text = await (await fetch(`${projectorUrl}/metrics`)).text();
      return Number(/^crosswalk_projection_lag_offsets\{projection="quotes"\} (\d+)$/m.exec(text)![1]);
    };
    await target.query('BEGIN');
    try {
      await target.query(`SELECT FROM crosswalk.consumer_offset WHERE projection = 'quotes' FOR UPDATE`);
      await legacy.query('UPDATE quotes SET updated_at = now()');
      await waitUntil('the metrics show lag', async () => (await lagMetric()) >= SIZE.quotes, 30_000, 200);
    } finally {
      await target.query('ROLLBACK');
    }
    await waitUntil('the metrics show that it has caught up', async () => (await lagMetric()) === 0, 30_000, 200);
  });

  it('counts exactly what a paused projector has not applied', async () => {
    await stop(projector);
    const { rowCount } = await legacy.query(
      'UPDATE quotes SET updated_at = now() WHERE id IN (SELECT id FROM quotes ORDER BY id LIMIT 17)',
    );
    expect(rowCount).toBe(17);
    // The last offset of a partition is the marker of its last Kafka transaction: what is before it is to be applied.
    const expectedLags = async () => {
      const topic = `${env.CROSSWALK_TOPIC_PREFIX}.public.quotes`;
      const ends = (await createKafka(parseConfig(env).kafka(), createLog('silent')).fetchOffsets([topic])).get(topic)!;
      const { rows } = await target.query(
        `SELECT next_offset::int AS next FROM crosswalk.consumer_offset WHERE projection = 'quotes' ORDER BY partition`,
      );
      return ends.map(({ high }, partition) => Math.max(0, Number(high) - 1 - rows[partition].next));
    };
    const lags = async () => lagOf(await readLag(), 'quotes').partitions.map(({ lagOffsets }) => lagOffsets);
    const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
    await waitUntil('the log holds the changes', async () => sum(await lags()) >= 17, 30_000, 200);
    expect(await lags()).toEqual(await expectedLags());
    expect(sum(await lags())).toBeLessThanOrEqual(17 + 3);
    expect(lagOf(await readLag(), 'quotes').lagSeconds).toBeGreaterThan(0);
    const before = sum(await lags());
    await legacy.query('UPDATE quotes SET updated_at = now() WHERE id = (SELECT min(id::text)::uuid FROM quotes)');
    await waitUntil('the log holds one more', async () => sum(await lags()) > before, 30_000, 200);
    expect(await lags()).toEqual(await expectedLags());
    expect(lagOf(await readLag(), 'contacts').lagOffsets).toBe(0);

    const late = { CROSSWALK_LAG_WARNING_SECONDS: '1', CROSSWALK_LAG_FAILING_SECONDS: '2' };
    await waitUntil('lag fails', async () => (await run(['lag'], late)).code === 1, 30_000, 200);
    const { out } = await run(['lag'], late);
    expect(out).toContain(`failing: Projection quotes is ${sum(await lags())} offsets behind`);
    expect((await run(['status'], late)).code).toBe(1);

    projector = start(['project']);
    await waitUntil('it has caught up', async () => lagOf(await readLag(), 'quotes').lagOffsets === 0, 60_000, 200);
  });
});
