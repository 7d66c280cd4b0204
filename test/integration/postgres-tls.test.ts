import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createReplicationStream } from '../../connectors/replication.ts';
import { toCrosswalkError, toErrorLine } from '../../runtime/errors.ts';
import { connect, createPool } from '../../runtime/postgres.ts';
import { type Certificates, createCertificates } from '../support/certificates.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';

let certificates: Certificates;
/** One with TLS and one without. */
let secured: OwnPostgres;
let plain: OwnPostgres;
const PASSWORD = 's3cret-of-nobody';
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

/** Of what each role may do: the first line that fits decides. */
const HBA = `hostssl all certified all cert
hostnossl all certified all reject
hostssl all encrypted all scram-sha-256
hostnossl all encrypted all reject
hostnossl all unencrypted all scram-sha-256
hostssl all unencrypted all reject
host all md5 all md5
host all unknown all reject
host all all all scram-sha-256
local all all scram-sha-256
`;

async function fetchSetting(server: OwnPostgres, name: string): Promise<string> {
  const client = await connect(`${server.url}?sslmode=disable`, 'test');
  try {
    return (await client.query<{ value: string }>('SELECT current_setting($1) AS value', [name])).rows[0]!.value;
  } finally {
    await client.end();
  }
}

async function prepare(server: OwnPostgres, certificate: string | null): Promise<void> {
  await server.admin(
    ...['certified', 'encrypted', 'unencrypted', 'unknown', 'anybody'].map(
      (role) => `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD '${PASSWORD}'`,
    ),
    `SET password_encryption = 'md5'`,
    `CREATE ROLE md5 LOGIN PASSWORD '${PASSWORD}'`,
    `ALTER SYSTEM SET unix_socket_directories = '${await fetchSetting(server, 'data_directory')}'`,
    `ALTER SYSTEM SET listen_addresses = 'localhost,127.0.0.1${hasIpv6 ? ',::1' : ''}'`,
  );
  const dir = await fetchSetting(server, 'data_directory');
  writeFileSync(
    join(dir, 'pg_hba.conf'),
    `${HBA}${HBA.replace('local all all scram-sha-256\n', '').replaceAll(' all ', ' replication ')}`.replaceAll(
      /^(\S+) replication (\S+) replication/gm,
      '$1 replication $2 all',
    ),
  );
  if (certificate !== null) {
    const { uid, gid } = statSync(dir);
    for (const [from, to] of [
      [`${certificate}.crt`, 'server.crt'],
      [`${certificate}.key`, 'server.key'],
      ['good.crt', 'root.crt'],
    ] as const) {
      copyFileSync(certificates.file(from), join(dir, to));
      chmodSync(join(dir, to), 0o600);
      chownSync(join(dir, to), uid, gid);
    }
    await server.admin('ALTER SYSTEM SET ssl = on', `ALTER SYSTEM SET ssl_ca_file = 'root.crt'`);
  }
  await server.restart();
}

beforeAll(async () => {
  certificates = createCertificates();
  certificates.authority('good');
  certificates.authority('other');
  // Of localhost, and of no IP address.
  certificates.signed('server', 'good', 'localhost', 'DNS:localhost');
  certificates.signed('client', 'good', 'certified');
  certificates.signed('locked', 'good', 'certified', '', 'open sesame');
  certificates.signed('stranger', 'other', 'certified');
  certificates.revocations('empty', 'good', []);
  certificates.revocations('revoking', 'good', ['server']);
  copyFileSync(certificates.file('client.key'), certificates.file('open.key'));
  chmodSync(certificates.file('open.key'), 0o644);
  writeFileSync(certificates.file('garbage'), 'no certificate\n');
  mkdirSync(certificates.file('home'));
  [secured, plain] = await Promise.all([startOwnPostgres(), startOwnPostgres()]);
  await prepare(secured, 'server');
  await prepare(plain, null);
});
afterAll(async () => {
  await Promise.all([secured?.close(), plain?.close()]);
  certificates?.remove();
});

type Outcome = 'tls' | 'plain' | 'refused';
interface Case {
  readonly server?: 'plain';
  readonly user?: 'certified' | 'encrypted' | 'unencrypted' | 'unknown' | 'md5';
  readonly password?: string;
  readonly host?: string;
  /** Files are written <name>. */
  readonly params: string;
  readonly expected: Outcome;
  /** The major version of libpq that the parameters came with. */
  readonly since?: number;
  /** Where libpq is known to differ: what it does. */
  readonly libpq?: Outcome;
}

