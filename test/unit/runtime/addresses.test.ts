import { once } from 'node:events';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import { serveHealth } from '../../../monitor/http.ts';
import { type CrosswalkError, toCrosswalkError } from '../../../runtime/errors.ts';
import { toSeed } from '../../../runtime/kafka/kafkajs.ts';
import { addressOf, clientConfig } from '../../../runtime/postgres.ts';
import { parseAddress } from '../../../runtime/postgres-address.ts';
import { createRegistry } from '../../../schemas/avro/registry.ts';
import { type Certificates, createCertificates } from '../../support/certificates.ts';
import { parseConfig } from '../../support/crm.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = createCertificates();
  certificates.authority('good');
  certificates.signed('client', 'good', 'client', 'IP:127.0.0.1');
  certificates.signed('second', 'good', 'second');
  certificates.signed('locked', 'good', 'locked', '', 'open sesame');
  writeFileSync(certificates.file('garbage'), 'no certificate\n');
  copyFileSync(certificates.file('client.key'), certificates.file('open.key'));
  chmodSync(certificates.file('open.key'), 0o640);
});
afterAll(() => certificates?.remove());

const failureOf = (work: () => unknown): CrosswalkError => {
  try {
    work();
  } catch (error) {
    return error as CrosswalkError;
  }
  throw new Error('it was accepted');
};

describe('KAFKA_BROKERS', () => {
  test.each([
    ['a:9092', ['a:9092']],
    ['a:9092,b:9093', ['a:9092', 'b:9093']],
    [' a:9092 , b:9093 ,', ['a:9092', 'b:9093']],
    ['a:9092,A:9092,a:09092,a:9093', ['a:9092', 'a:9093']],
    ['[::1]:9092,127.0.0.1:9092', ['[::1]:9092', '127.0.0.1:9092']],
    ['[2001:DB8::7]:9092,[2001:db8::7]:9092', ['[2001:db8::7]:9092']],
    ['[fe80::1%eth0]:9092', ['[fe80::1%eth0]:9092']],
    ['kafka_1.internal:65535', ['kafka_1.internal:65535']],
  ])('%j is a set of brokers', (text, brokers) => {
    expect(parseConfig({ KAFKA_BROKERS: text }).kafka().brokers).toEqual(brokers);
  });

  test.each([
    ['kafka-secret', 'is not a host and a port'],
    ['kafka-secret:', 'is not a host and a port'],
    [':9092', 'is not a host and a port'],
    ['a:9092,kafka-secret', 'item 2 is not a host and a port'],
    ['a:9092 b:9092', 'is not a host and a port'],
    ['kafka-secret:0', 'between 1 and 65535'],
    ['kafka-secret:65536', 'between 1 and 65535'],
    ['::1:9092', 'IPv6 address without brackets'],
    ['2001:db8::7', 'IPv6 address without brackets'],
    ['[kafka-secret]:9092', 'no IPv6 address between its brackets'],
    ['[::1]', 'is not a host and a port'],
    ['PLAINTEXT://kafka-secret:9092', 'begins with a protocol'],
    [' , ', 'must be host:port'],
  ])('%j is refused at the start: %s', (text, why) => {
    const { code, message } = failureOf(() => parseConfig({ KAFKA_BROKERS: text }));
    expect(code).toBe('config_invalid');
    expect(message).toMatch(/^Configuration: KAFKA_BROKERS must be host:port/);
    expect(message).toContain(why);
    expect(message).not.toContain('secret');
  });

  test('an IPv6 address goes through the library, which cuts at the first colon', () => {
    expect(toSeed('[2001:db8::7]:9092').split(':')).toEqual(['[2001;db8;;7]', '9092']);
    expect(toSeed('kafka:9092')).toBe('kafka:9092');
  });
});

test('captured tables are a set', () => {
  expect(parseConfig({ CROSSWALK_TABLES: 'docs, docs,notes,' }).tables).toEqual(['docs', 'notes']);
  expect(failureOf(() => parseConfig({ CROSSWALK_TABLES: ',' })).message).toContain('CROSSWALK_TABLES');
});

describe('CROSSWALK_HTTP_HOST', () => {
  test.each(['::1', '[::1]'])('%s listens there', async (host) => {
    const port = await findFreePort();
    const config = parseConfig({ CROSSWALK_HTTP_HOST: host, CROSSWALK_HTTP_PORT: String(port) });
    const server = await serveHealth(config, () => ({ live: true, ready: true }) as never).catch((error: unknown) => {
      // Where loopback has no IPv6 the address must still be understood.
      expect((error as Error).message).toBe(`HTTP server on [::1]:${port}: this machine has no such address`);
      expect(String((error as Error & { cause?: unknown }).cause)).not.toContain('ENOTFOUND');
      return null;
    });
    if (server === null) return;
    const socket = connect(port, '::1');
    await once(socket, 'connect');
    socket.destroy();
    await server.close();
  });
});

