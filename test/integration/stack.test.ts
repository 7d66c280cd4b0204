import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { isRunning, readCommandLine } from '../../infra/stack/process-table.ts';
import { openStack, type Stack } from '../../infra/stack/stack.ts';
import { createDatabases, stackAddresses } from '../support/stack.ts';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function createDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'crosswalk-stack-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function open(dir: string, env: Record<string, string>, keepData = true): Promise<Stack> {
  const stack = await openStack({ dir, env, keepData, log: () => {} });
  cleanups.push(() => stack.close());
  return stack;
}

/** The environment in which only PostgreSQL is left for the stack to run. */
function postgresOnly(): Record<string, string> {
  const { kafkaBrokers, registryUrl } = stackAddresses();
  return { KAFKA_BROKERS: kafkaBrokers, SCHEMA_REGISTRY_URL: registryUrl };
}

async function query(url: string, sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];
  } finally {
    await client.end();
  }
}

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await sleep(50);
  }
}

describe('the servers of a test run', () => {
  test('PostgreSQL decodes its log, keeps commit times and orders text by code point', async () => {
    const databases = await createDatabases('stack');
    cleanups.push(() => databases.drop());
    await query(
      databases.legacyUrl,
      `SELECT pg_create_logical_replication_slot('slot_' || current_database(), 'pgoutput')`,
    );
    for (const url of [databases.legacyUrl, databases.targetUrl]) {
      expect(
        await query(url, `SELECT current_setting('wal_level'), current_setting('track_commit_timestamp')`),
      ).toEqual([['logical', 'on']]);
      expect(await query(url, `SELECT 'Z' < 'a', upper('é')`)).toEqual([[true, 'É']]);
    }
  });

  test('dropped databases take their replication slots with them', async () => {
    const databases = await createDatabases('stack');
    const name = new URL(databases.legacyUrl).pathname.slice(1);
    await query(
      databases.legacyUrl,
      `SELECT pg_create_logical_replication_slot('slot_' || current_database(), 'pgoutput')`,
    );
    await databases.drop();
    const found = `SELECT (SELECT count(*)::int FROM pg_replication_slots WHERE slot_name = 'slot_${name}'),
      (SELECT count(*)::int FROM pg_database WHERE datname = '${name}')`;
    expect(await query(stackAddresses().legacyAdminUrl, found)).toEqual([[0, 0]]);
  });

  test('Kafka commits and aborts transactions', async () => {
    const brokers = stackAddresses().kafkaBrokers.split(',');
    const kafka = new Kafka({ clientId: 'stack-test', brokers, logLevel: logLevel.NOTHING });
    const topic = `stack-test-${process.pid}-${Date.now()}`;
    const admin = kafka.admin();
    await admin.connect();
    cleanups.push(() => admin.disconnect());
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
    cleanups.push(() => admin.deleteTopics({ topics: [topic] }));
    const producer = kafka.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    cleanups.push(() => producer.disconnect());
    for (const [value, end] of [
      ['aborted', 'abort'],
      ['committed', 'commit'],
    ] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ key: 'k', value }] });
      await transaction[end]();
    }
    const seen: string[] = [];
    const consumer = kafka.consumer({ groupId: topic });
    await consumer.connect();
    cleanups.push(() => consumer.disconnect());
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => void seen.push(String(message.value)) });
    await until('the committed message', () => seen.includes('committed'));
    expect(seen).toEqual(['committed']);
  });
});

