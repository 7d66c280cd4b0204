/**
 * Partition of a key: murmur2 over the Avro bytes, like Kafka's default partitioner. The schema id in front is left
 * out: a new version of the key schema must not move rows to another partition, which would lose their order.
 */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key, 5) & 0x7fffffff) % partitions;
}

function murmur2(data: Uint8Array, start: number): number {
  const m = 0x5bd1e995;
  const length = data.length - start;
  let hash = 0x9747b28c ^ length;
  let at = start;
  for (let left = length; left >= 4; left -= 4, at += 4) {
    let k = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    hash = Math.imul(hash, m) ^ Math.imul(k, m);
  }
  const tail = length & 3;
  if (tail >= 3) hash ^= data[at + 2]! << 16;
  if (tail >= 2) hash ^= data[at + 1]! << 8;
  if (tail >= 1) hash = Math.imul(hash ^ data[at]!, m);
  hash = Math.imul(hash ^ (hash >>> 13), m);
  return hash ^ (hash >>> 15);
}
