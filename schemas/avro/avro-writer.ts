const SLAB_BYTES = 256 * 1024;
const SAFE = 2 ** 52;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
/**
 * Up to this length a loop over the characters is faster than a call into the runtime, and the length fits into one
 * byte.
 */
const SHORT_TEXT = 48;
/** The same limit for bytes copied eight at a time. */
const SHORT_COPY = 96;
/** Spare bytes after a message, for writes of eight bytes at a time. */
const SPARE = 8;
/** Lengths below this take one byte. */
const ONE_BYTE_LENGTH = 64;
const DIGITS_ZERO = 0x30;

/** Maximum number of slabs kept for reuse. */
const MOST_FREE = 32;

/**
 * Writes Avro binary, message by message, into slabs. A finished message is a view of its slab and is not overwritten
 * until its slab was retired and given back for reuse; other slabs are freed once none of their messages is held. An
 * unfinished message leaves no trace.
 */
export class AvroWriter {
  private slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  private view = toView(this.slab);
  private at = 0;
  private start = 0;
  private finished = 0;
  /** Full slabs. */
  private full: Buffer[] = [];
  private free: Buffer[] = [];
  /** Whether full slabs are being retired: otherwise they would be held for nothing. */
  private isRetiring = false;

  /** Begins a message in Confluent's wire format: a zero byte, the schema id in four bytes, Avro binary. */
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

  /** `branch`: a union branch below 64. `bool`: a boolean, as 0 or 1. */
  branch(index: number): void {
    this.reserve(1);
    this.slab[this.at++] = index * 2;
  }

  bool(value: boolean): void {
    this.reserve(1);
    this.slab[this.at++] = value ? 1 : 0;
  }

