import { createHash } from 'node:crypto';

/** UUID v5 of a name under the namespace that the mapping documents, by the platform's SHA-1. */
export function expectedUuid(name: string): string {
  const hash = createHash('sha1').update('3a9f6c528d0b5e0e9b1c6f0c1f7d2a10', 'hex').update(name, 'utf8').digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
