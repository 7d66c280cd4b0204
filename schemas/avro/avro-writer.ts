const SLAB_BYTES = 256 * 1024;
const SAFE = 2 ** 52;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
/** Up to here a loop over the characters beats the call into the runtime; the length then fits one byte, too. */
const SHORT_TEXT = 48;

/**
 * Writes Avro binary, message after message, into slabs. A finished message is a view of its slab: never written to
 * again, and the slab is freed once none of its messages is held. A message that is not finished leaves no trace.
 */
export class AvroWriter {
  private slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  private at = 0;
  private start = 0;
  private finished = 0;

  /** Begins a message in Confluent's wire format: a zero byte, the schema's id in four bytes, Avro binary. */
  begin(schemaId: number): void {
    this.at = this.finished;
    this.start = this.finished;
    this.reserve(5);
    this.slab[this.at] = 0;
    this.slab.writeUInt32BE(schemaId, this.at + 1);
    this.at += 5;
  }

  finish(): Buffer {
    this.finished = this.at;
    return this.slab.subarray(this.start, this.at);
  }

  /** A union's branch below 64, or a boolean as 0 or 1 through `bool`. */
  branch(index: number): void {
    this.reserve(1);
    this.slab[this.at++] = index * 2;
  }

  bool(value: boolean): void {
    this.reserve(1);
    this.slab[this.at++] = value ? 1 : 0;
  }

  /** An int or long that is exact as a number. */
  long(value: number): void {
    if (value >= SAFE || value <= -SAFE || !Number.isInteger(value)) {
      this.bigLong(BigInt(value));
      return;
    }
    this.reserve(10);
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** A long over its whole range; an LSN beyond 2^63 wraps. */
  bigLong(value: bigint): void {
    if (value > -0x10_0000_0000_0000n && value < 0x10_0000_0000_0000n) {
      this.long(Number(value));
      return;
    }
    const zigzag = BigInt.asUintN(64, (value << 1n) ^ (BigInt.asIntN(64, value) >> 63n));
    this.reserve(10);
    // Seven groups of seven bits are exact as a number; the rest fits in fifteen bits.
    let low = Number(zigzag & 0x1_ffff_ffff_ffffn);
    for (let group = 0; group < 7; group++) {
      this.slab[this.at++] = (low % 128) | 0x80;
      low = Math.floor(low / 128);
    }
    this.varint(Number(zigzag >> 49n));
  }

  float(value: number): void {
    this.reserve(4);
    this.at = this.slab.writeFloatLE(value, this.at);
  }

  double(value: number): void {
    this.reserve(8);
    this.at = this.slab.writeDoubleLE(value, this.at);
  }

  text(text: string): void {
    const length = text.length;
    this.reserve(length * 3 + 5);
    if (length > SHORT_TEXT) {
      this.longText(text);
      return;
    }
    const { slab } = this;
    const from = this.at + 1;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code >= 0x80) {
        this.longText(text);
        return;
      }
      slab[from + index] = code;
    }
    slab[this.at] = length * 2;
    this.at = from + length;
  }

  /** The first `end` characters of a plain timestamp in PostgreSQL's text, as ISO 8601 in UTC. */
  isoText(text: string, end: number): void {
    this.reserve(end + 2);
    const { slab } = this;
    slab[this.at++] = (end + 1) * 2;
    const from = this.at;
    for (let index = 0; index < end; index++) slab[from + index] = text.charCodeAt(index);
    slab[from + 10] = LETTER_T;
    slab[from + end] = LETTER_Z;
    this.at = from + end + 1;
  }

  /** Bytes from hex digits. Throws when they are not. */
  hexBytes(hex: string): void {
    const length = hex.length / 2;
    this.reserve(length + 5);
    this.varint(length * 2);
    const written = this.slab.write(hex, this.at, 'hex');
    if (written !== length) throw new Error('not hex digits');
    this.at += length;
  }

  /** Avro binary made before. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    const { slab, at } = this;
    for (let index = 0; index < bytes.length; index++) slab[at + index] = bytes[index]!;
    this.at = at + bytes.length;
  }

  private longText(text: string): void {
    const guess = sizeOfVarint(text.length * 2);
    const from = this.at + guess;
    const length = this.slab.write(text, from, 'utf8');
    const size = sizeOfVarint(length * 2);
    if (size !== guess) this.slab.copyWithin(this.at + size, from, from + length);
    this.varint(length * 2);
    this.at += length;
  }

  private varint(value: number): void {
    const { slab } = this;
    let rest = value;
    while (rest >= 0x8000_0000) {
      slab[this.at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    for (; rest >= 0x80; rest >>>= 7) slab[this.at++] = (rest & 0x7f) | 0x80;
    slab[this.at++] = rest;
  }

  private reserve(byteCount: number): void {
    if (this.at + byteCount > this.slab.length) this.grow(byteCount);
  }

  /** Takes a new slab and moves the message at hand to its beginning. */
  private grow(byteCount: number): void {
    const written = this.at - this.start;
    const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, (written + byteCount) * 2));
    this.slab.copy(slab, 0, this.start, this.at);
    this.slab = slab;
    this.start = 0;
    this.finished = 0;
    this.at = written;
  }
}

function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size++;
  return size;
}
