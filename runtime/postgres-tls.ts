import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type PeerCertificate,
} from 'node:tls';
import { Failure } from './error-codes.ts';
import { CrosswalkError } from './errors.ts';
import type { TlsSettings } from './postgres-address.ts';

/**
 * Options of a TLS session with `host` that checks and shows what libpq would; the files are read. `what` is the address without credentials. Throws `config_invalid`, which names the
 * parameter of a file that is not what it must be.
 */
export function readTls(settings: TlsSettings, host: string, what: string): ConnectionOptions {
  const { mode, rootCert, crl, client, minVersion, maxVersion } = settings;
  const read = (parameter: string, path: string, check: (text: string) => unknown) =>
    readPem(what, parameter, path, check);
  const ca =
    rootCert === null
      ? undefined
      : rootCert === 'system'
        ? getCACertificates('system')
        : read('sslrootcert', rootCert, (text) => new X509Certificate(text));
  const lists = crl === null ? undefined : read('sslcrl', crl, (text) => createSecureContext({ crl: text }));
  const shown = client === null ? undefined : readClient(client, what, read);
  // As in libpq a root certificate is reason enough to check who signed: only whose certificate it is remains a matter of the mode.
  const verifies = rootCert !== null || mode === 'verify-full';
  return {
    host,
    ...(settings.sni && isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: verifies,
    checkServerIdentity: mode === 'verify-full' ? checkHost : () => undefined,
    secureContext: createSecureContext({
      ...{ minVersion, ...shown },
      ...(maxVersion === null ? {} : { maxVersion }),
      ...(ca === undefined ? {} : { ca }),
      ...(lists === undefined ? {} : { crl: lists }),
    }),
  };
}

type Read = (parameter: string, path: string, check: (text: string) => unknown) => string;

function readClient(client: NonNullable<TlsSettings['client']>, what: string, read: Read) {
  const passphrase = client.passphrase === null ? {} : { passphrase: client.passphrase };
  const cert = read('sslcert', client.cert, (text) => new X509Certificate(text));
  const key = read('sslkey', client.key, (text) => {
    try {
      createPrivateKey({ key: text, ...passphrase });
    } catch {
      throw new Error('it is no private key in PEM, or sslpassword is missing or wrong');
    }
  });
  const { mode, uid } = statSync(client.key);
  if ((mode & (uid === 0 ? 0o027 : 0o077)) !== 0)
    throw wrongFile(what, 'sslkey', 'others than its owner may read the file', Failure.of('config_invalid.key_open'));
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey({ key, ...passphrase })))
    throw wrongFile(
      what,
      'sslkey',
      'it is not the key of the certificate in sslcert',
      Failure.of('config_invalid.key_of_another'),
    );
  return { cert, key, ...passphrase };
}

function readPem(what: string, parameter: string, path: string, check: (text: string) => unknown): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw wrongFile(
      what,
      parameter,
      `the file cannot be read (${(error as NodeJS.ErrnoException).code})`,
      Failure.of('config_invalid.file_unreadable', { parameter }),
    );
  }
  try {
    check(text);
  } catch (error) {
    const isKey = parameter === 'sslkey';
    throw wrongFile(
      what,
      parameter,
      isKey ? (error as Error).message : 'the file holds nothing of its kind in PEM',
      isKey ? Failure.of('config_invalid.no_key') : Failure.of('config_invalid.no_pem', { parameter }),
    );
  }
  return text;
}

function wrongFile(what: string, parameter: string, why: string, failure: Failure): CrosswalkError {
  return new CrosswalkError(failure, `${what}: ${parameter}: ${why}`);
}

/** Like Node.js, and as libpq does: a certificate that names no IP address may have it as its common name. */
function checkHost(host: string, certificate: PeerCertificate): Error | undefined {
  const mismatch = checkServerIdentity(host, certificate);
  const namesAddress = (certificate.subjectaltname ?? '').includes('IP Address:');
  if (mismatch !== undefined && isIP(host) !== 0 && !namesAddress && certificate.subject.CN === host) return undefined;
  return mismatch;
}
