// Record batches of version 2, as brokers store and hand them out.
import { gunzipSync, constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CrosswalkError } from '../../errors.ts';
import { codecs } from '../../kafka-codecs.ts';
import type { InRecord, OutRecord } from '../types.ts';
import { KafkaConnectionError } from './broker-errors.ts';
import { crc32c } from './crc32c.ts';
import type { ProducerIdentity } from './requests.ts';

const HEADER_BYTES = 61;
/** What stands before the bytes that `batchLength` counts. */
const LENGTH_END = 12;
const AT = {
  magic: 16,
  crc: 17,
  attributes: 21,
  lastDelta: 23,
  firstTime: 27,
  maxTime: 35,
  producerId: 43,
  producerEpoch: 51,
  sequence: 53,
  count: 57,
};
const CODEC = 0b111;
const ZSTD = 4;
const GZIP = 1;
const IS_APPEND_TIME = 1 << 3;
const IS_TRANSACTIONAL = 1 << 4;
const IS_CONTROL = 1 << 5;
/** What takes less gets hardly smaller. */
const COMPRESS_FROM_BYTES = 512;
/** The fastest level: what it leaves larger costs less than the time of the others. */
const ZSTD_PARAMS = { [zlib.ZSTD_c_compressionLevel]: 1 };
/** Room for an output of about `bytes`: made in one piece it takes half the time that it takes in many. */
const roomFor = (bytes: number) => ({ chunkSize: Math.min(Math.max(bytes, 1024), 262_144) });

export interface BatchPlace {
  readonly identity: ProducerIdentity;
  /** Of the first record, counted by partition since the identity was given. */
  readonly sequence: number;
  readonly isTransactional: boolean;
}

/** One batch of records of one partition. */
export function encodeBatch(
  records: readonly OutRecord[],
  { identity, sequence, isTransactional }: BatchPlace,
): Buffer {
  const firstTime = Number(records[0]!.timestampMs);
  let maxTime = firstTime;
  let most = 0;
  for (const record of records) most += sizeAtMost(record);
  const body = scratch(HEADER_BYTES + most);
  let at = HEADER_BYTES;
  for (const [delta, record] of records.entries()) {
    const time = Number(record.timestampMs);
    if (time > maxTime) maxTime = time;
    at = writeRecord(body, at, record, delta, time - firstTime);
  }
  let batch: Buffer | null = null;
  let codec = 0;
  if (at - HEADER_BYTES > COMPRESS_FROM_BYTES) {
    const options = { params: ZSTD_PARAMS, ...roomFor((at - HEADER_BYTES) >> 2) };
    const compressed = zstdCompressSync(body.subarray(HEADER_BYTES, at), options);
    if (compressed.length < at - HEADER_BYTES) {
      batch = Buffer.allocUnsafe(HEADER_BYTES + compressed.length);
      compressed.copy(batch, HEADER_BYTES);
      codec = ZSTD;
    }
  }
  batch ??= Buffer.from(body.subarray(0, at));
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - LENGTH_END, 8);
  batch.writeInt32BE(-1, LENGTH_END);
  batch.writeInt8(2, AT.magic);
  batch.writeInt16BE(codec | (isTransactional ? IS_TRANSACTIONAL : 0), AT.attributes);
  batch.writeInt32BE(records.length - 1, AT.lastDelta);
  batch.writeBigInt64BE(BigInt(firstTime), AT.firstTime);
  batch.writeBigInt64BE(BigInt(maxTime), AT.maxTime);
  batch.writeBigInt64BE(identity.id, AT.producerId);
  batch.writeInt16BE(identity.epoch, AT.producerEpoch);
  batch.writeInt32BE(sequence, AT.sequence);
  batch.writeInt32BE(records.length, AT.count);
  batch.writeUInt32BE(crc32c(batch.subarray(AT.attributes)), AT.crc);
  return batch;
}

/** Larger batches are rare, and their buffers are not kept. */
const MOST_SCRATCH_BYTES = 1024 * 1024;
let kept = Buffer.alloc(0);

