const schedule = new Int32Array(80);
const state = new Int32Array(5);

/**
 * SHA-1 of the first `length` bytes of `buffer`, as five 32-bit words that the next call overwrites.
 * `buffer` must have room for the padding: at least `paddedLength(length)` bytes.
 */
export function sha1(buffer: Uint8Array, length: number): Int32Array {
  const padded = paddedLength(length);
  buffer.fill(0, length, padded);
  buffer[length] = 0x80;
  writeBitLength(buffer, length, padded);
  state[0] = 0x67452301;
  state[1] = 0xefcdab89 | 0;
  state[2] = 0x98badcfe | 0;
  state[3] = 0x10325476;
  state[4] = 0xc3d2e1f0 | 0;
  for (let block = 0; block < padded; block += 64) compress(buffer, block);
  return state;
}

/** Bytes that a message of `length` bytes takes once padded to whole blocks of 64. */
export function paddedLength(length: number): number {
  return ((length + 72) >>> 6) << 6;
}

function writeBitLength(buffer: Uint8Array, length: number, padded: number): void {
  const high = Math.floor(length / 0x20000000);
  const low = (length << 3) >>> 0;
  for (let at = 0; at < 4; at += 1) {
    buffer[padded - 8 + at] = high >>> (24 - 8 * at);
    buffer[padded - 4 + at] = low >>> (24 - 8 * at);
  }
}

function compress(buffer: Uint8Array, block: number): void {
  const w = schedule;
  for (let t = 0, at = block; t < 16; t += 1, at += 4) {
    w[t] = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
  }
  for (let t = 16; t < 80; t += 1) {
    const x = w[t - 3]! ^ w[t - 8]! ^ w[t - 14]! ^ w[t - 16]!;
    w[t] = (x << 1) | (x >>> 31);
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  for (let t = 0; t < 80; t += 1) {
    let mixed: number;
    if (t < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (t < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (t < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const next = (((a << 5) | (a >>> 27)) + mixed + e + w[t]!) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  state[0] = (state[0]! + a) | 0;
  state[1] = (state[1]! + b) | 0;
  state[2] = (state[2]! + c) | 0;
  state[3] = (state[3]! + d) | 0;
  state[4] = (state[4]! + e) | 0;
}
