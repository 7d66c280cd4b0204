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

/** What an Avro field of a column holds in JavaScript. */
export type AvroValue = string | number | bigint | boolean | Buffer;
/** The Avro type of a column, as it stands in a schema. */
export type AvroColumnSchema = string | { type: string; [attribute: string]: unknown };
/** Avro value → PostgreSQL's text; null where the value is the text. */
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

type ColumnType = {
  schema: AvroColumnSchema;
  /** Writes PostgreSQL's text as the Avro type. Throws when it is not a text of the type. */
  write(writer: AvroWriter, text: string): void;
};

const TEXT: ColumnType = { schema: 'string', write: writeText };

/** Keyed by the oids of built-in types, which never change; names could belong to a type of the user's. */
const BY_OID: ReadonlyMap<number, ColumnType> = new Map<number, ColumnType>([
  [16, { schema: 'boolean', write: writeBoolean }],
  [17, { schema: 'bytes', write: writeBytea }],
  [20, { schema: 'long', write: writeInteger }],
  [21, { schema: { type: 'int', 'connect.type': 'int16' }, write: writeInteger }],
  [23, { schema: 'int', write: writeInteger }],
  [26, { schema: 'long', write: writeInteger }],
  [114, { schema: semantic(SEMANTIC.json), write: writeText }],
  [142, { schema: semantic(SEMANTIC.xml), write: writeText }],
  [700, { schema: 'float', write: (writer, text) => writer.float(parseFloatText(text)) }],
  [701, { schema: 'double', write: (writer, text) => writer.double(parseFloatText(text)) }],
  [1082, { schema: semantic(SEMANTIC.date), write: (writer, text) => writer.text(dateToIso(text)) }],
  [1083, { schema: semantic(SEMANTIC.time), write: (writer, text) => writer.text(timeToIso(text)) }],
  [1114, { schema: semantic(SEMANTIC.timestamp), write: writeTimestamp }],
  [1184, { schema: semantic(SEMANTIC.timestamptz), write: writeTimestamptz }],
  [1266, { schema: semantic(SEMANTIC.timetz), write: (writer, text) => writer.text(timetzToIso(text)) }],
  [2950, { schema: semantic(SEMANTIC.uuid), write: writeText }],
  [3802, { schema: semantic(SEMANTIC.json), write: writeText }],
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

/** The Avro type of a column and the way of its values there. Types without a lossless form keep PostgreSQL's text. */
export function toColumnType(typeOid: number): ColumnType {
  return BY_OID.get(typeOid) ?? TEXT;
}

/** The way back, from what the schema in the registry says alone. */
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
