import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFreePort } from '../../infra/stack/free-port.ts';
import { type ConnectorRig, createConnectorRig } from '../support/connector.ts';
import { type CliProcess, startCli } from '../support/connector-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { untilSlotIsFree } from '../support/slot.ts';

let rig: ConnectorRig;
let replica: OwnPostgres;
let listener: Server;
let takenPort: number;
let closedPort: number;
beforeAll(async () => {
  rig = await createConnectorRig('configuration', {
    tables: ['docs'],
    schema: `CREATE TABLE docs (id integer PRIMARY KEY, label text);
      CREATE TABLE plain (id integer PRIMARY KEY, label text);
      CREATE TABLE keyless (label text);
      CREATE TABLE unpublished (id integer PRIMARY KEY);
      ALTER TABLE unpublished REPLICA IDENTITY FULL`,
  });
  replica = await startOwnPostgres();
  await replica.admin('CREATE TABLE docs (id integer PRIMARY KEY)', 'ALTER SYSTEM SET wal_level = replica');
  await replica.restart();
  listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  takenPort = (listener.address() as AddressInfo).port;
  closedPort = await findFreePort();
});
afterAll(async () => {
  listener?.close();
  await replica?.close();
  await rig?.drop();
});

const edit = (address: string, change: (url: URL) => void): string => {
  const url = new URL(address);
  change(url);
  return url.href;
};
const legacyWith = (change: (url: URL) => void) => edit(rig.env.LEGACY_DATABASE_URL!, change);

/** What it wrote for people: everything but the JSON lines of the log. */
const linesOf = (connector: CliProcess) =>
  connector
    .stderr()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'));

describe('a wrong configuration ends with one line that names cause and remedy', () => {
  const cases: [string, () => Record<string, string>, RegExp][] = [
    [
      'wrong password',
      () => ({ LEGACY_DATABASE_URL: legacyWith((url) => (url.password = 'nobody-knows-it')) }),
      /password authentication failed.*Check user and password/,
    ],
    [
      'missing database',
      () => ({ LEGACY_DATABASE_URL: legacyWith((url) => (url.pathname = '/nowhere')) }),
      /"nowhere" does not exist.*Create the database/,
    ],
    [
      'wal_level=replica',
      () => ({ LEGACY_DATABASE_URL: replica.url }),
      /wal_level=replica.*ALTER SYSTEM SET wal_level = logical.*restart/,
    ],
    ['missing table', () => ({ CROSSWALK_TABLES: 'docs,nowhere' }), /no table public\.nowhere.*CROSSWALK_TABLES/],
    [
      'replica identity not FULL',
      () => ({ CROSSWALK_TABLES: 'docs,plain' }),
      /REPLICA IDENTITY FULL: plain.*ALTER TABLE "public"\."plain" REPLICA IDENTITY FULL;/,
    ],
    ['no primary key', () => ({ CROSSWALK_TABLES: 'docs,keyless' }), /No primary key: keyless.*primary key/],
    [
      'missing publication',
      () => ({ CROSSWALK_PUBLICATION: 'nowhere' }),
      /no publication nowhere.*CREATE PUBLICATION "nowhere" FOR TABLE "public"\."docs";/,
    ],
    [
      'unpublished table',
      () => ({ CROSSWALK_TABLES: 'docs,unpublished' }),
      /Not in publication crosswalk: unpublished.*ALTER PUBLICATION "crosswalk" ADD TABLE "public"\."unpublished";/,
    ],
    [
      'HTTP port taken',
      () => ({ CROSSWALK_HTTP_PORT: String(takenPort) }),
      /EADDRINUSE|port.*taken|in use.*CROSSWALK_HTTP_PORT/,
    ],
    [
      'TLS asked of a PostgreSQL without it',
      () => ({ LEGACY_DATABASE_URL: legacyWith((url) => url.searchParams.set('sslmode', 'require')) }),
      /does not support SSL.*sslmode/,
    ],
    ['TLS asked of a Kafka without it', () => ({ KAFKA_TLS: 'true' }), /Kafka.*TLS.*KAFKA_TLS/],
    [
      'SASL asked of a Kafka without it',
      () => ({ KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'nobody-knows-it' }),
      /Kafka.*SASL/,
    ],
    [
      'a registry address that is something else',
      () => ({ SCHEMA_REGISTRY_URL: edit(rig.env.SCHEMA_REGISTRY_URL!, (url) => (url.pathname = '/nowhere')) }),
      /schema registry.*address/,
    ],
    [
      'another number of partitions',
      () => ({ CROSSWALK_PARTITIONS: '4', CROSSWALK_TOPIC_PREFIX: `${rig.config.topicPrefix}` }),
      /has 3 partitions, 4 are configured.*CROSSWALK_PARTITIONS/,
    ],
    [
      'more replicas than brokers',
      () => ({ CROSSWALK_REPLICATION_FACTOR: '9', CROSSWALK_TOPIC_PREFIX: `${rig.config.topicPrefix}_nine` }),
      /topic configuration_\w+_nine\.\S+: (Replication-factor is invalid|Unable to replicate).*CROSSWALK_REPLICATION_FACTOR/,
    ],
    [
      'unknown values',
      () => ({ CROSSWALK_ON_TRUNCATE: 'perhaps', CROSSWALK_PARTITIONS: '0', KAFKA_TLS: 'yes' }),
      /CROSSWALK_ON_TRUNCATE.*CROSSWALK_PARTITIONS|KAFKA_TLS.*CROSSWALK_PARTITIONS.*CROSSWALK_ON_TRUNCATE/,
    ],
    ['a missing address', () => ({ KAFKA_BROKERS: '' }), /KAFKA_BROKERS is not set/],
  ];
  test.for(cases)('%s', { timeout: 30_000 }, async ([name, variables, expected]) => {
    if (name === 'another number of partitions') {
      const first = rig.run();
      await rig.untilCaughtUp();
      await first.stop();
    }
    const connector = startCli(['connect'], { ...rig.env, NODE_NO_WARNINGS: '1', ...variables() });
    const timer = setTimeout(() => connector.child.kill('SIGKILL'), 20_000);
    expect(await connector.ended, connector.stderr()).toBe(2);
    clearTimeout(timer);
    const lines = linesOf(connector);
    expect(lines, connector.stderr()).toHaveLength(1);
    expect(lines[0]).toMatch(expected);
    expect(lines[0]).toMatch(/^crosswalk connect: /);
    expect(connector.stderr()).not.toContain('nobody-knows-it');
  });
});