/** A buffer for one batch. The next batch overwrites it. */
function scratch(bytes: number): Buffer {
  if (bytes > MOST_SCRATCH_BYTES) return Buffer.allocUnsafe(bytes);
  if (kept.length < bytes) kept = Buffer.allocUnsafeSlow(Math.min(bytes * 2, MOST_SCRATCH_BYTES));
  return kept;
}

/** Longest form of a number in the format, where it has up to 64 bits. */
const VARINT_BYTES = 10;

function sizeAtMost({ key, value, headers }: OutRecord): number {
  let size = 1 + 6 * VARINT_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) size += 2 * VARINT_BYTES + Buffer.byteLength(name) + headers[name]!.length;
  return size;
}

function writeRecord(
  to: Buffer,
  from: number,
  { key, value, headers }: OutRecord,
  delta: number,
  time: number,
): number {
  const names = headers === undefined ? [] : Object.keys(headers);
  const keyBytes = key?.length ?? 0;
  const valueBytes = value?.length ?? 0;
  let size =
    1 +
    varintBytes(time) +
    varintBytes(delta) +
    varintBytes(key === null ? -1 : keyBytes) +
    keyBytes +
    varintBytes(names.length);
  size += varintBytes(value === null ? -1 : valueBytes) + valueBytes;
  for (const name of names) {
    const nameBytes = Buffer.byteLength(name);
    const headerBytes = headers![name]!.length;
    size += varintBytes(nameBytes) + nameBytes + varintBytes(headerBytes) + headerBytes;
  }
  let at = writeVarint(to, from, size);
  to[at++] = 0;
  at = writeVarint(to, at, time);
  at = writeVarint(to, at, delta);
  at = writeBytes(to, at, key);
  at = writeBytes(to, at, value);
  at = writeVarint(to, at, names.length);
  for (const name of names) {
    at = writeVarint(to, at, Buffer.byteLength(name));
    at += to.write(name, at);
    at = writeBytes(to, at, headers![name]!);
  }
  return at;
}

function writeBytes(to: Buffer, from: number, bytes: Buffer | null): number {
  if (bytes === null) return writeVarint(to, from, -1);
  const at = writeVarint(to, from, bytes.length);
  return at + bytes.copy(to, at);
}

