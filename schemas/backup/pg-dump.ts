import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CrosswalkError } from '../../runtime/errors.ts';
import { parseAddress } from '../../runtime/postgres-address.ts';
import { quoteIdent } from '../quote.ts';
import type { Definitions, Statement } from './manifest.ts';

const run = promisify(execFile);
const LARGEST_OUTPUT = 256 * 1024 * 1024;
/**
 * An ALTER TABLE that waits for the end of the backup blocks pg_dump from its own lock: forever, without this timeout.
 */
const LOCK_WAIT_MS = 10_000;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The version of the pg_dump on the PATH if it has the server's major version; null otherwise: an older one refuses, a
 * newer one writes for its own version.
 */
export async function findPgDump(serverMajor: number, env: Environment): Promise<string | null> {
  try {
    const { stdout } = await run('pg_dump', ['--version'], { env: { ...env } });
    return parseVersion(stdout, serverMajor);
  } catch {
    return null;
  }
}

/** The version in the output of `pg_dump --version`, if it has this major version. */
export function parseVersion(text: string, serverMajor: number): string | null {
  const version = /\(PostgreSQL\) (\d+)(?:\.\d+|(?:beta|rc)\d+)?/.exec(text);
  return version !== null && Number(version[1]) === serverMajor ? version[0].slice('(PostgreSQL) '.length) : null;
}

/**
 * Runs pg_dump for the definitions of some schemas as of a snapshot, without owners and grants, which name roles that
 * may not exist elsewhere. Throws `locked` if another session is altering one of their tables. The signal ends pg_dump.
 */
export async function dumpDefinitions(
  url: string,
  schemas: readonly string[],
  snapshot: string,
  env: Environment,
  signal: AbortSignal,
): Promise<Definitions> {
  const dump = async (section: 'pre-data' | 'post-data') => {
    const args = [
      ...[
        '--schema-only',
        `--section=${section}`,
        '--no-owner',
        '--no-privileges',
        '--no-tablespaces',
        '--no-password',
      ],
      ...['--no-publications', '--no-subscriptions', '--no-security-labels', `--snapshot=${snapshot}`],
      `--lock-wait-timeout=${LOCK_WAIT_MS}`,
      ...schemas.map((schema) => `--schema=${quoteIdent(schema)}`),
    ];
    try {
      const { stdout } = await run('pg_dump', args, {
        env: { ...withoutAddress(env), ...toPgEnvironment(url) },
        maxBuffer: LARGEST_OUTPUT,
        signal,
      });
      return parseDump(stdout);
    } catch (error) {
      signal.throwIfAborted();
      const said = String((error as { stderr?: unknown }).stderr ?? '').split('\n')[0];
      if (/(?:lock|statement) timeout/.test(String((error as { stderr?: unknown }).stderr)))
        throw lockedByOther('pg_dump');
      throw new CrosswalkError(
        'backup_invalid.pg_dump_failed',
        `pg_dump failed: ${said === '' ? String((error as Error).message).split('\n')[0] : said}`,
      );
    }
  };
  return { before: await dump('pre-data'), after: await dump('post-data') };
}

/** The error for a backup blocked by a session that alters its tables. */
export function lockedByOther(who: string, cause?: unknown): CrosswalkError {
  return new CrosswalkError(
    'locked.backup',
    `${who} got no lock on the tables within ${LOCK_WAIT_MS / 1000} s: somebody alters one of them, or waits to`,
    { cause },
  );
}

const variables = {
  options: 'PGOPTIONS',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  channel_binding: 'PGCHANNELBINDING',
  gssencmode: 'PGGSSENCMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  sslrootcert: 'PGSSLROOTCERT',
  sslcrl: 'PGSSLCRL',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslcertmode: 'PGSSLCERTMODE',
  sslsni: 'PGSSLSNI',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
} as const;

/**
 * Whether environment variables can express the whole address for pg_dump: there is none for a key's passphrase, and
 * libpq does not know the CAs that Node.js trusts.
 */
export function canBeToldToPgDump(url: string): boolean {
  const { mode, rootCert, client } = parseAddress(url).tls;
  return client?.passphrase == null && !(mode === 'verify-full' && rootCert === null);
}

/** The address as libpq's variables: an argument would expose the password to everyone on the machine. */
export function toPgEnvironment(url: string): Record<string, string> {
  const { host, port, user, password, database, tls, given } = parseAddress(url);
  const all: Record<string, string | null | undefined> = {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
    PGSSLMODE: tls.mode,
  };
  for (const [parameter, variable] of Object.entries(variables)) all[variable] = given.get(parameter);
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

/**
 * An environment without libpq's variables, which would change an address, except for the password, which may come from
 * there.
 */
function withoutAddress(env: Environment): Environment {
  const isKept = (name: string) => !name.startsWith('PG') || name === 'PGPASSWORD' || name === 'PGPASSFILE';
  return Object.fromEntries(Object.entries(env).filter(([name]) => isKept(name)));
}

/** Splits the output of pg_dump at its headings, leaving out psql commands and comments about the dump itself. */
export function parseDump(text: string): Statement[] {
  const heading = /^--\n-- Name: (.*); Type: ([^;]*); Schema: .*\n--\n/gm;
  const headings = [...text.matchAll(heading)];
  const clean = (sql: string) =>
    sql
      .replaceAll(/^\\(?:un)?restrict .*$/gm, '')
      .replaceAll(/^--(?: PostgreSQL database dump.*| Dumped .*)?$/gm, '')
      .trim();
  const statements = headings.map((match, at) => ({
    kind: 'pg_dump' as const,
    name: `${match[2]!.toLowerCase()} ${match[1]!}`,
    roles: [],
    // An empty database has a schema public, and an extension may have required another one before.
    sql: clean(text.slice(match.index + match[0].length, headings[at + 1]?.index)).replace(
      /^CREATE SCHEMA /m,
      match[2] === 'SCHEMA' ? 'CREATE SCHEMA IF NOT EXISTS ' : '$&',
    ),
  }));
  const settings = clean(text.slice(0, headings[0]?.index));
  return [{ kind: 'pg_dump' as const, name: 'settings', roles: [], sql: settings }, ...statements].filter(
    ({ sql }) => sql !== '',
  );
}
