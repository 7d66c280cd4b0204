import type { Socket } from 'node:net';
import { userInfo } from 'node:os';
import pg from 'pg';
import { useOf } from './address-use.ts';
import { ABOUT_LOGINS, CrosswalkError, type RefusedLogin } from './errors.ts';
import { hostAndPort } from './network-address.ts';
import { parseAddress } from './postgres-address.ts';
import { NegotiatedConnection } from './postgres-connection.ts';
import { readTls } from './postgres-tls.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Settings that every session rests on, the replication one too: a default of the database or of the role would otherwise change the text of dates, floats and bytea in the middle
 * of the log, end statements in the middle of a load, or turn the meaning of a statement. Who needs a time limit names it, behind these.
 */
export const pinnedOptions = [
  '-c DateStyle=ISO,YMD',
  '-c IntervalStyle=postgres',
  '-c TimeZone=UTC',
  '-c bytea_output=hex',
  '-c extra_float_digits=1',
  '-c xmloption=content',
  '-c lc_monetary=C',
  '-c quote_all_identifiers=off',
  '-c array_nulls=on',
  '-c standard_conforming_strings=on',
  '-c transform_null_equals=off',
  '-c default_transaction_isolation=read\\ committed',
  '-c default_transaction_read_only=off',
  '-c default_transaction_deferrable=off',
  '-c statement_timeout=0',
  '-c lock_timeout=0',
  '-c idle_in_transaction_session_timeout=0',
  '-c idle_session_timeout=0',
].join(' ');

/** For connections to the legacy database: no function, operator or name of its own stands before PostgreSQL's, and names of objects (regclass, regtype) always have the same text. */
export const sourceOptions = '-c search_path=pg_catalog';

/** Every value stays the text that PostgreSQL sent. */
const textOnly = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

/** The account that this process runs as, which libpq takes where an address names no user. */
function accountName(what: string): string {
  try {
    return userInfo().username;
  } catch {
    throw new CrosswalkError('config_invalid.address_user', `${what}: the address names no user`);
  }
}

/**
 * Client options for an address and nothing else: all that the library would look up in the environment is given, but a password that the address leaves out. They serve one connection.
 * Throws `config_invalid`.
 */
export function addressConfig(url: string, name: string): pg.ClientConfig {
  const address = parseAddress(url);
  const { host, port, keepAlive, keepAliveIdleMs, connectTimeoutMs } = address;
  const what = addressOf(url);
  const user = address.user ?? accountName(what);
  const isPlain = address.tls.mode === 'disable' || host.startsWith('/');
  const connection = new NegotiatedConnection(address, isPlain ? null : readTls(address.tls, host, what));
  // Before the client takes it up: whoever reads of a missing right must know whose it is.
  connection.on('errorMessage', (error: { code?: unknown; refusedLogin?: RefusedLogin }) => {
    if (ABOUT_LOGINS.includes(String(error.code))) error.refusedLogin = { user, ...(useOf(url) ?? {}) };
  });
  return {
    ...{ host, port, user, database: address.database ?? user },
    ...(address.password === null ? {} : { password: address.password }),
    ...(address.options === '' ? {} : { options: address.options }),
    // The own name comes first: `crosswalk migrate` looks for running processes by it.
    application_name: [name, address.applicationName ?? ''].join(' ').trim(),
    // The connection sees to TLS itself.
    ...{
      connection,
      ssl: false,
      sslnegotiation: 'postgres',
      enableChannelBinding: address.channelBinding !== 'disable',
    },
    ...{ keepAlive, keepAliveInitialDelayMillis: keepAliveIdleMs },
    connectionTimeoutMillis: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
  } as pg.ClientConfig;
}

/** Client options for one connection: pinned settings, text values, `name` shown in pg_stat_activity. Options in the address come first: they never undo a pinned one. */
export function clientConfig(url: string, name: string, extraOptions = ''): pg.ClientConfig {
  const config = addressConfig(url, `crosswalk-${name}`);
  return {
    ...config,
    options: `${config.options ?? ''} ${pinnedOptions} ${extraOptions}`.trim(),
    types: textOnly,
  };
}

/** A time limit that servers before PostgreSQL 17 do not know, and refuse a session that names it. */
const UNPIN_LATER = `SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout' AND setting <> '0'`;

/** One connection. The caller ends it. A connection that breaks while idle only fails the next query. */
export async function connect(url: string, name: string, extraOptions = ''): Promise<pg.Client> {
  const client = new pg.Client(clientConfig(url, name, extraOptions));
  client.on('error', () => undefined);
  await client.connect();
  await client.query(UNPIN_LATER);
  return client;
}

/** Hands the statements of one turn to the system at once. */
function sendTogether(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: Socket } };
  let isGathering = false;
  const gather = () => {
    if (isGathering) return;
    isGathering = true;
    const { stream } = connection;
    stream.cork();
    process.nextTick(() => {
      isGathering = false;
      stream.uncork();
    });
  };
  Object.assign(client, {
    query(...values: unknown[]) {
      gather();
      return (pg.Client.prototype.query as (...given: unknown[]) => unknown).apply(client, values);
    },
  });
}

/** A pool of at most `max` connections. `isPipelined`: statements are sent at once, and not when the one before is answered. */
export function createPool(
  url: string,
  name: string,
  max: number,
  extraOptions = '',
  { isPipelined = false } = {},
): pg.Pool {
  // Each connection has a configuration of its own; the first is made to see that the address is right.
  const { connectionTimeoutMillis = CONNECT_TIMEOUT_MS } = clientConfig(url, name, extraOptions);
  class Client extends pg.Client {
    constructor() {
      super({ ...clientConfig(url, name, extraOptions), pipeline: isPipelined } as pg.ClientConfig);
      if (isPipelined) sendTogether(this);
    }
  }
  // A session may be ended in the very moment in which it is ready, before anybody who gets it can listen: unheard, its error would end the process.
  const listen = (client: pg.ClientBase) => client.on('error', () => undefined);
  const onConnect = async (client: pg.ClientBase) => {
    listen(client);
    await client.query(UNPIN_LATER);
  };
  const pool = new pg.Pool({ Client, max, connectionTimeoutMillis, onConnect } as pg.PoolConfig);
  pool.on('error', () => undefined);
  return pool;
}

/** Runs `work` in one transaction and commits it; rolls back and throws on any error. */
export async function inTransaction<T>(client: pg.ClientBase, work: () => Promise<T>, begin = 'BEGIN'): Promise<T> {
  await client.query(begin);
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Bytes of a bytea, as the pinned settings write it. */
export function parseBytea(text: string): Buffer {
  return Buffer.from(text.slice(2), 'hex');
}

/** host:port/database of an address, without credentials. */
export function addressOf(url: string): string {
  const { host, port, database } = parseAddress(url);
  return `${hostAndPort(host, port)}${database === null ? '' : `/${encodeURIComponent(database)}`}`;
}
