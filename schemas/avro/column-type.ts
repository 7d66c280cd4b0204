import type { AvroWriter } from './avro-writer.ts';
import { toFloat4Text, toFloat8Text } from './float-text.ts';
import {
  dateToIso,
  isoToDate,
  isoToTime,
  isoToTimestamp,
  isoToTimestamptz,
  isoToTimetz,
  isPlainTimestamp,
  isPlainTimestamptz,
  timeToIso,
  timetzToIso,
} from './temporal-text.ts';

const SPACE = 0x20;
const PLUS = 0x2b;
const DASH = 0x2d;
const DIGIT_ZERO = 0x30;
const DIGIT_TWO = 0x32;
const DIGIT_FOUR = 0x34;
const DIGIT_NINE = 0x39;
const BACKSLASH = 0x5c;
const LETTER_F = 0x66;
const LETTER_T = 0x74;
const LETTER_X = 0x78;

/** JavaScript value of a column's Avro field. */
export type AvroValue = string | number | bigint | boolean | Buffer;
/** The Avro type of a column, in schema notation. */
export type AvroColumnSchema = string | { type: string; [attribute: string]: unknown };
/** Converts an Avro value to PostgreSQL text; null if the value is the text. */
export type ToText = ((value: AvroValue) => string) | null;

const SEMANTIC = {
  uuid: 'io.debezium.data.Uuid',
  json: 'io.debezium.data.Json',
  xml: 'io.debezium.data.Xml',
  date: 'io.debezium.time.IsoDate',
  time: 'io.debezium.time.IsoTime',
  timetz: 'io.debezium.time.ZonedTime',
  timestamp: 'io.debezium.time.IsoTimestamp',
  timestamptz: 'io.debezium.time.ZonedTimestamp',
} as const;

/** Received bytes, for inspection and for copying. */
export interface Sent {
  readonly bytes: Buffer;
  readonly view: DataView;
}

type ColumnType = {
  schema: AvroColumnSchema;
  /** Writes PostgreSQL text as the Avro type. Throws if it is not valid text of the type. */
  write(writer: AvroWriter, text: string): void;
  /** Like `write`, for text received as UTF-8: produces the same bytes, without creating a string unless needed. */
  writeSent?(writer: AvroWriter, sent: Sent, start: number, length: number): void;
};

const TEXT: ColumnType = { schema: 'string', write: writeText, writeSent: writeSentText };

/** Keyed by the oids of built-in types, which never change; names could belong to user-defined types. */
const BY_OID: ReadonlyMap<number, ColumnType> = new Map<number, ColumnType>([
  [16, { schema: 'boolean', write: writeBoolean, writeSent: writeSentBoolean }],
  [17, { schema: 'bytes', write: writeBytea, writeSent: writeSentBytea }],
  [20, { schema: 'long', write: writeInteger, writeSent: writeSentInteger }],
  [21, { schema: { type: 'int', 'connect.type': 'int16' }, write: writeInteger, writeSent: writeSentInteger }],
  [23, { schema: 'int', write: writeInteger, writeSent: writeSentInteger }],
  [26, { schema: 'long', write: writeInteger, writeSent: writeSentInteger }],
  [114, { schema: semantic(SEMANTIC.json), write: writeText, writeSent: writeSentText }],
  [142, { schema: semantic(SEMANTIC.xml), write: writeText, writeSent: writeSentText }],
  [700, { schema: 'float', write: (writer, text) => writer.float(parseFloatText(text)) }],
  [701, { schema: 'double', write: (writer, text) => writer.double(parseFloatText(text)) }],
  [
    1082,
    {
      schema: semantic(SEMANTIC.date),
      write: (writer, text) => writer.text(dateToIso(text)),
      writeSent: writeSentDate,
    },
  ],
  [
    1083,
    {
      schema: semantic(SEMANTIC.time),
      write: (writer, text) => writer.text(timeToIso(text)),
      writeSent: writeSentTime,
    },
  ],
  [1114, { schema: semantic(SEMANTIC.timestamp), write: writeTimestamp, writeSent: writeSentTimestamp }],
  [1184, { schema: semantic(SEMANTIC.timestamptz), write: writeTimestamptz, writeSent: writeSentTimestamptz }],
  [1266, { schema: semantic(SEMANTIC.timetz), write: (writer, text) => writer.text(timetzToIso(text)) }],
  [2950, { schema: semantic(SEMANTIC.uuid), write: writeText, writeSent: writeSentText }],
  [3802, { schema: semantic(SEMANTIC.json), write: writeText, writeSent: writeSentText }],
]);

const TEXT_BY_SEMANTIC: ReadonlyMap<unknown, ToText> = new Map<unknown, ToText>([
  [SEMANTIC.date, isoToDate as ToText],
  [SEMANTIC.time, isoToTime as ToText],
  [SEMANTIC.timetz, isoToTimetz as ToText],
  [SEMANTIC.timestamp, isoToTimestamp as ToText],
  [SEMANTIC.timestamptz, isoToTimestamptz as ToText],
]);

const TEXT_BY_AVRO: ReadonlyMap<string, ToText> = new Map<string, ToText>([
  ['boolean', (value) => (value === true ? 't' : 'f')],
  ['int', String],
  ['long', String],
  ['float', (value) => toFloat4Text(value as number)],
  ['double', (value) => toFloat8Text(value as number)],
  ['bytes', (value) => `\\x${(value as Buffer).toString('hex')}`],
]);

