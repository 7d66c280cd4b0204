import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../../runtime/kafka/direct/crc32c.ts';
import { decodeBatches, encodeBatch } from '../../../../runtime/kafka/direct/record-batch.ts';
import type { OutRecord } from '../../../../runtime/kafka/types.ts';

const identity = { id: 7n, epoch: 1 };
const place = { identity, sequence: 0, isTransactional: true };
const out = (value: string, timestampMs = '1000'): OutRecord => ({
  ...{ partition: 0, key: Buffer.from('k'), value: Buffer.from(value), timestampMs },
});

/** As a broker stores it: at an offset. `change` is applied to its bytes. */
function stored(records: readonly OutRecord[], base: bigint, options: { producer?: bigint; attributes?: number } = {}) {
  const batch = encodeBatch(records, { ...place, identity: { id: options.producer ?? 7n, epoch: 1 } });
  batch.writeBigInt64BE(base, 0);
  if (options.attributes !== undefined) batch.writeInt16BE(options.attributes, 21);
  return batch;
}

/** The marker that ends a transaction. */
function marker(base: bigint, producer: bigint, isCommit: boolean): Buffer {
  const key = Buffer.from([0, 0, 0, isCommit ? 1 : 0]);
  const record = { partition: 0, key, value: Buffer.alloc(6), timestampMs: '5' };
  return stored([record], base, { producer, attributes: 0b11_0000 });
}

const valuesOf = ({ records }: Awaited<ReturnType<typeof decodeBatches>>) =>
  records.map(({ offset, value }) => `${offset} ${value}`);

test('checksums are CRC-32C, of one part or several', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (a, b) => {
      expect(crc32c(a, b)).toBe(crc32c(Buffer.concat([a, b])));
    }),
  );
});

test('what is written is read again: keys, values, tombstones, times in any order, headers', async () => {
  const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));
  const record = fc.record({
    partition: fc.constant(0),
    key: fc.option(bytes),
    value: fc.option(bytes),
    timestampMs: fc
      .oneof(fc.integer({ min: 0 }), fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }))
      .map(String),
    headers: fc.dictionary(fc.string({ minLength: 1 }), bytes, { maxKeys: 3, noNullPrototype: true }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 30 }),
      fc.bigInt(0n, 2n ** 62n),
      async (records, base) => {
        const { records: read, next } = await decodeBatches(stored(records, base), base, []);
        expect(next).toBe(base + BigInt(records.length));
        const expected = records.map(({ partition: _, headers, ...rest }, at) => ({
          ...{ offset: base + BigInt(at), ...rest },
          ...(Object.keys(headers).length === 0 ? {} : { headers }),
        }));
        expect(read).toEqual(expected);
      },
    ),
  );
});

test('a header may have any name', async () => {
  const headers = Object.fromEntries(['__proto__', 'constructor', ''].map((name) => [name, Buffer.from(name)]));
  const { records } = await decodeBatches(stored([{ ...out('v'), headers }], 0n), 0n, []);
  expect(Object.keys(records[0]!.headers!)).toEqual(['__proto__', 'constructor', '']);
});

test('numbers of every length are as Kafka writes them', () => {
  // A record of 300 equal bytes, without headers, which is behind the header of the batch where it is not compressed.
  const batch = encodeBatch([{ partition: 0, key: null, value: Buffer.alloc(300, 'x'), timestampMs: '9' }], place);
  const record = batch.subarray(61);
  // Length 307 and value's length 300, zigzag; no attributes, no time and offset behind the first; a key that is null.
  expect(record.subarray(0, 8).toString('hex')).toBe('e60400000001d804');
  expect(record.at(-1)).toBe(0);
  expect(batch.readUInt32BE(17)).toBe(crc32c(batch.subarray(21)));
  expect(batch.readInt16BE(21)).toBe(0b1_0000);
});

describe('of a fetch', () => {
  test('nothing is delivered of what was aborted, nor markers; what comes after is', async () => {
    const bytes = Buffer.concat([
      stored([out('a'), out('b')], 10n),
      stored([out('other')], 12n, { producer: 8n }),
      marker(13n, 7n, false),
      stored([out('c')], 14n),
      marker(15n, 8n, true),
      marker(16n, 7n, true),
    ]);
    const found = await decodeBatches(bytes, 10n, [{ producerId: 7n, first: 10n }]);
    expect(valuesOf(found)).toEqual(['12 other', '14 c']);
    expect(found.next).toBe(17n);
  });

  test('a producer whose later transaction was aborted has its earlier one delivered', async () => {
    const bytes = Buffer.concat([
      stored([out('a')], 0n),
      marker(1n, 7n, true),
      stored([out('b')], 2n),
      marker(3n, 7n, false),
    ]);
    const found = await decodeBatches(bytes, 0n, [{ producerId: 7n, first: 2n }]);
    expect(valuesOf(found)).toEqual(['0 a']);
    expect(found.next).toBe(4n);
  });

  test('records before the offset that was asked for are left out, and a batch that is cut off at the end too', async () => {
    const bytes = Buffer.concat([stored([out('a'), out('b'), out('c')], 5n), stored([out('d')], 8n).subarray(0, 65)]);
    const found = await decodeBatches(bytes, 6n, []);
    expect(valuesOf(found)).toEqual(['6 b', '7 c']);
    expect(found.next).toBe(8n);
  });

  test('a time that the broker gave counts for all records of its batch', async () => {
    const batch = stored([out('a', '1000'), out('b', '2000')], 0n, { attributes: 0b1_1000 });
    batch.writeBigInt64BE(77n, 35);
    const { records } = await decodeBatches(batch, 0n, []);
    expect(records.map(({ timestampMs }) => timestampMs)).toEqual(['77', '77']);
  });

  test('gzip is read, and what cannot be read is said', async () => {
    const plain = stored([out('a'), out('b')], 3n);
    const zip = (body: Buffer, attributes: number) => {
      const batch = Buffer.concat([plain.subarray(0, 61), body]);
      batch.writeInt32BE(batch.length - 12, 8);
      batch.writeInt16BE(attributes, 21);
      return batch;
    };
    const found = await decodeBatches(zip(gzipSync(plain.subarray(61)), 1), 3n, []);
    expect(valuesOf(found)).toEqual(['3 a', '4 b']);
    for (const [bytes, message] of [
      [zip(Buffer.from('none'), 1), /no valid gzip/],
      [zip(Buffer.from('none'), 5), /codec 5/],
      [Buffer.from(plain).fill(1, 16, 17), /format 1/],
    ] as const)
      await expect(decodeBatches(bytes, 3n, [])).rejects.toMatchObject({
        ...{ code: 'topic_misconfigured', message: expect.stringMatching(message) },
      });
  });
});
