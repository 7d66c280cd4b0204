import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { paddedLength, sha1 } from '../../../projectors/values/sha1.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import { expectedUuid } from './expected-uuid.ts';

function hexOfSha1(bytes: Uint8Array): string {
  const buffer = new Uint8Array(paddedLength(bytes.length)).fill(0xff);
  buffer.set(bytes);
  return Array.from(sha1(buffer, bytes.length), (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

describe('SHA-1', () => {
  it.each([
    ['', 'da39a3ee5e6b4b0d3255bfef95601890afd80709'],
    ['abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    ['abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq', '84983e441c3bd26ebaae4aa1f95129e5e54670f1'],
    ['a'.repeat(1_000_000), '34aa973cd4c4daa4f61eeb2bdbad27316534016f'],
    ['01234567'.repeat(80), 'dea356a2cddd90c7a7ecedc5ebb563934f460452'],
  ])('of %.20j', (text, expected) => expect(hexOfSha1(Buffer.from(text))).toBe(expected));

  it('is that of the platform, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(hexOfSha1(bytes)).toBe(createHash('sha1').update(bytes).digest('hex'));
      }),
    );
  });
});

describe('UUID v5 under the namespace of the project', () => {
  it.each([
    ['', 'fa45d43b-d73d-5ce2-8766-27474ee042ca'],
    ['job:11111111-1111-4111-8111-111111111111', 'f9039d6c-1ce2-555e-ba54-beba274a11cf'],
    ['customer:unassigned|n:ада|м 1', 'fa8f2b34-d3d9-5962-b1b6-9e7520ce8ef9'],
    ['lead:contact:22222222-2222-4222-8222-222222222222', '3fd38f8f-c53c-50b0-9860-1ee334e9104e'],
    ['\u{1f600}'.repeat(400), '278df679-80ff-5ac5-b494-8e501d879e46'],
  ])('of %.40j', (name, expected) => expect(uuid5(name)).toBe(expected));

  it('is that of the platform, whatever the name', { timeout: 30_000 }, () => {
    const name = fc.oneof(fc.string({ unit: 'binary', maxLength: 600 }), fc.string({ maxLength: 150 }));
    fc.assert(
      fc.property(name, (text) => {
        expect(uuid5(text)).toBe(expectedUuid(text));
      }),
    );
  });

  it('does not remember the name before', () => {
    const expected = uuid5('short');
    uuid5('x'.repeat(5000));
    uuid5('é'.repeat(300));
    expect(uuid5('short')).toBe(expected);
  });
});
