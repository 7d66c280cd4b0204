import { AvroWriter } from '../../schemas/avro/avro-writer.ts';
import { type AvroColumnSchema, toColumnType } from '../../schemas/avro/column-type.ts';
import { createKeyDecoder } from '../../schemas/avro/decode.ts';
import type { AvroRecord } from '../../schemas/avro/relation-schema.ts';
import { toLegacyKey } from '../source-change.ts';

/** A type whose values are written as the Avro type and semantic name require. */
const OID_OF: Readonly<Record<string, number>> = {
  boolean: 16,
  bytes: 17,
  long: 20,
  int: 23,
  float: 700,
  double: 701,
  'io.debezium.time.IsoDate': 1082,
  'io.debezium.time.IsoTime': 1083,
  'io.debezium.time.IsoTimestamp': 1114,
  'io.debezium.time.ZonedTimestamp': 1184,
  'io.debezium.time.ZonedTime': 1266,
};
const TEXT_OID = 25;
const UUID = 'io.debezium.data.Uuid';

/** A key as encoded by one version of its schema. `message` has room for a schema id in front; `legacyKey` is its text as used in the pipeline. */
export interface EncodedKey {
  readonly legacyKey: string;
  readonly message: Buffer;
}

/** Number of columns of a key, from its schema's JSON text. */
export function countKeyColumns(schemaJson: string): number {
  return (JSON.parse(schemaJson) as AvroRecord).fields.length;
}

/** Encodes the texts of a key's columns, in key order. Null if they do not match this schema: wrong number or types. */
export function encodeKey(schemaJson: string, texts: readonly string[]): EncodedKey | null {
  const { fields } = JSON.parse(schemaJson) as AvroRecord;
  if (fields.length !== texts.length) return null;
  const writer = new AvroWriter();
  try {
    writer.begin(0);
    for (const [index, field] of fields.entries()) {
      const schema = field.type as AvroColumnSchema;
      const name = typeof schema === 'string' ? schema : String(schema['connect.name'] ?? schema.type);
      const text = name === UUID ? texts[index]!.toLowerCase() : texts[index]!;
      if ((name === 'int' || name === 'long' || schemaTypeOf(schema) === 'int') && !/^-?\d{1,19}$/.test(text))
        return null;
      toColumnType(OID_OF[name] ?? OID_OF[schemaTypeOf(schema)] ?? TEXT_OID).write(writer, text);
    }
  } catch {
    return null;
  }
  const message = writer.finish();
  const legacyKey = toLegacyKey(createKeyDecoder(schemaJson).decode(message));
  return { legacyKey, message };
}

function schemaTypeOf(schema: AvroColumnSchema): string {
  return typeof schema === 'string' ? schema : schema.type;
}

/** Texts of a key's columns from user input: one word per column, or a single JSON array, as the pipeline writes keys of several columns. */
export function parseKeyWords(words: readonly string[], columns: number): string[] | null {
  if (words.length === columns) return [...words];
  if (words.length !== 1) return null;
  try {
    const parsed: unknown = JSON.parse(words[0]!);
    const isTexts =
      Array.isArray(parsed) && parsed.length === columns && parsed.every((item) => typeof item === 'string');
    return isTexts ? (parsed as string[]) : null;
  } catch {
    return null;
  }
}