const cases: readonly Case[] = [
  // A server with TLS: modes without a root certificate.
  { params: '', expected: 'tls' },
  { params: 'sslmode=disable', expected: 'plain' },
  { params: 'sslmode=allow', expected: 'plain' },
  { params: 'sslmode=prefer', expected: 'tls' },
  { params: 'sslmode=require', expected: 'tls' },
  { params: 'sslmode=require', host: '127.0.0.1', expected: 'tls' },
  { params: 'ssl=true', expected: 'tls' },
  // … which trust nobody without one.
  { params: 'sslmode=verify-ca', expected: 'refused' },
  { params: 'sslmode=verify-full', expected: 'refused' },
  // The right authority, and its certificate of another name.
  { params: 'sslmode=require&sslrootcert=<good.crt>', host: '127.0.0.1', expected: 'tls' },
  { params: 'sslmode=verify-ca&sslrootcert=<good.crt>', expected: 'tls' },
  { params: 'sslmode=verify-ca&sslrootcert=<good.crt>', host: '127.0.0.1', expected: 'tls' },
  { params: 'sslmode=verify-full&sslrootcert=<good.crt>', expected: 'tls' },
  { params: 'sslmode=verify-full&sslrootcert=<good.crt>', host: '127.0.0.1', expected: 'refused' },
  { params: 'sslmode=prefer&sslrootcert=<good.crt>', host: '127.0.0.1', expected: 'tls' },
  { params: 'sslrootcert=<good.crt>', expected: 'tls' },
  // The wrong one: whatever may go on in plain text does.
  { params: 'sslmode=require&sslrootcert=<other.crt>', expected: 'refused' },
  { params: 'sslmode=verify-ca&sslrootcert=<other.crt>', expected: 'refused' },
  { params: 'sslmode=verify-full&sslrootcert=<other.crt>', expected: 'refused' },
  { params: 'sslmode=prefer&sslrootcert=<other.crt>', expected: 'plain' },
  { params: 'sslmode=allow&sslrootcert=<other.crt>', expected: 'plain' },
  { params: 'sslmode=disable&sslrootcert=<other.crt>', expected: 'plain' },
  { params: 'sslmode=disable&sslrootcert=<missing>&sslcert=<missing>&sslkey=<missing>', expected: 'plain' },
  // The last of two counts.
  { params: 'sslmode=disable&sslmode=require', expected: 'tls' },
  { params: 'sslmode=require&sslmode=disable', expected: 'plain' },
  // A server without TLS.
  { server: 'plain', params: '', expected: 'plain' },
  ...(['disable', 'allow', 'prefer'] as const).map((mode) => ({
    ...{ server: 'plain' as const, params: `sslmode=${mode}`, expected: 'plain' as const },
  })),
  ...(['require', 'verify-ca', 'verify-full'] as const).map((mode) => ({
    ...{ server: 'plain' as const, params: `sslmode=${mode}&sslrootcert=<good.crt>`, expected: 'refused' as const },
  })),
  // Roles that the server lets in one way only.
  { user: 'encrypted', params: '', expected: 'tls' },
  { user: 'encrypted', params: 'sslmode=allow', expected: 'tls' },
  { user: 'encrypted', params: 'sslmode=disable', expected: 'refused' },
  { user: 'encrypted', params: 'sslmode=allow&sslrootcert=<other.crt>', expected: 'refused' },
  { user: 'encrypted', params: 'sslmode=prefer&sslrootcert=<other.crt>', expected: 'refused' },
  { user: 'encrypted', server: 'plain', params: 'sslmode=allow', expected: 'refused' },
  { user: 'unencrypted', params: '', expected: 'plain' },
  { user: 'unencrypted', params: 'sslmode=allow', expected: 'plain' },
  { user: 'unencrypted', params: 'sslmode=require', expected: 'refused' },
  { user: 'unknown', params: 'sslmode=prefer', expected: 'refused' },
  { user: 'unknown', params: 'sslmode=allow', expected: 'refused' },
  { password: 'wrong', params: 'sslmode=prefer', expected: 'refused' },
  { password: 'wrong', params: 'sslmode=allow', expected: 'refused' },
  // Client certificates.
  { user: 'certified', params: 'sslmode=require', expected: 'refused' },
  { user: 'certified', params: 'sslmode=require&sslcert=<client.crt>&sslkey=<client.key>', expected: 'tls' },
  { user: 'certified', params: 'sslcert=<client.crt>&sslkey=<client.key>', expected: 'tls' },
  { user: 'certified', params: 'sslmode=allow&sslcert=<client.crt>&sslkey=<client.key>', expected: 'tls' },
  {
    user: 'certified',
    params: 'sslmode=verify-full&sslrootcert=<good.crt>&sslcert=<client.crt>&sslkey=<client.key>',
    expected: 'tls',
  },
  { user: 'certified', params: 'sslmode=require&sslcert=<stranger.crt>&sslkey=<stranger.key>', expected: 'refused' },
  { user: 'certified', params: 'sslmode=require&sslcert=<client.crt>&sslkey=<stranger.key>', expected: 'refused' },
  { user: 'certified', params: 'sslmode=require&sslcert=<client.crt>&sslkey=<open.key>', expected: 'refused' },
  {
    user: 'certified',
    params: 'sslmode=require&sslcert=<locked.crt>&sslkey=<locked.key>&sslpassword=open%20sesame',
    expected: 'tls',
  },
  {
    user: 'certified',
    params: 'sslmode=require&sslcert=<locked.crt>&sslkey=<locked.key>&sslpassword=open+sesame',
    expected: 'refused',
  },
  {
    user: 'certified',
    params: 'sslmode=require&sslcert=<client.crt>&sslkey=<client.key>&sslcertmode=disable',
    expected: 'refused',
    since: 16,
  },
  {
    user: 'certified',
    params: 'sslmode=require&sslcert=<client.crt>&sslkey=<client.key>&sslcertmode=allow',
    expected: 'tls',
    since: 16,
  },
  // Revocations count where a root certificate is given.
  { params: 'sslmode=verify-full&sslrootcert=<good.crt>&sslcrl=<empty.crl>', expected: 'tls' },
  { params: 'sslmode=verify-full&sslrootcert=<good.crt>&sslcrl=<revoking.crl>', expected: 'refused' },
  { params: 'sslmode=require&sslrootcert=<good.crt>&sslcrl=<revoking.crl>', expected: 'refused' },
  { params: 'sslmode=prefer&sslrootcert=<good.crt>&sslcrl=<revoking.crl>', expected: 'plain' },
  // Versions of the protocol: the server speaks 1.2 and 1.3.
  { params: 'sslmode=require&ssl_min_protocol_version=TLSv1.3', expected: 'tls' },
  { params: 'sslmode=require&ssl_max_protocol_version=tlsv1.2', expected: 'tls' },
  {
    params: 'sslmode=require&ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1.1',
    expected: 'refused',
  },
  { params: 'sslmode=require&ssl_max_protocol_version=TLSv1.1', expected: 'refused' },
  {
    params: 'sslmode=prefer&ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1.1',
    expected: 'plain',
  },
  // A server of version 17 and above takes TLS without being asked.
  { params: 'sslmode=require&sslnegotiation=direct', expected: 'tls', since: 17 },
  { params: 'sslmode=require&sslnegotiation=postgres', expected: 'tls', since: 17 },
  { params: 'sslmode=prefer&sslnegotiation=direct', expected: 'refused', since: 17 },
  { params: 'sslnegotiation=direct', expected: 'refused', since: 17 },
  { server: 'plain', params: 'sslmode=require&sslnegotiation=direct', expected: 'refused', since: 17 },
  { params: 'sslmode=require&sslsni=0', expected: 'tls' },
  { params: 'sslmode=verify-full&sslrootcert=<good.crt>&sslsni=0', expected: 'tls' },
  { params: 'sslmode=require&sslcompression=0', expected: 'tls' },
  { params: 'sslmode=verify-full&sslrootcert=system', expected: 'refused', since: 16 },
  { params: 'sslrootcert=system', expected: 'refused', since: 16 },
  { params: 'sslmode=verify-ca&sslrootcert=system', expected: 'refused', since: 16 },
  // Channel binding.
  { params: 'sslmode=require&channel_binding=require', expected: 'tls' },
  { params: 'sslmode=require&channel_binding=prefer', expected: 'tls' },
  { params: 'sslmode=require&channel_binding=disable', expected: 'tls' },
  { params: 'sslmode=disable&channel_binding=prefer', expected: 'plain' },
  { params: 'sslmode=disable&channel_binding=require', expected: 'refused' },
  { server: 'plain', params: 'channel_binding=require', expected: 'refused' },
  { user: 'md5', params: 'sslmode=require', expected: 'tls' },
  { user: 'md5', params: 'sslmode=require&channel_binding=require', expected: 'refused' },
  {
    user: 'certified',
    params: 'sslmode=require&channel_binding=require&sslcert=<client.crt>&sslkey=<client.key>',
    expected: 'refused',
  },
  // Of what else addresses carry.
  { params: 'gssencmode=disable&target_session_attrs=any&connect_timeout=5&client_encoding=UTF8', expected: 'tls' },
  { params: 'gssencmode=prefer&keepalives=1&keepalives_idle=30&application_name=x', expected: 'tls' },
  { params: 'sslmode=verify_full', expected: 'refused' },
  { params: 'sslmode=no-verify', expected: 'refused' },
  { params: 'target_session_attrs=standby', expected: 'refused' },
  { params: 'passwort=x', expected: 'refused' },
  { params: 'ssl=1', expected: 'refused' },
  { params: 'sslmode=require&sslrootcert=<missing>', expected: 'refused', libpq: 'tls' },
  { params: 'sslmode=verify-ca&sslrootcert=<missing>', expected: 'refused' },
  { params: 'sslmode=verify-ca&sslrootcert=<garbage>', expected: 'refused' },
  ...(hasIpv6
    ? ([
        { host: '[::1]', params: 'sslmode=disable', expected: 'plain' },
        { host: '[::1]', params: 'sslmode=verify-ca&sslrootcert=<good.crt>', expected: 'tls' },
        { host: '[::1]', params: 'sslmode=verify-full&sslrootcert=<good.crt>', expected: 'refused' },
        { params: 'host=::1&sslmode=disable', expected: 'plain' },
      ] as const)
    : []),
];

