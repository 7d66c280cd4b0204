// Under a connector at work: answers of Kafka that never come, crashes of Kafka, crashes of the legacy database. It goes on by itself; nothing is lost, nothing is twice.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLsn } from '../../../changes/lsn.ts';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import { startKafka } from '../../../infra/stack/kafka.ts';
import { topicOf, transactionTopicOf } from '../../../runtime/config.ts';
import { connect } from '../../../runtime/postgres.ts';
import { findDifferences, findFaults } from '../../support/check-log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';
import { readBoundaries, readLog } from '../../support/read-log.ts';
import { openTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

const CUTS = 20;

let dir: string;
let proxy: TcpProxy;
let kafka: Awaited<ReturnType<typeof startKafka>>;
let database: OwnPostgres;
let rig: ConnectorRig;
let connector: CliProcess;
let application: { written(): number; stop(): Promise<void> };

beforeAll(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-broken-')));
  mkdirSync(join(dir, 'logs'));
  const port = await findFreePort();
  proxy = await openTcpProxy(port);
  kafka = await startKafka(dir, {}, () => undefined, { port, advertisedPort: proxy.port });
  database = await startOwnPostgres();
  rig = await createConnectorRig('broken', {
    legacyUrl: database.url,
    kafkaBrokers: `127.0.0.1:${kafka.port}`,
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, label text NOT NULL)',
  });
  connector = startCli(['connect'], {
    NODE_NO_WARNINGS: '1',
    ...rig.env,
    KAFKA_BROKERS: `127.0.0.1:${proxy.port}`,
    LOG_LEVEL: 'info',
  });
  await connector.untilSaid('"streaming"', 90_000);
  application = startApplication(database.url);
}, 300_000);
afterAll(async () => {
  await application?.stop();
  if (connector?.isRunning()) connector.child.kill('SIGKILL');
  await connector?.ended;
  await rig?.drop();
  await proxy?.close();
  await kafka?.server.stop('SIGKILL');
  await database?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Writes one row after the other, each of the same size, and goes on over crashes: events and sends resemble each other as much as they can. */
function startApplication(url: string) {
  let written = 0;
  let isStopping = false;
  const done = (async () => {
    let client: pg.Client | null = null;
    while (!isStopping) {
      try {
        client ??= await connect(url, 'application');
        await client.query(`INSERT INTO docs (label) VALUES ('same')`);
        written += 1;
      } catch {
        await client?.end().catch(() => undefined);
        client = null;
      }
    }
    await client?.end().catch(() => undefined);
  })();
  return {
    written: () => written,
    async stop() {
      isStopping = true;
      await done;
    },
  };
}

/** Everything that is committed by now is in the log. */
async function untilInLog(): Promise<void> {
  const client = await connect(database.url, 'look');
  const { rows } = await client
    .query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    .finally(() => client.end());
  const lsn = parseLsn(rows[0]!.lsn);
  const isThere = () =>
    rig.readPosition().then(
      (position) => (position?.lsn ?? 0n) >= lsn,
      () => false,
    );
  await waitUntil('it is in the log', isThere, 150_000, 100).catch((error: Error) => {
    throw new Error(`${error.message}; the connector said: ${connector.stderr()}`);
  });
}

/** Something new of the application is in the log. */
async function untilGoneOn(): Promise<void> {
  const before = application.written();
  await waitUntil('the application goes on', () => application.written() > before, 150_000);
  await untilInLog();
  expect(connector.isRunning(), connector.stderr()).toBe(true);
}

test(`${CUTS} answers of Kafka that break off`, async () => {
  for (let cut = 0; cut < CUTS; cut++) {
    // Of the answer to a send or to a commit, as it comes: the broker has done what it was asked for.
    await proxy.cutWithin([4, 12, 40][cut % 3]!);
    const before = application.written();
    await waitUntil('the application goes on', () => application.written() > before + 5);
  }
  await untilGoneOn();
}, 400_000);

test('crashes of Kafka', async () => {
  for (let crash = 0; crash < 2; crash++) {
    await kafka.server.stop('SIGKILL');
    await kafka.server.start();
    await untilGoneOn();
  }
}, 400_000);

test('crashes of the legacy database', async () => {
  for (let crash = 0; crash < 2; crash++) {
    await database.crash();
    await untilGoneOn();
  }
}, 400_000);

test('after all of it the log is whole', async () => {
  await application.stop();
  await untilInLog();
  const addresses = { kafkaBrokers: rig.env.KAFKA_BROKERS!, registryUrl: rig.env.SCHEMA_REGISTRY_URL! };
  const log = await readLog(addresses, [topicOf(rig.config, 'docs')]);
  const boundaries = await readBoundaries(addresses, transactionTopicOf(rig.config));
  const client = await connect(database.url, 'test');
  const differences = await findDifferences(client, log, ['docs']).finally(() => client.end());
  expect({ differences, faults: findFaults(log, boundaries) }).toEqual({ differences: [], faults: [] });
  expect(log.length).toBeGreaterThanOrEqual(application.written());
  expect(application.written()).toBeGreaterThan(10 * CUTS);
  connector.child.kill('SIGTERM');
  expect(await connector.ended, connector.stderr()).toBe(0);
}, 120_000);
