import { CrosswalkError } from './errors.ts';

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

/** What an address says of TLS, in libpq's terms. Files are paths. */
export interface TlsSettings {
  readonly mode: SslMode;
  readonly negotiation: 'postgres' | 'direct';
  readonly sni: boolean;
  /** A file, or `system`; null: what Node.js trusts. */
  readonly rootCert: string | null;
  readonly crl: string | null;
  readonly client: { readonly cert: string; readonly key: string; readonly passphrase: string | null } | null;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion | null;
}
export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

export interface PostgresAddress {
  /** A name, an IP address without brackets, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** null: the account that this process runs as. */
  readonly user: string | null;
  /** null: PGPASSWORD, or the password file. */
  readonly password: string | null;
  /** null: named as the user. */
  readonly database: string | null;
  readonly options: string;
  /** Added to the name that crosswalk shows in pg_stat_activity. */
  readonly applicationName: string | null;
  /** 0 waits for ever; null is left to the caller. */
  readonly connectTimeoutMs: number | null;
  readonly keepAlive: boolean;
  /** 0: as the system has it. */
  readonly keepAliveIdleMs: number;
  readonly channelBinding: 'disable' | 'prefer' | 'require';
  readonly tls: TlsSettings;
  /** The parameters as they were given, decoded. */
  readonly given: ReadonlyMap<string, string>;
}

const oneOf = (...values: readonly string[]) => ({
  pattern: new RegExp(`^(?:${values.join('|').replaceAll('.', '\\.')})$`),
  must: values.length === 1 ? `can only be ${values[0]}` : `must be one of ${values.join(', ')}`,
});
const anything = { pattern: /^/, must: '' };
const number = { pattern: /^\d{1,6}$/, must: 'must be a whole number' };
const version = { pattern: /^(?:TLSv1(?:\.[123])?)?$/i, must: 'must be one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3' };

/** Parameters that do what they do in libpq, and the values for which that is so. */
const parameters: Readonly<Record<string, { pattern: RegExp; must: string }>> = {
  host: { pattern: /^[^,@][^,]*$/, must: 'must name one host' },
  port: number,
  user: anything,
  password: anything,
  options: anything,
  application_name: anything,
  client_encoding: { pattern: /^utf-?8$/i, must: 'can only be UTF8' },
  connect_timeout: number,
  keepalives: oneOf('0', '1'),
  keepalives_idle: number,
  sslmode: oneOf(...sslModes),
  ssl: { pattern: /^true$/, must: 'can only be true: use sslmode' },
  sslnegotiation: oneOf('postgres', 'direct'),
  sslrootcert: anything,
  sslcert: anything,
  sslkey: anything,
  sslpassword: anything,
  sslcrl: anything,
  sslsni: oneOf('0', '1'),
  sslcertmode: oneOf('disable', 'allow'),
  sslcompression: oneOf('0'),
  ssl_min_protocol_version: version,
  ssl_max_protocol_version: version,
  channel_binding: oneOf('disable', 'prefer', 'require'),
  // As in a libpq that was built without GSSAPI.
  gssencmode: oneOf('disable', 'prefer'),
  target_session_attrs: oneOf('any'),
  load_balance_hosts: oneOf('disable'),
};

/** What to write in place of parameters that are not supported. */
const instead: Readonly<Record<string, string>> = {
  dbname: 'name the database in the path of the address',
  hostaddr: 'give the IP address as the host',
  passfile: 'name the file in PGPASSFILE',
  service: 'write the address out',
  servicefile: 'write the address out',
  fallback_application_name: 'use application_name',
  sslcrldir: 'put the lists into one file and name it with sslcrl',
  uselibpqcompat: 'leave it out: sslmode means what it means in libpq',
  replication: 'leave it out: crosswalk asks for replication where it needs it',
};

function refuse(problem: string): never {
  throw new CrosswalkError('config_invalid.address', problem);
}

/**
 * Reads the address of a database: a URI as libpq takes it, of one host. Throws `config_invalid`, which names the part or parameter that is wrong or not supported
 * and shows no value: nothing in an address is ignored.
 */