function addressOfCase({
  server,
  user = 'anybody' as never,
  password = PASSWORD,
  host = 'localhost',
  params,
}: Case): string {
  const { port } = new URL((server === 'plain' ? plain : secured).url);
  const files = params.replaceAll(/<([^>]+)>/g, (_, name: string) => certificates.file(name));
  return `postgres://${user}:${password}@${host}:${port}/legacy${files === '' ? '' : `?${files}`}`;
}

const QUERY = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';

async function tryCrosswalk(url: string): Promise<{ outcome: Outcome; error?: unknown }> {
  try {
    const client = await connect(url, 'test');
    try {
      const { rows } = await client.query<{ ssl: string }>(QUERY);
      return { outcome: rows[0]!.ssl === 't' ? 'tls' : 'plain' };
    } finally {
      await client.end();
    }
  } catch (error) {
    return { outcome: 'refused', error };
  }
}

/** libpq itself, where it is on this machine: only to see that the expectations here are right. */
function findLibpq(): number | null {
  const found = spawnSync('psql', ['--version'], { encoding: 'utf8' });
  const major = found.status === 0 ? Number(/ (\d+)/.exec(found.stdout)?.[1] ?? 0) : null;
  console.log(
    major === null ? 'no psql here: the table is not compared with libpq' : `the table is compared with libpq ${major}`,
  );
  return major;
}
const libpq = findLibpq();

