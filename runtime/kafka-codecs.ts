import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CrosswalkError } from './errors.ts';

/** A codec as the Kafka library takes it. */
export interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

/**
 * By the number that a batch has for its codec: those that the library lacks, and the numbers that mean nothing yet, whose records it would take for uncompressed ones.
 * We send zstd; where a topic has another `compression.type`, its broker writes every batch anew with that.
 */
export const codecs: Readonly<Record<number, () => Codec>> = {
  2: () => readOnly('snappy', fromSnappy),
  3: () => readOnly('lz4', async (buffer) => (await load('lz4', import('lz4-napi'))).decompressFrame(buffer)),
  4: () => ({
    compress: async (encoder) => zstdCompressSync(encoder.buffer),
    decompress: async (buffer) => zstdDecompressSync(buffer),
  }),
  5: () => refuse(5),
  6: () => refuse(6),
  7: () => refuse(7),
};

function readOnly(name: string, decompress: (buffer: Buffer) => Promise<Buffer>): Codec {
  return {
    compress: () => Promise.reject(new Error(`records are not written with ${name}`)),
    decompress: (buffer) =>
      decompress(buffer).catch((error: unknown) => {
        throw error instanceof CrosswalkError ? error : toUnreadable(`Records are no valid ${name}`);
      }),
  };
}

function refuse(codec: number): never {
  throw toUnreadable(`Records are compressed with codec ${codec}, which is not known here`);
}

/** Native modules, loaded when first needed: a machine that they are not built for reads all other topics. */
async function load<T>(name: string, module: Promise<T>): Promise<T> {
  return module.catch(() => {
    throw toUnreadable(`Records are compressed with ${name}, whose module cannot be loaded on this machine`);
  });
}

/** Not to be tried again: `retriable` tells the Kafka library, which would also hide an error with a cause. */
function toUnreadable(message: string): CrosswalkError {
  const error = new CrosswalkError('topic_misconfigured.unreadable', message);
  return Object.assign(error, { retriable: false });
}

/** What Kafka's Java library writes: this and two versions of four bytes, then blocks, each behind its length. Others write one block alone. */
const XERIAL = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0]);
const XERIAL_HEADER_BYTES = 16;

async function fromSnappy(buffer: Buffer): Promise<Buffer> {
  const { uncompress } = await load('snappy', import('snappy'));
  const decompress = async (block: Buffer) => (await uncompress(block)) as Buffer;
  if (!buffer.subarray(0, XERIAL.length).equals(XERIAL)) return decompress(buffer);
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < buffer.length; ) {
    const start = at + 4;
    at = start + buffer.readUInt32BE(at);
    if (at > buffer.length) throw new Error('a block is cut off');
    blocks.push(await decompress(buffer.subarray(start, at)));
  }
  return Buffer.concat(blocks);
}