describe('servers that end and come back', () => {
  test('the registry keeps a schema over a crash', async () => {
    const addresses = stackAddresses();
    const stack = await open(createDir(), {
      LEGACY_DATABASE_URL: addresses.legacyAdminUrl,
      TARGET_DATABASE_URL: addresses.targetAdminUrl,
      KAFKA_BROKERS: addresses.kafkaBrokers,
    });
    expect(stack.kind).toMatchObject({ postgres: 'given', kafka: 'given' });
    const subject = `${stack.registryUrl}/subjects/stack-test-${process.pid}-${Date.now()}/versions`;
    const schema = JSON.stringify({ type: 'record', name: 'Row', fields: [{ name: 'id', type: 'long' }] });
    const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
    const response = await fetch(subject, { method: 'POST', headers, body: JSON.stringify({ schema }) });
    expect(response.status).toBe(200);
    const { id } = (await response.json()) as { id: number };

    const { registry } = stack.servers;
    await registry!.stop('SIGKILL');
    await expect(fetch(subject)).rejects.toThrow();
    await registry!.start();
    await until('the registry to read its topic', async () => (await fetch(`${subject}/latest`)).status === 200);
    const latest = (await (await fetch(`${subject}/latest`)).json()) as { id: number; schema: string };
    expect(latest.id).toBe(id);
    expect(JSON.parse(latest.schema)).toEqual(JSON.parse(schema));
  });

  test('PostgreSQL keeps committed rows over a crash, on the same port', async () => {
    const stack = await open(createDir(), postgresOnly());
    await query(stack.legacyUrl, 'CREATE TABLE kept AS SELECT 1 AS id');
    const { postgres } = stack.servers;
    const pid = postgres!.pid;
    await postgres!.stop('SIGKILL');
    expect(isRunning(pid)).toBe(false);
    await expect(query(stack.legacyUrl, 'SELECT 1')).rejects.toThrow();
    await postgres!.start();
    expect(await query(stack.legacyUrl, 'SELECT id FROM kept')).toEqual([[1]]);
  });

  test('a paused PostgreSQL answers nobody until it is resumed', async () => {
    const stack = await open(createDir(), postgresOnly());
    const client = new pg.Client({ connectionString: stack.legacyUrl });
    await client.connect();
    cleanups.push(() => client.end());
    stack.servers.postgres!.pause();
    let answered = false;
    const answer = client.query('SELECT 1 AS one').then((result) => {
      answered = true;
      return result.rows;
    });
    // A second backend cannot be forked either, and what did not answer for this long would have answered long ago.
    const second = new pg.Client({ connectionString: stack.legacyUrl, connectionTimeoutMillis: 500 });
    second.on('error', () => {});
    await expect(second.connect()).rejects.toThrow();
    expect(answered).toBe(false);
    stack.servers.postgres!.resume();
    expect(await answer).toEqual([{ one: 1 }]);
  });

  test('the servers of a killed process are ended by the next one, which finds their data', async () => {
    const dir = createDir();
    const runner = join(import.meta.dirname, '../../infra/stack/run.ts');
    const env = { ...process.env, ...postgresOnly(), LEGACY_DATABASE_URL: '', TARGET_DATABASE_URL: '' };
    const parent = spawn(process.execPath, [runner, '--dir', dir], { env, stdio: 'ignore' });
    cleanups.push(() => void parent.kill('SIGKILL'));
    const addresses = () => {
      try {
        return readFileSync(join(dir, 'env'), 'utf8');
      } catch {
        return '';
      }
    };
    await until('the stack of the other process', () => addresses().includes('SCHEMA_REGISTRY_URL='));
    await expect(openStack({ dir, env: postgresOnly(), keepData: true, log: () => {} })).rejects.toThrow(
      `another process (pid ${parent.pid})`,
    );
    const legacyUrl = /^LEGACY_DATABASE_URL=(.*)$/m.exec(addresses())![1]!;
    await query(legacyUrl, 'CREATE TABLE kept AS SELECT 7 AS id');
    const orphan = Number(readFileSync(join(dir, 'postgres.pid'), 'utf8'));
    cleanups.push(() => {
      if (readCommandLine(orphan).includes(dir)) process.kill(orphan, 'SIGKILL');
    });
    parent.kill('SIGKILL');
    await until('the end of the other process', () => !isRunning(parent.pid!));
    expect(isRunning(orphan)).toBe(true);

    const stack = await open(dir, postgresOnly());
    expect(isRunning(orphan)).toBe(false);
    expect(stack.legacyUrl).toBe(legacyUrl);
    expect(await query(stack.legacyUrl, 'SELECT id FROM kept')).toEqual([[7]]);
    const pid = stack.servers.postgres!.pid;
    await stack.close();
    expect(isRunning(pid)).toBe(false);

    const emptied = await open(dir, postgresOnly(), false);
    expect(await query(emptied.legacyUrl, `SELECT to_regclass('kept')`)).toEqual([[null]]);
  });
});
