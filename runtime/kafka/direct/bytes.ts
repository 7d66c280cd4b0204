const CHUNK_BYTES = 1024;

/** Writes a request: big-endian numbers, length-prefixed texts and bytes. Buffers are kept without copying. */
export class ByteWriter {
  readonly #done: Buffer[] = [];
  #buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  #at = 0;
  #from = 0;
  #doneBytes = 0;

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    this.#flush();
    this.#buffer = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, bytes));
    this.#at = 0;
    this.#from = 0;
  }

  #flush(): void {
    if (this.#at === this.#from) return;
    this.#done.push(this.#buffer.subarray(this.#from, this.#at));
    this.#doneBytes += this.#at - this.#from;
    this.#from = this.#at;
  }

  int8(value: number): this {
    this.#room(1);
    this.#at = this.#buffer.writeInt8(value, this.#at);
    return this;
  }

  int16(value: number): this {
    this.#room(2);
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
    return this;
  }

  int32(value: number): this {
    this.#room(4);
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
    return this;
  }

  int64(value: bigint): this {
    this.#room(8);
    this.#at = this.#buffer.writeBigInt64BE(value, this.#at);
    return this;
  }

  text(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    this.int16(length).#room(length);
    this.#at += this.#buffer.write(value, this.#at);
    return this;
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).raw(value);
  }

  raw(value: Buffer): this {
    this.#flush();
    this.#done.push(value);
    this.#doneBytes += value.length;
    return this;
  }

  list<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  /** The written bytes, prefixed with their length. */
  finish(): Buffer[] {
    this.#flush();
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(this.#doneBytes);
    return [length, ...this.#done];
  }
}

/** Reads a response. Throws a RangeError if it is shorter than it declares. */
export class ByteReader {
  readonly buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer;
    this.at = at;
  }

  int8(): number {
    return this.buffer.readInt8(this.#pass(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#pass(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#pass(4));
  }

  int64(): bigint {
    return this.buffer.readBigInt64BE(this.#pass(8));
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  nullableText(): string | null {
    const length = this.int16();
    if (length < 0) return null;
    const from = this.#pass(length);
    return this.buffer.toString('utf8', from, this.at);
  }

  text(): string {
    return this.nullableText() ?? '';
  }

  /** Null where there are none. */
  bytes(): Buffer | null {
    const length = this.int32();
    if (length < 0) return null;
    const from = this.#pass(length);
    return this.buffer.subarray(from, this.at);
  }

  /** Null yields no items. */
  list<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.int32(); left > 0; left--) items.push(read());
    return items;
  }

  #pass(bytes: number): number {
    const from = this.at;
    if (from + bytes > this.buffer.length) throw new RangeError('an answer of Kafka is cut off');
    this.at = from + bytes;
    return from;
  }
}
