import avro from 'avsc';
import type { AvroField, AvroRecord } from './relation-schema.ts';
import type { Decodable } from './wire.ts';

/** avsc's cursor: a buffer and the position of the next byte. */
type Tap = { buf: Buffer; pos: number; skipString(): void; skipLong(): void };

const decodingOnly = () => {
  throw new Error('this type is for decoding only');
};

/**
 * Avro's long as bigint, exact over its 64 bits; an LSN beyond 2^63 wraps, and unwraps with `BigInt.asUintN(64, …)`.
 * Reads from the cursor directly: in avsc's own way each long costs a view of the buffer, a tenth of the decoding time.
 */
const BIGINT_LONG = withRead(
  avro.types.LongType.__with({
    isValid: (value: unknown) => typeof value === 'bigint',
    toBuffer: decodingOnly,
    fromBuffer: decodingOnly,
    toJSON: Number,
    fromJSON: (value: number | string) => BigInt(value),
    compare: (left: bigint, right: bigint) => (left < right ? -1 : left > right ? 1 : 0),
  }),
  readBigLong,
);
const UNREAD_STRING = withRead(avro.Type.forSchema('string'), (tap) => tap.skipString());
const UNREAD_LONG = withRead(avro.Type.forSchema('long'), (tap) => tap.skipLong());

/** Longs that may exceed a JavaScript number; the others (milliseconds, counters, xids) never do. */
const WIDE_FIELDS = new Set(['lsn', 'commit_lsn']);
/** Envelope fields that only other readers use; left undefined. */
const UNREAD_FIELDS: Readonly<Record<string, ReadonlySet<string>>> = {
  Envelope: new Set(['ts_ms', 'ts_us', 'ts_ns']),
  Source: new Set(['version', 'connector', 'name', 'ts_ms', 'db', 'sequence', 'ts_ns', 'xmin']),
};

/** Compiles a schema for decoding: longs of columns and LSNs become bigint, other longs numbers. */
export function compileSchema(schema: AvroRecord): Decodable {
  // avsc's typings do not allow plain objects that contain compiled types.
  return avro.Type.forSchema(prepareRecord(schema) as never, { omitRecordMethods: true, wrapUnions: 'never' });
}

function prepareRecord(record: AvroRecord): AvroRecord {
  const isRow = record.name === 'Value' || record.name === 'Key';
  const unread = UNREAD_FIELDS[record.name];
  const prepareField = (field: AvroField): AvroField => {
    const isUnread = unread?.has(field.name) ?? false;
    const { default: _, ...rest } = field;
    return { ...rest, type: prepareType(field.type, isRow || WIDE_FIELDS.has(field.name), isUnread) };
  };
  return { ...record, fields: record.fields.map(prepareField) };
}

function prepareType(type: unknown, isWide: boolean, isUnread: boolean): unknown {
  if (Array.isArray(type)) return type.map((branch) => prepareType(branch, isWide, isUnread));
  const name = typeof type === 'string' ? type : (type as { type: unknown }).type;
  if (name === 'record') return prepareRecord(type as AvroRecord);
  if (name === 'long') return isUnread ? UNREAD_LONG : isWide ? BIGINT_LONG : type;
  return name === 'string' && isUnread ? UNREAD_STRING : type;
}

/** A type with its own read function. avsc freezes its types, so this one inherits. */
function withRead(type: object, read: (tap: Tap) => unknown): object {
  return Object.freeze(Object.create(type, { _read: { value: read } }));
}

function readBigLong(tap: Tap): bigint {
  const { buf } = tap;
  let at = tap.pos;
  // Seven groups of seven bits are exact as a number; past the end a byte is undefined, and the caller detects that by
  // pos.
  let low = 0;
  let factor = 1;
  for (let group = 0; group < 7; group++, factor *= 128) {
    const byte = buf[at++]!;
    low += (byte & 0x7f) * factor;
    if (!(byte & 0x80)) {
      tap.pos = at;
      return BigInt(low % 2 === 0 ? low / 2 : -(low + 1) / 2);
    }
  }
  let high = 0;
  factor = 1;
  for (let group = 0; group < 3; group++, factor *= 128) {
    const byte = buf[at++]!;
    high += (byte & 0x7f) * factor;
    if (!(byte & 0x80)) break;
  }
  tap.pos = at;
  const zigzag = (BigInt(high) << 49n) | BigInt(low);
  return BigInt.asIntN(64, (zigzag >> 1n) ^ -(zigzag & 1n));
}