export function parseAddress(text: string): PostgresAddress {
  if (!/^postgres(?:ql)?:\/\//.test(text))
    refuse('must be an address like postgres://user:password@host:5432/database');
  const authority = /^[^/]*\/\/([^/?#]*)/.exec(text)![1]!;
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(','))
    refuse('names several hosts: give one, such as a name that follows the primary');
  if (!URL.canParse(text))
    refuse(
      'must be an address like postgres://user:password@host:5432/database (IPv6 as [::1], a port up to 65535, : / ? # @ [ ] % in a password as %3A %2F %3F %23 %40 %5B %5D %25)',
    );
  const url = new URL(text);
  if (url.hash !== '' || text.includes('#')) refuse('has a # in it: write it as %23');
  if (url.pathname.includes('@'))
    refuse('has an @ behind the host: in a password write / as %2F, in a database name @ as %40');
  const given = readParameters(url.search.slice(1));
  const get = (name: string) => given.get(name) || null;

  const host = get('host') ?? decode(url.hostname, 'host').replace(/^\[(.*)\]$/, '$1');
  if (host === '') refuse('names no host: write localhost, or the folder of a Unix socket as ?host=/folder');
  const port = Number(get('port') ?? (url.port || '5432'));
  if (port < 1 || port > 65_535) refuse('must have a port between 1 and 65535');
  const timeout = get('connect_timeout');
  return {
    host,
    port,
    user: get('user') ?? (decode(url.username, 'user') || null),
    password: get('password') ?? (decode(url.password, 'password') || null),
    database: decode(url.pathname.slice(1), 'database') || null,
    options: get('options') ?? '',
    applicationName: get('application_name'),
    connectTimeoutMs: timeout === null ? null : Number(timeout) * 1000,
    keepAlive: get('keepalives') !== '0',
    keepAliveIdleMs: Number(get('keepalives_idle') ?? '0') * 1000,
    channelBinding: (get('channel_binding') ?? 'disable') as PostgresAddress['channelBinding'],
    tls: toTls(get),
    given,
  };
}

function decode(text: string, what: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // Said below.
  }
  return refuse(`has a % in its ${what} that is not followed by two hexadecimal digits of UTF-8: write it as %25`);
}

/** Of a parameter that is given twice the last one counts, and + is a plus, as in libpq; but in `options`, where URL libraries write a space so. */
function readParameters(query: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    const [, rawName, rawValue] = /^([^=]*)=?(.*)$/s.exec(part)!;
    // What is no word may be a piece of a password with a ? in it.
    const name = /^[a-z_]{1,40}$/i.test(rawName!)
      ? rawName!
      : refuse('has a parameter whose name is no word: in a password write ? as %3F');
    const rule = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (rule === undefined)
      refuse(
        `has the parameter ${name}, which is not supported: ${(Object.hasOwn(instead, name) && instead[name]) || 'leave it out'}`,
      );
    const value = decode(name === 'options' ? rawValue!.replaceAll('+', ' ') : rawValue!, `parameter ${name}`);
    if (!rule.pattern.test(value)) refuse(`has the parameter ${name}, which ${rule.must}`);
    if (name === 'ssl') given.set('sslmode', 'require');
    else given.set(name, value);
  }
  return given;
}

function toTls(get: (name: string) => string | null): TlsSettings {
  const rootCert = get('sslrootcert');
  const crl = get('sslcrl');
  const cert = get('sslcert');
  const key = get('sslkey');
  const passphrase = get('sslpassword');
  const negotiation = get('sslnegotiation') === 'direct' ? 'direct' : 'postgres';
  const mode = (get('sslmode') ?? (rootCert === 'system' ? 'verify-full' : 'prefer')) as SslMode;
  const minVersion = toVersion(get('ssl_min_protocol_version')) ?? 'TLSv1.2';
  const maxVersion = toVersion(get('ssl_max_protocol_version'));
  if (rootCert === 'system' && mode !== 'verify-full')
    refuse('has sslrootcert=system, which needs sslmode=verify-full: the authorities of a system sign for everybody');
  if (mode === 'verify-ca' && rootCert === null)
    refuse('has sslmode=verify-ca, which needs sslrootcert: public authorities sign for everybody');
  if (negotiation === 'direct' && ['disable', 'allow', 'prefer'].includes(mode))
    refuse('has sslnegotiation=direct, which needs sslmode=require, verify-ca or verify-full');
  if ((cert === null) !== (key === null)) refuse('must have sslcert and sslkey together');
  if (passphrase !== null && key === null) refuse('has sslpassword, which needs sslkey');
  if (crl !== null && rootCert === null) refuse('has sslcrl, which needs sslrootcert');
  if (maxVersion !== null && minVersion > maxVersion)
    refuse('has an ssl_max_protocol_version below its ssl_min_protocol_version, which is TLSv1.2 unless given');
  const sendsCert = cert !== null && get('sslcertmode') !== 'disable';
  return {
    ...{ mode, negotiation, rootCert, crl, minVersion, maxVersion },
    sni: get('sslsni') !== '0',
    client: sendsCert ? { cert, key: key!, passphrase } : null,
  };
}

function toVersion(text: string | null): TlsVersion | null {
  return text === null ? null : (`TLSv${text.slice(4)}` as TlsVersion);
}