/** The Avro type of a column and its conversions. Types without a lossless form keep PostgreSQL's text. */
export function toColumnType(typeOid: number): ColumnType {
  return BY_OID.get(typeOid) ?? TEXT;
}

/** Writes a cell from received bytes, starting at `start`. */
export type WriteSent = (writer: AvroWriter, sent: Sent, start: number, length: number) => void;

/** The writer for a column's cells from received bytes; null if the text is copied unchanged. */
export function toSentWriter(typeOid: number): WriteSent | null {
  const { write, writeSent } = toColumnType(typeOid);
  if (writeSent === writeSentText) return null;
  return (
    writeSent ?? ((writer, { bytes }, start, length) => write(writer, bytes.toString('utf8', start, start + length)))
  );
}

/** The reverse conversion, determined only by the schema in the registry. */
export function toTextOf(schema: AvroColumnSchema): ToText {
  if (typeof schema === 'string') return TEXT_BY_AVRO.get(schema) ?? null;
  return TEXT_BY_SEMANTIC.get(schema['connect.name']) ?? TEXT_BY_AVRO.get(schema.type) ?? null;
}

function semantic(name: string): AvroColumnSchema {
  return { type: 'string', 'connect.version': 1, 'connect.name': name };
}

function writeText(writer: AvroWriter, text: string): void {
  writer.text(text);
}

function writeBoolean(writer: AvroWriter, text: string): void {
  if (text !== 't' && text !== 'f') throw new Error('not a boolean');
  writer.bool(text === 't');
}

function writeInteger(writer: AvroWriter, text: string): void {
  if (text.length <= 15) writer.long(Number(text));
  else writer.bigLong(BigInt(text));
}

function writeTimestamptz(writer: AvroWriter, text: string): void {
  if (isPlainTimestamptz(text)) writer.isoText(text, text.length - 3);
  else writer.text(text);
}

function writeTimestamp(writer: AvroWriter, text: string): void {
  if (isPlainTimestamp(text)) writer.isoText(text, text.length);
  else writer.text(text);
}

function writeBytea(writer: AvroWriter, text: string): void {
  if (!text.startsWith('\\x')) throw new Error('not bytea in hex form');
  writer.hexBytes(text.slice(2));
}

function parseFloatText(text: string): number {
  const value = Number(text);
  if (Number.isNaN(value) && text !== 'NaN') throw new Error('not a float');
  return value;
}

function writeSentText(writer: AvroWriter, { view }: Sent, start: number, length: number): void {
  writer.utf8(view, start, length);
}

function writeSentBoolean(writer: AvroWriter, { bytes }: Sent, start: number, length: number): void {
  if (length !== 1 || (bytes[start] !== LETTER_T && bytes[start] !== LETTER_F)) throw new Error('not a boolean');
  writer.bool(bytes[start] === LETTER_T);
}

function writeSentInteger(writer: AvroWriter, { bytes }: Sent, start: number, length: number): void {
  const isNegative = bytes[start] === DASH;
  const end = start + length;
  let value = 0;
  let isPlain = length > (isNegative ? 1 : 0) && length <= 15;
  for (let at = isNegative ? start + 1 : start; isPlain && at < end; at++) {
    const digit = bytes[at]! - DIGIT_ZERO;
    isPlain = digit >= 0 && digit <= 9;
    value = value * 10 + digit;
  }
  if (isPlain) writer.long(isNegative ? -value : value);
  else writeInteger(writer, bytes.toString('utf8', start, end));
}

function writeSentTimestamptz(writer: AvroWriter, { bytes, view }: Sent, start: number, length: number): void {
  const end = start + length;
  const isPlain =
    length >= 22 &&
    length <= 29 &&
    bytes[start + 4] === DASH &&
    bytes[start + 10] === SPACE &&
    bytes[end - 3] === PLUS &&
    bytes[end - 2] === DIGIT_ZERO &&
    bytes[end - 1] === DIGIT_ZERO;
  if (isPlain) writer.isoUtf8(view, start, length - 3);
  else writer.utf8(view, start, length);
}

function writeSentTimestamp(writer: AvroWriter, { bytes, view }: Sent, start: number, length: number): void {
  const isPlain =
    length >= 19 &&
    length <= 26 &&
    bytes[start + 4] === DASH &&
    bytes[start + 10] === SPACE &&
    bytes[start + length - 1]! <= DIGIT_NINE;
  if (isPlain) writer.isoUtf8(view, start, length);
  else writer.utf8(view, start, length);
}

function writeSentDate(writer: AvroWriter, { bytes, view }: Sent, start: number, length: number): void {
  if (length === 10 && bytes[start + 4] === DASH) writer.utf8WithZ(view, start, length);
  else writer.utf8(view, start, length);
}

function writeSentTime(writer: AvroWriter, { bytes, view }: Sent, start: number, length: number): void {
  const isDayEnd = length >= 2 && bytes[start] === DIGIT_TWO && bytes[start + 1] === DIGIT_FOUR;
  if (isDayEnd) writer.utf8(view, start, length);
  else writer.utf8WithZ(view, start, length);
}

function writeSentBytea(writer: AvroWriter, { bytes }: Sent, start: number, length: number): void {
  if (length < 2 || bytes[start] !== BACKSLASH || bytes[start + 1] !== LETTER_X)
    throw new Error('not bytea in hex form');
  writer.hexUtf8(bytes, start + 2, length - 2);
}