describe('SCHEMA_REGISTRY_URL', () => {
  test.each([
    ['http://[::1]:8081/', 'http://[::1]:8081'],
    ['https://registry/apis/ccompat/v7//', 'https://registry/apis/ccompat/v7'],
  ])('%s', (text, url) => {
    expect(parseConfig({ SCHEMA_REGISTRY_URL: text }).registry().url).toBe(url);
  });

  test.each([
    ['http://a:65536', 'must be an address'],
    ['http://a:0', 'port between'],
    ['http://::1:8081', 'must be an address'],
    ['ftp://a', 'must be an address'],
    ['a:8081', 'must be an address'],
    ['http://a,b', 'one host'],
    ['http://a:8081,http://b:8081', 'must be an address'],
    ['http://a?user=secret', 'no parameters'],
  ])('%s is refused at the start: %s', (text, why) => {
    const { code, message } = failureOf(() => parseConfig({ SCHEMA_REGISTRY_URL: text }));
    expect(code).toBe('config_invalid');
    expect(message).toContain(`SCHEMA_REGISTRY_URL`);
    expect(message).toContain(why);
    expect(message).not.toContain('secret');
  });

  const ask = async (baseUrl: string) => {
    const registry = createRegistry({ baseUrl });
    onTestFinished(() => registry.close());
    return toCrosswalkError(await registry.compatibilityOf('x').catch((error: unknown) => error), 'schema registry');
  };

  test('a certificate that is not trusted is not waited for, nor a server without TLS', async () => {
    const pair = {
      cert: readFileSync(certificates.file('client.crt')),
      key: readFileSync(certificates.file('client.key')),
    };
    for (const server of [createHttpsServer(pair), createHttpServer()]) {
      server.listen(0, '127.0.0.1');
      onTestFinished(() => void server.close());
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      expect(await ask(`https://127.0.0.1:${port}`)).toMatchObject({ code: 'tls_refused', waits: false });
    }
  });
});