function tryLibpq(url: string): Outcome {
  const env = { PATH: process.env.PATH, HOME: certificates.file('home'), PGCONNECT_TIMEOUT: '10', LC_ALL: 'C' };
  const { status, stdout } = spawnSync('psql', ['-XAtw', '-d', url, '-c', QUERY], { env, encoding: 'utf8' });
  if (status !== 0) return 'refused';
  return stdout.trim() === 't' ? 'tls' : 'plain';
}

describe('an address means to crosswalk what it means to libpq', () => {
  test.for(
    cases.map(
      (one) =>
        [
          `${one.user ?? 'anybody'}@${one.server ?? 'secured'} ${one.host ?? 'localhost'} ${one.params || '(nothing)'}${one.password === undefined ? '' : ', wrong password'}: ${one.expected}`,
          one,
        ] as const,
    ),
  )('%s', async ([, one]) => {
    const url = addressOfCase(one);
    const { outcome, error } = await tryCrosswalk(url);
    expect(outcome, String(error)).toBe(one.expected);
    if (error !== undefined) {
      const { code, message, remedy } = toCrosswalkError(error, 'database');
      expect(['config_invalid', 'tls_refused', 'auth_failed'], message).toContain(code);
      expect(`${message} ${remedy}`).not.toContain(one.password ?? PASSWORD);
      expect(`${message} ${remedy}`).not.toContain(certificates.dir);
    }
    if (libpq !== null && libpq >= (one.since ?? 0)) expect(tryLibpq(url), 'libpq').toBe(one.libpq ?? one.expected);
  });
});

