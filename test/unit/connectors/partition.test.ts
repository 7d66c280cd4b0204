import { describe, expect, test } from 'vitest';
import { partitionOf } from '../../../connectors/partition.ts';

/** A key in the wire format: five bytes that say the schema, then its Avro bytes. */
const withSchema = (id: number, bytes: Buffer) => {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return Buffer.concat([header, bytes]);
};
/** More than any hash, so that the partition is the hash itself, without its sign. */
const ALL = 2 ** 31;

describe('the partition of a key', () => {
  // The hashes of Kafka's own tests of its murmur2.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%s is where the clients of Kafka put it', (text, hash) => {
    expect(partitionOf(withSchema(1, Buffer.from(text)), ALL)).toBe(hash & 0x7fffffff);
    expect(partitionOf(withSchema(1, Buffer.from(text)), 12)).toBe((hash & 0x7fffffff) % 12);
  });

  test('stays where it is with another version of its schema', () => {
    for (const key of ['', 'a', 'some key', 'größe']) {
      const partitions = [1, 2, 70_000].map((id) => partitionOf(withSchema(id, Buffer.from(key)), ALL));
      expect(new Set(partitions).size).toBe(1);
    }
  });
});