describe('an address of PostgreSQL', () => {
  test('is read as libpq reads it', () => {
    expect(parseAddress('postgresql://me:p%40s+s@[2001:db8::7]:6543/a%2Fb?application_name=x%20y')).toMatchObject({
      ...{ host: '2001:db8::7', port: 6543, user: 'me', password: 'p@s+s', database: 'a/b', applicationName: 'x y' },
    });
    expect(parseAddress('postgres://h/?user=u&password=a+b&host=%2Fvar%2Frun&port=1')).toMatchObject({
      ...{ host: '/var/run', port: 1, user: 'u', password: 'a+b', database: null },
    });
    expect(parseAddress('postgres://u@%2Fvar%2Frun/db')).toMatchObject({ host: '/var/run', port: 5432 });
    expect(parseAddress('postgres://h/d?options=-c+a%3Db+-c%20c=d').options).toBe('-c a=b -c c=d');
    expect(parseAddress('postgres://h/d?sslrootcert=/c%2B+.crt&sslmode=require').tls.rootCert).toBe('/c++.crt');
    expect(parseAddress('postgres://h/d?sslrootcert=system').tls).toMatchObject({ mode: 'verify-full' });
    expect(parseAddress('postgres://h/d').tls).toMatchObject({ mode: 'prefer', minVersion: 'TLSv1.2', sni: true });
    expect(parseAddress('postgres://h/d?connect_timeout=0')).toMatchObject({ connectTimeoutMs: 0 });
  });

  test('is shown without credentials, IPv6 in brackets', () => {
    expect(addressOf('postgres://u:secret@[::1]/a%20b?sslmode=require')).toBe('[::1]:5432/a%20b');
    expect(addressOf('postgres:///db?host=/var/run&user=u&password=secret')).toBe('/var/run:5432/db');
  });

  const refused: [string, string][] = [
    ['secret', 'must be an address'],
    ['mysql://u:secret@h/d', 'must be an address'],
    ['postgres://u:secret@h:65536/d', 'must be an address'],
    ['postgres://u:secret@::1/d', 'must be an address'],
    ['postgres://u:secret@h:0/d', 'port between 1 and 65535'],
    ['postgres://u:secret@h/d?port=70000', 'port between 1 and 65535'],
    ['postgres://u:secret@h1,h2/d', 'several hosts'],
    ['postgres://u:secret@h1:1,h2:2/d', 'several hosts'],
    ['postgres://u:secret@h/d?host=h1,h2', 'parameter host, which must name one host'],
    ['postgres:///d', 'names no host'],
    ['postgres://u:5#secret@h/d', 'has a #'],
    ['postgres://u:5?secret@h/d', 'parameter whose name is no word'],
    ['postgres://u:5/secret@h/d', 'has an @ behind the host'],
    ['postgres://u:secret%@h/d', 'has a % in its password'],
    ['postgres://u:secret@h/d?sslrootcert=%zz', 'has a % in its parameter sslrootcert'],
    ['postgres://h/d?sslmode=verify_full_secret', 'sslmode, which must be one of disable, allow, prefer, require'],
    ['postgres://h/d?sslmode=', 'sslmode, which must be one of'],
    ['postgres://h/d?sslmode=verify-ca', 'needs sslrootcert'],
    ['postgres://h/d?sslmode=require&sslrootcert=system', 'needs sslmode=verify-full'],
    ['postgres://h/d?sslnegotiation=direct', 'needs sslmode=require'],
    ['postgres://h/d?sslcert=/secret', 'sslcert and sslkey together'],
    ['postgres://h/d?sslkey=/secret', 'sslcert and sslkey together'],
    ['postgres://h/d?sslpassword=secret', 'needs sslkey'],
    ['postgres://h/d?sslcrl=/secret', 'needs sslrootcert'],
    ['postgres://h/d?ssl_max_protocol_version=TLSv1.1', 'below its ssl_min_protocol_version'],
    ['postgres://h/d?ssl_min_protocol_version=SSLv3', 'must be one of TLSv1,'],
    ['postgres://h/d?sslcertmode=require', 'sslcertmode, which must be one of disable, allow'],
    ['postgres://h/d?sslcompression=1', 'sslcompression, which can only be 0'],
    ['postgres://h/d?sslcrldir=/secret', 'sslcrldir, which is not supported: put the lists into one file'],
    ['postgres://h/d?gssencmode=require', 'gssencmode, which must be one of disable, prefer'],
    ['postgres://h/d?target_session_attrs=read-write', 'target_session_attrs, which can only be any'],
    ['postgres://h/d?load_balance_hosts=random', 'load_balance_hosts, which can only be disable'],
    ['postgres://h/d?client_encoding=LATIN1', 'client_encoding, which can only be UTF8'],
    ['postgres://h/d?connect_timeout=-1', 'connect_timeout, which must be a whole number'],
    ['postgres://h/d?dbname=secret', 'dbname, which is not supported: name the database in the path'],
    ['postgres://h/d?ssl=no-verify', 'ssl, which can only be true'],
    ['postgres://h/d?constructor=secret', 'constructor, which is not supported'],
    ...['hostaddr', 'passfile', 'service', 'requirepeer', 'require_auth', 'krbsrvname', 'keepalives_count'].map(
      (name): [string, string] => [`postgres://h/d?${name}=secret`, `parameter ${name}, which is not supported`],
    ),
    ...['tcp_user_timeout', 'sslkeylogfile', 'replication', 'uselibpqcompat', 'statement_timeout', 'sslMode'].map(
      (name): [string, string] => [`postgres://h/d?${name}=secret`, `parameter ${name}, which is not supported`],
    ),
  ];
  test.each(refused)('%s is refused at the start: %s', (url, why) => {
    for (const name of ['LEGACY_DATABASE_URL', 'TARGET_OWNER_URL', 'RESTORE_DATABASE_URL']) {
      const { code, message, remedy } = failureOf(() => parseConfig({ [name]: url }));
      expect(code).toBe('config_invalid');
      expect(message).toMatch(new RegExp(`^Configuration: ${name} `));
      expect(message).toContain(why);
      expect(message + remedy).not.toContain('secret');
    }
  });

  const files: [string, RegExp][] = [
    ['sslmode=verify-full&sslrootcert=<missing>', /sslrootcert: the file cannot be read \(ENOENT\)/],
    ['sslmode=require&sslrootcert=<>', /sslrootcert: the file cannot be read \(EISDIR\)/],
    ['sslmode=require&sslrootcert=<garbage>', /sslrootcert: the file holds nothing of its kind/],
    ['sslrootcert=<good.crt>&sslcrl=<garbage>', /sslcrl: the file holds nothing of its kind/],
    ['sslcert=<garbage>&sslkey=<client.key>', /sslcert: the file holds nothing of its kind/],
    ['sslcert=<client.crt>&sslkey=<missing>', /sslkey: the file cannot be read/],
    ['sslcert=<client.crt>&sslkey=<garbage>', /sslkey: it is no private key/],
    ['sslcert=<client.crt>&sslkey=<second.key>', /sslkey: it is not the key of the certificate/],
    ['sslcert=<locked.crt>&sslkey=<locked.key>', /sslkey: .*sslpassword is missing or wrong/],
    ['sslcert=<locked.crt>&sslkey=<locked.key>&sslpassword=secret', /sslkey: .*sslpassword is missing or wrong/],
    ['sslmode=allow&sslcert=<client.crt>&sslkey=<open.key>', /sslkey: others than its owner.*chmod 600/],
  ];
  test.each(files)('with %s is refused when it is used, with the parameter and the next step', (params, line) => {
    // The owner of the file decides how open it may be: root may let its group read.
    if (process.getuid?.() === 0) chmodSync(certificates.file('open.key'), 0o644);
    const url = `postgres://u:secret@h/d?${params.replaceAll(/<([^>]*)>/g, (_, name: string) => certificates.file(name))}`;
    parseConfig({ LEGACY_DATABASE_URL: url });
    const { code, message, remedy } = failureOf(() => clientConfig(url, 'test'));
    expect(code).toBe('config_invalid');
    expect(message).toMatch(/^h:5432\/d: /);
    expect(`${message} ${remedy}`).toMatch(line);
    expect(remedy).toMatch(/^(Let|Take|Name) /);
    expect(message + remedy).not.toMatch(/secret|certificates/);
  });
});
