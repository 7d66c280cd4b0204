import { NULL_CELL, SentRow, TOO_LARGE_CELL, UNCHANGED_CELL } from './sent-row.ts';

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
export type InsertMessage = { kind: 'insert'; oid: number; after: SentRow };
export type UpdateMessage = {
  kind: 'update';
  oid: number;
  before: SentRow | null;
  beforeIsKeyOnly: boolean;
  after: SentRow;
};
export type DeleteMessage = { kind: 'delete'; oid: number; before: SentRow; beforeIsKeyOnly: boolean };
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
/** All messages of protocol version 1, logical messages included. */
export type PgoutputMessage =
  | BeginMessage
  | CommitMessage
  | RelationMessage
  | TypeMessage
  | RowMessage
  | TruncateMessage
  | LogicalMessage
  | OriginMessage;

/** Maximum bytes of a text that fits into a string, with a margin: V8's limit is 2^29 - 24 characters. */
export const MOST_CELL_BYTES = 511 * 1024 * 1024;

/**
 * Tag of a cell whose bytes were dropped before decoding (`createCellCutter`), so only its size is known. Not a tag of
 * the protocol.
 */
export const CUT_CELL = 0x4c;

/** Microseconds from the Unix epoch, 1970-01-01, to PostgreSQL's, 2000-01-01. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;
const IDENTITIES = new Set(['d', 'n', 'f', 'i']);

/**
 * Decodes one pgoutput message of protocol version 1 (`messages 'true'`, text format), which is in `bytes` from `start`
 * to `end`; `view`: of the same bytes. Times are microseconds since the Unix epoch; xids and oids are unsigned. Rows
 * are views of the bytes, which must not be modified while a row is held; `message.content` is a copy. Of cells whose
 * text exceeds `mostCellBytes`, only the size is read. Throws on malformed input; the error names the tag and the
 * offset, and never holds a cell's value.
 */
export function decodeMessage(
  bytes: Uint8Array,
  mostCellBytes: number = MOST_CELL_BYTES,
  start = 0,
  end: number = bytes.length,
  view: DataView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
): PgoutputMessage {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new Reader(buffer, view, mostCellBytes, start, end);
  const tag = reader.byte();
  const message = decodeBody(reader, tag);
  if (reader.at !== end) throw reader.malformed(`${end - reader.at} bytes after its end`);
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
  let before: SentRow | null = null;
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
  at: number;
  readonly buffer: Buffer;
  readonly view: DataView;
  readonly mostCellBytes: number;
  readonly start: number;
  readonly end: number;

  constructor(buffer: Buffer, view: DataView, mostCellBytes: number, start: number, end: number) {
    this.buffer = buffer;
    this.view = view;
    this.mostCellBytes = mostCellBytes;
    this.at = start;
    this.start = start;
    this.end = end;
  }

  malformed(what: string): Error {
    const { start, end } = this;
    const tag = start === end ? 'none' : `0x${this.buffer[start]!.toString(16).padStart(2, '0')}`;
    return new Error(`malformed pgoutput message, tag ${tag}, at byte ${this.at - start} of ${end - start}: ${what}`);
  }

  need(byteCount: number): number {
    const start = this.at;
    if (start + byteCount > this.end) throw this.malformed('it ends too early');
    this.at = start + byteCount;
    return start;
  }

  byte(): number {
    return this.buffer[this.need(1)]!;
  }

  uint16(): number {
    return this.view.getUint16(this.need(2));
  }

  uint32(): number {
    return this.view.getUint32(this.need(4));
  }

  int32(): number {
    return this.view.getInt32(this.need(4));
  }

  lsn(): bigint {
    return this.view.getBigUint64(this.need(8));
  }

  micros(): bigint {
    return this.view.getBigInt64(this.need(8)) + POSTGRES_EPOCH_MICROS;
  }

  bytes(byteCount: number): Buffer {
    const start = this.need(byteCount);
    return this.buffer.subarray(start, start + byteCount);
  }

  text(): string {
    const end = this.buffer.indexOf(0, this.at);
    if (end === -1 || end >= this.end) throw this.malformed('a name has no end');
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

  tuple(): SentRow {
    const { buffer, view, mostCellBytes } = this;
    const count = this.uint16();
    const places: number[] = new Array(2 * count);
    let isPlain = true;
    for (let index = 0; index < 2 * count; index += 2) {
      const tag = this.byte();
      if (tag === 0x74) {
        const length = view.getUint32(this.need(4));
        places[index] = this.need(length);
        places[index + 1] = length;
        if (length > mostCellBytes) {
          places[index] = length;
          places[index + 1] = TOO_LARGE_CELL;
          isPlain = false;
        }
      } else if (tag === 0x6e) {
        places[index] = 0;
        places[index + 1] = NULL_CELL;
      } else if (tag === 0x75) {
        places[index] = 0;
        places[index + 1] = UNCHANGED_CELL;
        isPlain = false;
      } else if (tag === CUT_CELL) {
        places[index] = this.uint32();
        places[index + 1] = TOO_LARGE_CELL;
        isPlain = false;
      } else if (tag === 0x62) throw this.malformed('a cell in binary format; the text format is required');
      else throw this.malformed(`unknown cell tag 0x${tag.toString(16)}`);
    }
    return new SentRow(buffer, view, places, isPlain, this.end - this.start);
  }
}
