import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Certificates in a folder of their own, made with openssl. */
export interface Certificates {
  readonly dir: string;
  file(name: string): string;
  /** An authority: `<name>.crt` and `<name>.key`. */
  authority(name: string): void;
  /** A pair that the authority signs: `<name>.crt` and `<name>.key`, where `names` is a subjectAltName or empty. With a passphrase the key is encrypted. */
  signed(name: string, by: string, subject: string, names?: string, passphrase?: string): void;
  /** A list of revoked certificates, `<name>.crl`, of the authority. */
  revocations(name: string, by: string, revoked: readonly string[]): void;
  remove(): void;
}

export function createCertificates(): Certificates {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-certificates-')));
  const file = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const write = (name: string, text: string) => writeFileSync(file(name), text);
  return {
    dir,
    file,
    authority(name) {
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
      openssl('req', '-x509', ...key, '-subj', `/CN=${name}`, '-days', '2', '-out', `${name}.crt`);
    },
    signed(name, by, subject, names = '', passphrase = '') {
      write(`${name}.ext`, `basicConstraints=CA:FALSE\n${names === '' ? '' : `subjectAltName=${names}\n`}`);
      const secret = passphrase === '' ? ['-nodes'] : ['-passout', `pass:${passphrase}`];
      const key = ['-newkey', 'rsa:2048', ...secret, '-keyout', `${name}.key`];
      openssl('req', '-new', ...key, '-subj', `/CN=${subject}`, '-out', `${name}.csr`);
      const authority = ['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial'];
      const made = ['-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.crt`];
      openssl('x509', '-req', '-in', `${name}.csr`, ...authority, ...made);
      chmodSync(file(`${name}.key`), 0o600);
    },
    revocations(name, by, revoked) {
      write(`${name}.index`, '');
      write(`${name}.cnf`, `[ca]\ndefault_ca=d\n[d]\ndatabase=${name}.index\ndefault_md=sha256\ndefault_crl_days=2\n`);
      const ca = ['ca', '-config', `${name}.cnf`, '-keyfile', `${by}.key`, '-cert', `${by}.crt`];
      for (const one of revoked) openssl(...ca, '-revoke', `${one}.crt`);
      openssl(...ca, '-gencrl', '-out', `${name}.crl`);
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