/** Zigzag, seven bits a byte, lowest first. Whole numbers up to 2^52. */
function writeVarint(to: Buffer, from: number, value: number): number {
  let at = from;
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  while (rest > 127) {
    to[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  to[at++] = rest;
  return at;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >= 0 ? value * 2 : -value * 2 - 1; rest > 127; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** Committed records of one partition from an offset on, and the offset behind everything that was looked at: also behind records that were aborted, and markers. */
export interface Chunk {
  readonly records: InRecord[];
  readonly next: bigint;
}

/**
 * Committed records of a fetch. `aborted`: transactions that ended so, by producer and first offset, as the broker names them for this fetch. A batch that is cut off at
 * the end is left for the next fetch. Throws `topic_misconfigured` where a batch cannot be read.
 */
export async function decodeBatches(
  bytes: Buffer,
  from: bigint,
  aborted: readonly { producerId: bigint; first: bigint }[],
): Promise<Chunk> {
  const records: InRecord[] = [];
  const begun = [...aborted].sort((a, b) => (a.first < b.first ? -1 : 1));
  const abortedProducers = new Set<bigint>();
  let next = from;
  for (let at = 0, end = 0; at + LENGTH_END <= bytes.length; at = end) {
    end = at + LENGTH_END + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    const magic = bytes.readInt8(at + AT.magic);
    if (magic !== 2) throw toOldFormat(magic);
    const base = bytes.readBigInt64BE(at);
    const last = base + BigInt(bytes.readInt32BE(at + AT.lastDelta));
    if (last >= next) next = last + 1n;
    const attributes = bytes.readInt16BE(at + AT.attributes);
    const producerId = bytes.readBigInt64BE(at + AT.producerId);
    while (begun.length > 0 && begun[0]!.first <= last) abortedProducers.add(begun.shift()!.producerId);
    if (attributes & IS_CONTROL) {
      if (isAbortMarker(bytes, at + HEADER_BYTES)) abortedProducers.delete(producerId);
      continue;
    }
    if (last < from || (attributes & IS_TRANSACTIONAL && abortedProducers.has(producerId))) continue;
    const codec = attributes & CODEC;
    const body = bytes.subarray(at + HEADER_BYTES, end);
    const known = inflaters[codec];
    const plain = known === undefined ? await codecs[codec]!().decompress(body) : known(body);
    const times = {
      first: Number(bytes.readBigInt64BE(at + AT.firstTime)),
      fixed: attributes & IS_APPEND_TIME ? String(bytes.readBigInt64BE(at + AT.maxTime)) : null,
    };
    readRecords(plain, { base, count: bytes.readInt32BE(at + AT.count), times, from }, records);
  }
  return { records, next };
}

/** A control record has a version and a type for its key; 0 ends a transaction without committing it. */
function isAbortMarker(bytes: Buffer, from: number): boolean {
  const reader = { bytes, at: from };
  readVarint(reader);
  reader.at += 1;
  readVarint(reader);
  readVarint(reader);
  readVarint(reader);
  return bytes.readInt16BE(reader.at + 2) === 0;
}

/** What Node.js does itself, by the number of the codec. */
const inflaters: Readonly<Record<number, (body: Buffer) => Buffer>> = {
  0: (body) => body,
  [GZIP]: (body) => inflate('gzip', () => gunzipSync(body)),
  [ZSTD]: (body) => inflate('zstd', () => zstdDecompressSync(body, roomFor(body.length * 8))),
};

function inflate(name: string, work: () => Buffer): Buffer {
  try {
    return work();
  } catch {
    throw new CrosswalkError('topic_misconfigured.unreadable', `Records are no valid ${name}`);
  }
}

interface BatchContent {
  readonly base: bigint;
  readonly count: number;
  readonly times: { readonly first: number; readonly fixed: string | null };
  readonly from: bigint;
}

function readRecords(bytes: Buffer, { base, count, times, from }: BatchContent, into: InRecord[]): void {
  const reader = { bytes, at: 0 };
  const skipped = from > base ? Number(from - base) : 0;
  let lastTime = times.first;
  let lastText = times.fixed ?? String(times.first);
  for (let left = count; left > 0; left--) {
    const size = readVarint(reader);
    const end = reader.at + size;
    if (size < 0 || end > bytes.length) throw new KafkaConnectionError('a batch of records is cut off');
    reader.at += 1;
    const time = times.first + readVarint(reader);
    const delta = readVarint(reader);
    if (delta >= skipped) {
      if (times.fixed === null && time !== lastTime) {
        lastTime = time;
        lastText = String(time);
      }
      const key = readBytes(reader);
      const value = readBytes(reader);
      const headers = readVarint(reader);
      const record = { offset: base + BigInt(delta), key, value, timestampMs: lastText };
      into.push(headers === 0 ? record : { ...record, headers: readHeaders(reader, headers) });
    }
    reader.at = end;
  }
}

interface VarintReader {
  readonly bytes: Buffer;
  at: number;
}

/** Of a name that stands twice the last one counts. */
function readHeaders(reader: VarintReader, count: number): Record<string, Buffer> {
  // A name may be anything, __proto__ too.
  const headers: Record<string, Buffer> = Object.create(null);
  for (let left = count; left > 0; left--) {
    const name = readBytes(reader)?.toString() ?? '';
    const value = readBytes(reader);
    if (value !== null) headers[name] = value;
  }
  return headers;
}

function readBytes(reader: VarintReader): Buffer | null {
  const length = readVarint(reader);
  if (length < 0) return null;
  const from = reader.at;
  reader.at += length;
  return reader.bytes.subarray(from, reader.at);
}

function readVarint(reader: VarintReader): number {
  const { bytes } = reader;
  let at = reader.at;
  let byte = bytes[at++]!;
  let value = byte & 127;
  // Numbers of more than 28 bits are rare, and bits of more than 32 are no business of shifts.
  for (let factor = 128; byte > 127; factor *= 128) {
    byte = bytes[at++]!;
    value += (byte & 127) * factor;
  }
  reader.at = at;
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function toOldFormat(magic: number): CrosswalkError {
  return new CrosswalkError('topic_misconfigured.old_format', `Records have the format ${magic} of Kafka before 0.11`);
}