const verified = (host = 'localhost') =>
  addressOfCase({ host, params: 'sslmode=verify-ca&sslrootcert=<good.crt>', expected: 'tls' });

test('a Unix socket knows no TLS, whatever the mode', async () => {
  const { port } = new URL(secured.url);
  const folder = await fetchSetting(secured, 'data_directory');
  for (const mode of ['prefer', 'require', 'verify-full']) {
    const params = `host=${folder}&port=${port}&user=anybody&password=${PASSWORD}&sslmode=${mode}`;
    for (const url of [
      `postgres:///legacy?${params}`,
      `postgres://anybody:${PASSWORD}@${encodeURIComponent(folder)}:${port}/legacy?sslmode=${mode}`,
    ]) {
      expect(await tryCrosswalk(url), url).toEqual({ outcome: 'plain' });
      if (libpq !== null) expect(tryLibpq(url), 'libpq').toBe('plain');
    }
  }
});

test('every kind of connection is made so: of a pool, and of the replication stream', async () => {
  const pool = createPool(verified(), 'test', 2);
  const client = await connect(verified(hasIpv6 ? '[::1]' : 'localhost'), 'test');
  try {
    const both = await Promise.all([pool.query<{ ssl: string }>(QUERY), pool.query<{ ssl: string }>(QUERY)]);
    expect(both.map(({ rows }) => rows[0]!.ssl)).toEqual(['t', 't']);
    await secured.admin('CREATE PUBLICATION tls FOR ALL TABLES');
    await client.query(`SELECT pg_create_logical_replication_slot('tls', 'pgoutput')`);
    const stream = await createReplicationStream({
      ...{ url: verified(hasIpv6 ? '[::1]' : 'localhost'), slot: 'tls', publication: 'tls' },
    });
    const { rows } = await client.query<{ ssl: string }>(
      `SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_replication USING (pid)`,
    );
    expect(rows).toEqual([{ ssl: 't' }]);
    await client.query(`SELECT pg_logical_emit_message(false, 'crosswalk', 'told', true)`);
    expect(await stream.take()).not.toBeNull();
    await stream.close();
  } finally {
    await client.end();
    await pool.end();
  }
});

describe('the environment', () => {
  const set = (variables: Record<string, string>) => {
    const before = new Map(Object.keys(variables).map((name) => [name, process.env[name]]));
    Object.assign(process.env, variables);
    onTestFinished(() => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });
  };

  test('does not change an address', async () => {
    const elsewhere = { PGHOST: 'nowhere.invalid', PGPORT: '1', PGDATABASE: 'nowhere', PGUSER: 'nobody' };
    set({
      ...elsewhere,
      PGSSLMODE: 'require',
      PGSSLNEGOTIATION: 'direct',
      PGOPTIONS: '-c lock_timeout=7',
      PGAPPNAME: 'x',
    });
    const url = new URL(addressOfCase({ server: 'plain', params: '', expected: 'plain' }));
    expect(await tryCrosswalk(url.href)).toEqual({ outcome: 'plain' });
    // Without a name the database is the user's, whatever the environment says.
    url.pathname = '';
    expect(toCrosswalkError((await tryCrosswalk(url.href)).error, 'database').message).toContain('"anybody"');
  });

  test('may give a password that the address leaves out', async () => {
    const url = new URL(addressOfCase({ params: '', expected: 'tls' }));
    url.password = '';
    set({ PGPASSWORD: PASSWORD });
    expect(await tryCrosswalk(url.href)).toEqual({ outcome: 'tls' });
  });
});