  /** An int or long that is exact as a JavaScript number. */
  long(value: number): void {
    if (value >= SAFE || value <= -SAFE || !Number.isInteger(value)) {
      this.bigLong(BigInt(value));
      return;
    }
    this.reserve(10);
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** A long over its full range; an LSN beyond 2^63 wraps. */
  bigLong(value: bigint): void {
    if (value > -0x10_0000_0000_0000n && value < 0x10_0000_0000_0000n) {
      this.long(Number(value));
      return;
    }
    const zigzag = BigInt.asUintN(64, (value << 1n) ^ (BigInt.asIntN(64, value) >> 63n));
    this.reserve(10);
    // Seven groups of seven bits are exact as a number; the rest fits into fifteen bits.
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

  /** A text that is in `source` as UTF-8. */
  utf8(source: DataView, start: number, length: number): void {
    this.reserve(length + 5);
    if (length < ONE_BYTE_LENGTH) this.slab[this.at++] = length * 2;
    else this.varint(length * 2);
    this.copy(source, start, length);
  }

  /** The non-null branch of a column, followed by a text as in `utf8`. */
  nullableUtf8(source: DataView, start: number, length: number): void {
    this.reserve(length + 6);
    this.slab[this.at++] = 2;
    if (length < ONE_BYTE_LENGTH) this.slab[this.at++] = length * 2;
    else this.varint(length * 2);
    this.copy(source, start, length);
  }

  /** Like `utf8`, with a Z appended. */
  utf8WithZ(source: DataView, start: number, length: number): void {
    this.reserve(length + 6);
    this.varint((length + 1) * 2);
    this.copy(source, start, length);
    this.slab[this.at++] = LETTER_Z;
  }

  /** Like `isoText`, for a timestamp that is in `source`. */
  isoUtf8(source: DataView, start: number, length: number): void {
    this.reserve(length + 2);
    const { slab } = this;
    slab[this.at++] = (length + 1) * 2;
    const from = this.at;
    this.copy(source, start, length);
    slab[from + 10] = LETTER_T;
    slab[this.at++] = LETTER_Z;
  }

  /** Bytes from hex digits in `source`. Throws if they are not hex digits. */
  hexUtf8(source: Buffer, start: number, length: number): void {
    if (length % 2 !== 0) throw new Error('not hex digits');
    this.reserve(length / 2 + 5);
    this.varint(length);
    const { slab } = this;
    let { at } = this;
    for (let from = start; from < start + length; from += 2) {
      const high = hexDigit(source[from]!);
      const low = hexDigit(source[from + 1]!);
      slab[at++] = (high << 4) | low;
    }
    this.at = at;
  }

  /**
   * A text made of a given start and end, as UTF-8 from `toPadded`, with the digits of a number between them, an exact
   * non-negative integer.
   */
  textWithNumber(before: DataView, value: number, after: DataView): void {
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
    const length = before.byteLength + digits + after.byteLength - 2 * SPARE;
    this.reserve(length + 5);
    this.varint(length * 2);
    this.raw(before);
    const { slab } = this;
    const end = this.at + digits;
    let at = end;
    let rest = value;
    // Division of 31-bit integers is much cheaper.
    while (rest >= 0x4000_0000) {
      const high = Math.floor(rest / 10);
      slab[--at] = DIGITS_ZERO + (rest - high * 10);
      rest = high;
    }
    for (let small = rest | 0; at > this.at; small = (small / 10) | 0) slab[--at] = DIGITS_ZERO + (small % 10);
    this.at = end;
    this.raw(after);
  }

  /** The first `end` characters of a plain PostgreSQL timestamp text, as ISO 8601 in UTC. */
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

  /** Bytes from hex digits. Throws if they are not hex digits. */
  hexBytes(hex: string): void {
    const length = hex.length / 2;
    this.reserve(length + 5);
    this.varint(length * 2);
    const written = this.slab.write(hex, this.at, 'hex');
    if (written !== length) throw new Error('not hex digits');
    this.at += length;
  }

  /** Prepared Avro binary, as from `toPadded`. */
  raw(padded: DataView): void {
    this.reserve(padded.byteLength);
    this.copy(padded, 0, padded.byteLength - SPARE);
  }

  /**
   * Space must have been reserved. Copies eight bytes at a time; excess bytes of the last step are overwritten later or
   * lie beyond the message.
   */
  private copy(source: DataView, start: number, length: number): void {
    const { at, view } = this;
    this.at = at + length;
    if (length > SHORT_COPY) this.slab.set(new Uint8Array(source.buffer, source.byteOffset + start, length), at);
    else if (start + length + SPARE <= source.byteLength)
      for (let done = 0; done < length; done += 8)
        view.setBigUint64(at + done, source.getBigUint64(start + done, true), true);
    else for (let done = 0; done < length; done++) view.setUint8(at + done, source.getUint8(start + done));
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
    if (this.at + byteCount + SPARE > this.slab.length) this.grow(byteCount);
  }

  /** Returns the slabs of all messages finished so far; nothing is written to them until they are given back. */
  retire(): readonly Buffer[] {
    this.isRetiring = true;
    const retired = this.full;
    this.full = [];
    if (this.finished > 0) {
      retired.push(this.slab);
      this.begun(this.free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES));
      this.at = 0;
    }
    return retired;
  }

  /** Gives back slabs whose messages are no longer read: they may be overwritten. */
  reuse(slabs: readonly Buffer[]): void {
    for (const slab of slabs) if (slab.length === SLAB_BYTES && this.free.length < MOST_FREE) this.free.push(slab);
  }

  /** Takes a new slab and moves the current message to its beginning. */
  private grow(byteCount: number): void {
    const { slab, start, at } = this;
    const written = at - start;
    const wanted = written + byteCount + SPARE;
    if (this.isRetiring && this.finished > 0) this.full.push(slab);
    const free = wanted <= SLAB_BYTES ? this.free.pop() : undefined;
    this.begun(free ?? Buffer.allocUnsafeSlow(wanted <= SLAB_BYTES ? SLAB_BYTES : 2 * wanted));
    slab.copy(this.slab, 0, start, at);
    this.at = written;
  }

  private begun(slab: Buffer): void {
    this.slab = slab;
    this.view = toView(slab);
    this.start = 0;
    this.finished = 0;
  }
}

function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size++;
  return size;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  if (lower >= 0x61 && lower <= 0x66) return lower - 0x57;
  throw new Error('not hex digits');
}

function toView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A copy of bytes with spare room after them, so that they can be copied eight at a time. */
export function toPadded(bytes: Uint8Array): DataView {
  const padded = new Uint8Array(bytes.length + SPARE);
  padded.set(bytes);
  return toView(padded);
}