describe('a server that is only down is waited for', () => {
  const cases: [string, () => Record<string, string>, RegExp][] = [
    [
      'PostgreSQL',
      () => ({ LEGACY_DATABASE_URL: legacyWith((url) => (url.port = String(closedPort))) }),
      /waiting for legacy database 127\.0\.0\.1/,
    ],
    ['Kafka', () => ({ KAFKA_BROKERS: `127.0.0.1:${closedPort}` }), /waiting for Kafka 127\.0\.0\.1/],
    [
      'the schema registry',
      () => ({ SCHEMA_REGISTRY_URL: `http://127.0.0.1:${closedPort}/apis` }),
      /waiting for schema registry 127\.0\.0\.1/,
    ],
  ];
  test.for(cases)('%s', { timeout: 30_000 }, async ([, variables, expected]) => {
    const connector = startCli(['connect'], { ...rig.env, NODE_NO_WARNINGS: '1', ...variables() });
    try {
      await connector.untilSaid(expected);
      expect(linesOf(connector)).toEqual([]);
      const atMs = performance.now();
      connector.child.kill('SIGTERM');
      expect(await connector.ended).toBe(0);
      expect(performance.now() - atMs).toBeLessThan(10_000);
    } finally {
      connector.child.kill('SIGKILL');
    }
  });
});

describe('a source or a log that is no longer the one of the stored position is refused', () => {
  test.for([
    ['a dropped slot', 'slot_invalid'],
    ['a slot confirmed past the position', 'position_mismatch'],
    ['a deleted position topic', 'position_mismatch'],
  ] as const)('%s', async ([what, code]) => {
    const own = await createConnectorRig('refused', {
      tables: ['docs'],
      schema: 'CREATE TABLE docs (id integer PRIMARY KEY); INSERT INTO docs VALUES (1)',
    });
    try {
      const first = own.run();
      await own.untilCaughtUp();
      await first.stop();
      const slot = pg.escapeLiteral(own.config.slot);
      await untilSlotIsFree(own.legacy, own.config.slot);
      await own.legacy.query('INSERT INTO docs VALUES (2)');
      if (what === 'a dropped slot') await own.legacy.query(`SELECT pg_drop_replication_slot(${slot})`);
      else if (what === 'a deleted position topic') await own.deletePositionTopic();
      else await own.legacy.query(`SELECT pg_replication_slot_advance(${slot}, pg_current_wal_lsn())`);
      expect(await own.run().ended).toMatchObject({ code });
      // And again: nothing was repaired behind anybody's back.
      expect(await own.run().ended).toMatchObject({ code });
    } finally {
      await own.drop();
    }
  });
});

test('a role that may replicate and read the captured tables is enough, slot creation included', async () => {
  const own = await createConnectorRig('role', {
    tables: ['docs'],
    schema: 'CREATE TABLE docs (id integer PRIMARY KEY); INSERT INTO docs VALUES (1)',
  });
  const role = pg.escapeIdentifier(own.config.slot);
  try {
    await own.legacy.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'role'`);
    await own.legacy.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
    await own.legacy.query(`GRANT USAGE ON SCHEMA public TO ${role}`);
    await own.legacy.query(`GRANT SELECT ON docs TO ${role}`);
    const connector = own.run({
      LEGACY_DATABASE_URL: edit(own.env.LEGACY_DATABASE_URL!, (url) => {
        url.username = own.config.slot;
        url.password = 'role';
      }),
    });
    await own.untilCaughtUp();
    await own.legacy.query('INSERT INTO docs VALUES (2)');
    await own.untilCaughtUp();
    const { log, differences, faults } = await own.readCheckedLog();
    expect(differences).toEqual([]);
    expect(faults).toEqual([]);
    expect(log).toHaveLength(2);
    await connector.stop();
  } finally {
    await own.legacy.query(`DROP OWNED BY ${role}`).catch(() => undefined);
    await own.legacy.query(`DROP ROLE IF EXISTS ${role}`).catch(() => undefined);
    await own.drop();
  }
});
