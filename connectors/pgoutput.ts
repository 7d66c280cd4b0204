/** Stands for a TOASTed value an update did not touch: PostgreSQL does not send it, and it is not null. */
export const UNCHANGED: unique symbol = Symbol('unchanged');

/** Stands for a cell that was left unread because its text takes so many bytes: it fits into no topic, and JavaScript has no string for it. */
export type TooLarge = { readonly tooLarge: number };

/** One cell: PostgreSQL's text, SQL null, not sent because unchanged, or sent and too large. */
export type TupleCell = string | null | typeof UNCHANGED | TooLarge;
/** The cells of a row, in the order of the relation's columns. */
export type TupleText = readonly TupleCell[];

export type RelationColumn = { name: string; typeOid: number; typeModifier: number; keyFlag: boolean };

export type BeginMessage = { kind: 'begin'; finalLsn: bigint; commitMicros: bigint; xid: number };
export type CommitMessage = { kind: 'commit'; commitLsn: bigint; endLsn: bigint; commitMicros: bigint };
export type RelationMessage = {
  kind: 'relation';
  oid: number;
  schema: string;
  table: string;
  replicaIdentity: 'd' | 'n' | 'f' | 'i';
  columns: RelationColumn[];
};
export type TypeMessage = { kind: 'type'; oid: number; schema: string; name: string };
export type InsertMessage = { kind: 'insert'; oid: number; after: TupleText };
export type UpdateMessage = {
  kind: 'update';
  oid: number;
  before: TupleText | null;
  beforeIsKeyOnly: boolean;
  after: TupleText;
};
export type DeleteMessage = { kind: 'delete'; oid: number; before: TupleText; beforeIsKeyOnly: boolean };
export type TruncateMessage = { kind: 'truncate'; oids: number[]; cascade: boolean; restartIdentity: boolean };
export type LogicalMessage = {
  kind: 'message';
  transactional: boolean;
  lsn: bigint;
  prefix: string;
  content: Buffer;
};
export type OriginMessage = { kind: 'origin'; lsn: bigint; name: string };

export type RowMessage = InsertMessage | UpdateMessage | DeleteMessage;
/** What protocol version 1 can send, messages included. */
export type PgoutputMessage =
  | BeginMessage
  | CommitMessage
  | RelationMessage
  | TypeMessage
  | RowMessage
  | TruncateMessage
  | LogicalMessage
  | OriginMessage;

/** Bytes of the longest text that a string can hold, with room to spare: V8 ends at 2^29 - 24 characters. */
export const MOST_CELL_BYTES = 511 * 1024 * 1024;

/** Tag of a cell whose bytes were left out on their way here (`createCellCutter`): only how many there were. No tag of the protocol. */
export const CUT_CELL = 0x4c;

/** Micros from 1970-01-01, the epoch of Unix, to 2000-01-01, that of PostgreSQL. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;
const IDENTITIES = new Set(['d', 'n', 'f', 'i']);

/**
 * Decodes one pgoutput message of protocol version 1 (`messages 'true'`, text format).
 * Times are micros since the epoch of Unix; xids and oids are unsigned. `message.content` is a copy: the client library reuses the buffer of the
 * input before a queued message is handled. Of cells whose text takes more than `mostCellBytes` only the size is read.
 * Throws on malformed input; the error names the tag and the place, and never holds a cell's value.
 */
export function decodeMessage(bytes: Uint8Array, mostCellBytes: number = MOST_CELL_BYTES): PgoutputMessage {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new Reader(buffer, mostCellBytes);
  const tag = reader.byte();
  const message = decodeBody(reader, tag);
  if (reader.at !== buffer.length) throw reader.malformed(`${buffer.length - reader.at} bytes after its end`);
  return message;
}

function decodeBody(reader: Reader, tag: number): PgoutputMessage {
  switch (tag) {
    case 0x49: // I
      return decodeInsert(reader);
    case 0x55: // U
      return decodeUpdate(reader);
    case 0x44: // D
      return decodeDelete(reader);
    case 0x42: // B
      return { kind: 'begin', finalLsn: reader.lsn(), commitMicros: reader.micros(), xid: reader.uint32() };
    case 0x43: // C
      reader.expectZero('flags');
      return { kind: 'commit', commitLsn: reader.lsn(), endLsn: reader.lsn(), commitMicros: reader.micros() };
    case 0x52: // R
      return decodeRelation(reader);
    case 0x59: // Y
      return { kind: 'type', oid: reader.uint32(), schema: reader.schemaName(), name: reader.text() };
    case 0x54: // T
      return decodeTruncate(reader);
    case 0x4d: // M
      return decodeLogicalMessage(reader);
    case 0x4f: // O
      return { kind: 'origin', lsn: reader.lsn(), name: reader.text() };
    default:
      throw reader.malformed('unknown message type; protocol version 1 is required');
  }
}

function decodeInsert(reader: Reader): InsertMessage {
  const oid = reader.uint32();
  reader.expectTag(0x4e);
  return { kind: 'insert', oid, after: reader.tuple() };
}