test('sslrootcert=system trusts whom the operating system trusts', () => {
  const script = `
    import { connect } from './runtime/postgres.ts';
    const client = await connect(process.env.URL, 'test');
    console.log((await client.query(${JSON.stringify(QUERY)})).rows[0].ssl);
    await client.end();`;
  const ask = (trusted: string) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      // Where OpenSSL looks for the system's authorities.
      env: {
        ...{
          PATH: process.env.PATH,
          SSL_CERT_FILE: certificates.file(trusted),
          SSL_CERT_DIR: certificates.file('home'),
        },
        URL: addressOfCase({ params: 'sslrootcert=system', expected: 'tls' }),
      },
      encoding: 'utf8',
    });
  expect(ask('good.crt')).toMatchObject({ status: 0, stdout: 't\n' });
  expect(ask('other.crt')).toMatchObject({ status: 1, stderr: expect.stringContaining('certificate') });
});

test('files are read for every connection: a new certificate needs no new process', async () => {
  const url = addressOfCase({ params: 'sslmode=verify-ca&sslrootcert=<current.crt>', expected: 'tls' });
  copyFileSync(certificates.file('other.crt'), certificates.file('current.crt'));
  const pool = createPool(url, 'test', 1);
  try {
    await expect(pool.query('SELECT 1')).rejects.toThrow();
    copyFileSync(certificates.file('good.crt'), certificates.file('current.crt'));
    expect((await pool.query<{ ssl: string }>(QUERY)).rows[0]!.ssl).toBe('t');
  } finally {
    await pool.end();
  }
});

describe('an error says what to do', () => {
  const lines: readonly [Case, RegExp][] = [
    [
      { params: 'sslmode=verify-full&sslrootcert=<good.crt>', host: '127.0.0.1', expected: 'refused' },
      /altnames.*Connect by a name that the certificate holds/,
    ],
    [
      { params: 'sslmode=require&sslrootcert=<other.crt>', expected: 'refused' },
      /unable to verify|self.signed.*sslrootcert/,
    ],
    [{ user: 'certified', params: 'sslmode=require', expected: 'refused' }, /valid client certificate.*pg_hba.conf/],
    [
      {
        user: 'certified',
        params: 'sslmode=require&sslcert=<stranger.crt>&sslkey=<stranger.key>',
        expected: 'refused',
      },
      /unknown ca.*client certificate/,
    ],
    [
      { user: 'encrypted', params: 'sslmode=prefer&sslrootcert=<other.crt>', expected: 'refused' },
      /self.signed.*without TLS: pg_hba/,
    ],
    [{ user: 'unknown', params: '', expected: 'refused' }, /SSL encryption; without TLS: .*no encryption/],
    [{ server: 'plain', params: 'sslmode=require', expected: 'refused' }, /does not support SSL.*sslmode/],
    [
      { server: 'plain', params: 'sslmode=require&channel_binding=require', expected: 'refused' },
      /does not support SSL/,
    ],
    [{ user: 'md5', params: 'channel_binding=require', expected: 'refused' }, /without channel binding.*scram-sha-256/],
  ];
  test.for(lines)('%o', async ([one, expected]) => {
    const { error } = await tryCrosswalk(addressOfCase(one));
    expect(toErrorLine(toCrosswalkError(error, 'database'))).toMatch(expected);
  });
});

test('a timeout of the address is kept, and a silent server is no reason to go on without TLS', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  try {
    const { port } = silent.address() as AddressInfo;
    const began = performance.now();
    await expect(connect(`postgres://u:p@127.0.0.1:${port}/d?connect_timeout=1`, 'test')).rejects.toThrow('timeout');
    expect(performance.now() - began).toBeLessThan(5000);
  } finally {
    silent.close();
  }
});

test('what comes in one piece with the answer about TLS is not taken for it', async () => {
  const between = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write(Buffer.from('NR\0\0\0\x08\0\0\0\0', 'latin1')));
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  try {
    const { port } = between.address() as AddressInfo;
    await expect(connect(`postgres://u:p@127.0.0.1:${port}/d`, 'test')).rejects.toThrow(
      'something else when asked for TLS',
    );
  } finally {
    between.close();
  }
});
