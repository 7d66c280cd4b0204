import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';

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

/**
 * What an address says of TLS, as libpq means it: `require` encrypts, `verify-ca` also checks who signed the certificate, `verify-full` also whose it is.
 * Said here, because the client library reads `require` in its own way and warns about it.
 */
function toTls(url: string): { connectionString: string; ssl?: false | ConnectionOptions } {
  const parsed = new URL(url);
  const mode = parsed.searchParams.get('sslmode');
  if (mode === null) return { connectionString: url };
  parsed.searchParams.delete('sslmode');
  const connectionString = parsed.href;
  if (mode === 'disable' || mode === 'allow' || mode === 'prefer') return { connectionString, ssl: false };
  if (mode === 'require') return { connectionString, ssl: { rejectUnauthorized: false } };
  if (mode === 'verify-ca')
    return { connectionString, ssl: { rejectUnauthorized: true, checkServerIdentity: () => undefined } };
  return { connectionString, ssl: { rejectUnauthorized: true } };
}

/** Client options for an address: pinned settings, text values, `name` shown in pg_stat_activity. Options in the address come first: they never undo a pinned one. */
export function clientConfig(url: string, name: string, extraOptions = ''): pg.ClientConfig {
  const address = new URL(url);
  const givenOptions = address.searchParams.get('options') ?? '';
  address.searchParams.delete('options');
  return {
    ...toTls(givenOptions === '' ? url : address.href),
    application_name: `crosswalk-${name}`,
    options: `${givenOptions} ${pinnedOptions} ${extraOptions}`.trim(),
    types: textOnly,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
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

/** A pool of at most `max` connections. */
export function createPool(url: string, name: string, max: number, extraOptions = ''): pg.Pool {
  // A session may be ended in the very moment in which it is ready, before anybody who gets it can listen: unheard, its error would end the process.
  const listen = (client: pg.ClientBase) => client.on('error', () => undefined);
  const onConnect = async (client: pg.ClientBase) => {
    listen(client);
    await client.query(UNPIN_LATER);
  };
  const pool = new pg.Pool({ ...clientConfig(url, name, extraOptions), max, onConnect } as pg.PoolConfig);
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
  const parsed = new URL(url);
  return `${parsed.hostname}:${parsed.port || '5432'}${parsed.pathname}`;
}