function decodeUpdate(reader: Reader): UpdateMessage {
  const oid = reader.uint32();
  const first = reader.byte();
  let before: TupleText | null = null;
  if (first === 0x4b || first === 0x4f) {
    before = reader.tuple();
    reader.expectTag(0x4e);
  } else if (first !== 0x4e) {
    throw reader.malformed('expected a tuple tag K, O or N');
  }
  return { kind: 'update', oid, before, beforeIsKeyOnly: first === 0x4b, after: reader.tuple() };
}

function decodeDelete(reader: Reader): DeleteMessage {
  const oid = reader.uint32();
  const tag = reader.byte();
  if (tag !== 0x4b && tag !== 0x4f) throw reader.malformed('expected a tuple tag K or O');
  return { kind: 'delete', oid, before: reader.tuple(), beforeIsKeyOnly: tag === 0x4b };
}

function decodeRelation(reader: Reader): RelationMessage {
  const oid = reader.uint32();
  const schema = reader.schemaName();
  const table = reader.text();
  const identity = String.fromCharCode(reader.byte());
  if (!IDENTITIES.has(identity)) throw reader.malformed('unknown replica identity');
  const count = reader.uint16();
  const columns: RelationColumn[] = [];
  for (let index = 0; index < count; index++) {
    const keyFlag = (reader.byte() & 1) === 1;
    columns.push({ name: reader.text(), typeOid: reader.uint32(), typeModifier: reader.int32(), keyFlag });
  }
  return {
    kind: 'relation',
    oid,
    schema,
    table,
    replicaIdentity: identity as RelationMessage['replicaIdentity'],
    columns,
  };
}

function decodeTruncate(reader: Reader): TruncateMessage {
  const count = reader.uint32();
  const options = reader.byte();
  const oids: number[] = [];
  for (let index = 0; index < count; index++) oids.push(reader.uint32());
  return { kind: 'truncate', oids, cascade: (options & 1) !== 0, restartIdentity: (options & 2) !== 0 };
}

function decodeLogicalMessage(reader: Reader): LogicalMessage {
  const flags = reader.byte();
  const lsn = reader.lsn();
  const prefix = reader.text();
  const content = Buffer.from(reader.bytes(reader.uint32()));
  return { kind: 'message', transactional: (flags & 1) === 1, lsn, prefix, content };
}

class Reader {
  at = 0;
  readonly buffer: Buffer;
  readonly mostCellBytes: number;

  constructor(buffer: Buffer, mostCellBytes: number) {
    this.buffer = buffer;
    this.mostCellBytes = mostCellBytes;
  }

  malformed(what: string): Error {
    const tag = this.buffer.length === 0 ? 'none' : `0x${this.buffer[0]!.toString(16).padStart(2, '0')}`;
    return new Error(`malformed pgoutput message, tag ${tag}, at byte ${this.at} of ${this.buffer.length}: ${what}`);
  }

  need(byteCount: number): number {
    const start = this.at;
    if (start + byteCount > this.buffer.length) throw this.malformed('it ends too early');
    this.at = start + byteCount;
    return start;
  }

  byte(): number {
    return this.buffer[this.need(1)]!;
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.need(2));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.need(4));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.need(4));
  }

  lsn(): bigint {
    return this.buffer.readBigUInt64BE(this.need(8));
  }

  micros(): bigint {
    return this.buffer.readBigInt64BE(this.need(8)) + POSTGRES_EPOCH_MICROS;
  }

  bytes(byteCount: number): Buffer {
    const start = this.need(byteCount);
    return this.buffer.subarray(start, start + byteCount);
  }

  text(): string {
    const end = this.buffer.indexOf(0, this.at);
    if (end === -1) throw this.malformed('a name has no end');
    const text = this.buffer.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  /** pgoutput sends pg_catalog as the empty string. */
  schemaName(): string {
    return this.text() || 'pg_catalog';
  }

  expectTag(tag: number): void {
    if (this.byte() !== tag) throw this.malformed(`expected the tuple tag ${String.fromCharCode(tag)}`);
  }

  expectZero(what: string): void {
    if (this.byte() !== 0) throw this.malformed(`${what} must be zero`);
  }

  tuple(): TupleText {
    const count = this.uint16();
    const cells: TupleCell[] = new Array(count);
    for (let index = 0; index < count; index++) {
      const tag = this.byte();
      if (tag === 0x74) {
        const length = this.uint32();
        const start = this.need(length);
        cells[index] = length > this.mostCellBytes ? { tooLarge: length } : this.cellText(start, start + length);
      } else if (tag === 0x6e) cells[index] = null;
      else if (tag === 0x75) cells[index] = UNCHANGED;
      else if (tag === CUT_CELL) cells[index] = { tooLarge: this.uint32() };
      else if (tag === 0x62) throw this.malformed('a cell in binary format; the text format is required');
      else throw this.malformed(`unknown cell tag 0x${tag.toString(16)}`);
    }
    return cells;
  }

  cellText(start: number, end: number): string {
    return this.buffer.toString('utf8', start, end);
  }
}
