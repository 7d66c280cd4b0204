// A session that the server ends in the very moment in which it is ready: both messages come in one piece, before anybody has the connection.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withClient } from '../../projectors/write/with-client.ts';
import { createPool } from '../../runtime/postgres.ts';
import { createDatabases } from '../support/stack.ts';

const READY = Buffer.from('Z\0\0\0\x05I');
let databases: Awaited<ReturnType<typeof createDatabases>>;
let admin: pg.Client;
beforeAll(async () => {
  databases = await createDatabases('ended');
  admin = new pg.Client(databases.targetUrl);
  await admin.connect();
});
afterAll(async () => {
  await admin?.end();
  await databases?.drop();
});

test('fails its first query, and nothing else', async () => {
  const target = new URL(databases.targetUrl);
  let ending: Promise<unknown> = Promise.resolve();
  // What says that the session is ready waits for what says that it is over.
  const proxy = createServer((client) => {
    const server = createConnection(Number(target.port), target.hostname);
    const held: Buffer[] = [];
    client.pipe(server, { end: false });
    client.on('error', () => undefined);
    server.on('error', () => undefined);
    server.on('data', (data) => {
      if (held.length === 0 && !data.includes(READY)) client.write(data);
      else if (held.push(data) === 1)
        ending = admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'crosswalk-ended'`,
        );
    });
    server.on('close', () => client.end(Buffer.concat(held)));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const url = new URL(databases.targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String((proxy.address() as AddressInfo).port);
  const pool = createPool(url.href, 'ended', 1);
  try {
    await expect(withClient(pool, (client) => client.query('SELECT 1'))).rejects.toThrow();
  } finally {
    await ending;
    await pool.end();
    proxy.close();
  }
});
