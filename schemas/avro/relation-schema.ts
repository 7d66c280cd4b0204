import type { Column, Relation } from '../../changes/change.ts';
import { keyPositions } from '../../changes/change.ts';
import { type AvroColumnSchema, toColumnType } from './column-type.ts';
import { type FieldVersion, toAvroNamespace, toFieldNames } from './names.ts';

export type AvroField = { name: string; type: unknown; default?: unknown };
export type AvroRecord = {
  type: 'record';
  name: string;
  namespace?: string;
  fields: AvroField[];
  [attribute: string]: unknown;
};

/** Debezium's parameter for a column whose name Avro does not allow: holds its name in the table. */
export const COLUMN_NAME_PARAMETER = '__debezium.source.column.name';

const SNAPSHOT_VALUES = 'true,first,first_in_data_collection,last_in_data_collection,last,false,incremental';

/** Registered versions of a topic's schemas, oldest first. */
export interface EarlierSchemas {
  readonly keys: readonly AvroRecord[];
  readonly values: readonly FieldVersion[];
}

const NONE: EarlierSchemas = { keys: [], values: [] };

/**
 * The schema of a topic's keys, `<topic>.Key`: the primary key, required; null for a table without one. The columns of
 * a key never change, so each keeps its field even if the column is renamed: a required field with another name would
 * be another schema to every reader.
 */
export function toKeySchema(relation: Relation, topic: string, earlier: EarlierSchemas = NONE): AvroRecord | null {
  if (relation.key.length === 0) return null;
  const namespace = toAvroNamespace(topic);
  const last = earlier.keys.at(-1)?.fields.map(({ name }) => name);
  const fieldNames = fieldNamesOf(relation, earlier);
  return {
    type: 'record',
    name: 'Key',
    namespace,
    fields: keyPositions(relation).map((position, index) => {
      const name = last?.length === relation.key.length ? last[index]! : fieldNames[position]!;
      return { name, type: toColumnSchema(relation.columns[position]!, name) };
    }),
    'connect.name': `${namespace}.Key`,
  };
}

function fieldNamesOf(relation: Relation, earlier: EarlierSchemas): string[] {
  return toFieldNames(
    relation.columns.map((column) => column.name),
    earlier.values,
  );
}

/**
 * The schema of a topic's values, `<topic>.Envelope`; every column is nullable, so columns can be added and dropped.
 */
export function toValueSchema(relation: Relation, topic: string, earlier: EarlierSchemas = NONE): AvroRecord {
  const namespace = toAvroNamespace(topic);
  const fieldNames = fieldNamesOf(relation, earlier);
  const value: AvroRecord = {
    type: 'record',
    name: 'Value',
    fields: relation.columns.map((column, index) =>
      nullable(fieldNames[index]!, toColumnSchema(column, fieldNames[index]!)),
    ),
    'connect.name': `${namespace}.Value`,
  };
  return {
    type: 'record',
    name: 'Envelope',
    namespace,
    fields: [
      nullable('before', value),
      nullable('after', 'Value'),
      { name: 'source', type: SOURCE },
      nullable('transaction', TRANSACTION_BLOCK),
      { name: 'op', type: 'string' },
      nullable('ts_ms', 'long'),
      nullable('ts_us', 'long'),
      nullable('ts_ns', 'long'),
    ],
    'connect.version': 2,
    'connect.name': `${namespace}.Envelope`,
  };
}

const SOURCE: AvroRecord = {
  type: 'record',
  name: 'Source',
  namespace: 'io.debezium.connector.postgresql',
  fields: [
    { name: 'version', type: 'string' },
    { name: 'connector', type: 'string' },
    { name: 'name', type: 'string' },
    { name: 'ts_ms', type: 'long' },
    {
      name: 'snapshot',
      type: [
        {
          type: 'string',
          'connect.version': 1,
          'connect.parameters': { allowed: SNAPSHOT_VALUES },
          'connect.default': 'false',
          'connect.name': 'io.debezium.data.Enum',
        },
        'null',
      ],
      default: 'false',
    },
    { name: 'db', type: 'string' },
    nullable('sequence', 'string'),
    nullable('ts_us', 'long'),
    nullable('ts_ns', 'long'),
    { name: 'schema', type: 'string' },
    { name: 'table', type: 'string' },
    nullable('txId', 'long'),
    nullable('lsn', 'long'),
    nullable('xmin', 'long'),
    { name: 'timeline', type: 'int' },
    { name: 'commit_lsn', type: 'long' },
    { name: 'ordinal', type: 'long' },
  ],
  'connect.version': 1,
  'connect.name': 'io.debezium.connector.postgresql.Source',
};

const TRANSACTION_BLOCK: AvroRecord = {
  type: 'record',
  name: 'block',
  namespace: 'event',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'total_order', type: 'long' },
    { name: 'data_collection_order', type: 'long' },
  ],
  'connect.version': 1,
  'connect.name': 'event.block',
};

function nullable(name: string, type: unknown): AvroField {
  return { name, type: ['null', type], default: null };
}

function toColumnSchema(column: Column, fieldName: string): AvroColumnSchema {
  const { schema } = toColumnType(column.typeOid);
  if (fieldName === column.name) return schema;
  const base = typeof schema === 'string' ? { type: schema } : schema;
  return { ...base, 'connect.parameters': { [COLUMN_NAME_PARAMETER]: column.name } };
}
