import { compileSchema } from './avro-type.ts';
import { type AvroColumnSchema, type AvroValue, type ToText, toTextOf } from './column-type.ts';
import { type AvroField, type AvroRecord, COLUMN_NAME_PARAMETER } from './relation-schema.ts';
import { decodeMessage } from './wire.ts';

/** A row by column name, as PostgreSQL text. */
export type TextRow = Record<string, string | null>;

/** Place and time of the commit; microseconds since 1970. */
export type DecodedSource = {
  schema: string;
  table: string;
  timeline: number;
  commitLsn: bigint;
  ordinal: number;
  lsn: bigint;
  txId: number | null;
  tsUs: bigint;
  snapshot: string | null;
};

export type DecodedTransaction = { id: string; totalOrder: number; dataCollectionOrder: number };

export type DecodedValue = {
  op: 'c' | 'u' | 'd' | 'r';
  before: TextRow | null;
  after: TextRow | null;
  source: DecodedSource;
  transaction: DecodedTransaction | null;
};

type Envelope = {
  op: DecodedValue['op'];
  before: AvroRow | null;
  after: AvroRow | null;
  source: {
    schema: string;
    table: string;
    timeline: number;
    commit_lsn: bigint;
    ordinal: number;
    lsn: bigint;
    txId: number | null;
    ts_us: number;
    snapshot: string | null;
  };
  transaction: { id: string; total_order: number; data_collection_order: number } | null;
};
type AvroRow = Record<string, AvroValue | null>;

/**
 * Creates a decoder for values written with this schema, the registry's JSON text; `schemaIdOf` returns the schema id
 * of a message. Rows are returned as the original PostgreSQL text. Throws for a schema of another kind and for bytes
 * that do not match it.
 */
export function createDecoder(schemaJson: string): { decode(message: Buffer): DecodedValue } {
  const { schema, fields } = parseEnvelope(schemaJson);
  const envelope = compileSchema(schema);
  const toTextRow = createRowReader(fields);
  return {
    decode(message) {
      const { op, before, after, source, transaction } = decodeMessage(envelope, message) as Envelope;
      return {
        op,
        before: before === null ? null : toTextRow(before),
        after: after === null ? null : toTextRow(after),
        source: {
          schema: source.schema,
          table: source.table,
          timeline: source.timeline,
          commitLsn: BigInt.asUintN(64, source.commit_lsn),
          ordinal: source.ordinal,
          lsn: BigInt.asUintN(64, source.lsn),
          txId: source.txId,
          tsUs: BigInt(source.ts_us),
          snapshot: source.snapshot,
        },
        transaction:
          transaction === null
            ? null
            : {
                id: transaction.id,
                totalOrder: transaction.total_order,
                dataCollectionOrder: transaction.data_collection_order,
              },
      };
    },
  };
}

/** The table's column names: a field has a different name if Avro does not allow the column's. */
export function readColumnNames(schemaJson: string): string[] {
  return readColumns(schemaJson).map(({ column }) => column);
}

/**
 * The columns of a topic's values, in field order: field, column, and the field's type in Avro's and Debezium's terms.
 */
export function readColumns(schemaJson: string): { field: string; column: string; type: string }[] {
  return parseEnvelope(schemaJson).fields.map((field) => {
    const schema = columnSchemaOf(field);
    const type = typeof schema === 'string' ? schema : String(schema['connect.name'] ?? schema.type);
    return { field: field.name, column: columnNameOf(field, schema), type: type.replace(/^io\.debezium\.\w+\./, '') };
  });
}

/**
 * Creates a decoder for keys written with this schema, the registry's JSON text; returns PostgreSQL text by column
 * name.
 */
export function createKeyDecoder(schemaJson: string): { decode(message: Buffer): Record<string, string> } {
  const schema = parseRecord(schemaJson, 'Key');
  const key = compileSchema(schema);
  const toTextRow = createRowReader(schema.fields);
  return { decode: (message) => toTextRow(decodeMessage(key, message) as AvroRow) as Record<string, string> };
}

function parseEnvelope(schemaJson: string): { schema: AvroRecord; fields: readonly AvroField[] } {
  const schema = parseRecord(schemaJson, 'Envelope');
  const value = schema.fields.find((field) => field.name === 'before')?.type;
  const valueSchema = Array.isArray(value) ? (value[1] as AvroRecord) : undefined;
  if (valueSchema?.type !== 'record') throw new Error(`not the schema of an envelope: ${schema.name}`);
  return { schema, fields: valueSchema.fields };
}

function parseRecord(schemaJson: string, name: string): AvroRecord {
  const schema = JSON.parse(schemaJson) as AvroRecord;
  if (schema?.type !== 'record' || schema.name !== name) {
    throw new Error(`not a schema of this pipeline: expected the record ${name}`);
  }
  return schema;
}

/** Turns the decoded record itself into the row: only columns with another form in Avro are rewritten. */
function createRowReader(fields: readonly AvroField[]): (row: AvroRow) => TextRow {
  const columns = fields.map((field) => {
    const schema = columnSchemaOf(field);
    return { field: field.name, column: columnNameOf(field, schema), toText: toTextOf(schema) };
  });
  const converted = columns.filter((column): column is typeof column & { toText: NonNullable<ToText> } =>
    Boolean(column.toText),
  );
  const convert = (row: AvroRow): TextRow => {
    for (const { field, toText } of converted) {
      const value = row[field];
      if (value !== null && value !== undefined) row[field] = toText(value);
    }
    return row as TextRow;
  };
  if (columns.every(({ field, column }) => field === column)) return convert;
  return (row) => {
    const texts = convert(row);
    // No prototype, since a column may be called __proto__.
    const renamed: TextRow = Object.create(null);
    for (const { field, column } of columns) renamed[column] = texts[field]!;
    return renamed;
  };
}

function columnSchemaOf(field: AvroField): AvroColumnSchema {
  return (Array.isArray(field.type) ? field.type[1] : field.type) as AvroColumnSchema;
}

function columnNameOf(field: AvroField, schema: AvroColumnSchema): string {
  if (typeof schema === 'string') return field.name;
  const parameters = schema['connect.parameters'] as Record<string, string> | undefined;
  return parameters?.[COLUMN_NAME_PARAMETER] ?? field.name;
}
