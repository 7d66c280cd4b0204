import avro from 'avsc';
import { encodeMessage } from './wire.ts';

const NAMESPACE = 'io.debezium.connector.common';

/** Debezium's schema of a transaction boundary's key. */
export const transactionKeySchema = {
  type: 'record',
  name: 'TransactionMetadataKey',
  namespace: NAMESPACE,
  fields: [{ name: 'id', type: 'string' }],
  'connect.name': `${NAMESPACE}.TransactionMetadataKey`,
  'connect.version': 1,
};

/** Debezium's schema of a transaction boundary. `event_count` and `data_collections` are null in BEGIN. */
export const transactionValueSchema = {
  type: 'record',
  name: 'TransactionMetadataValue',
  namespace: NAMESPACE,
  fields: [
    { name: 'status', type: 'string' },
    { name: 'id', type: 'string' },
    { name: 'event_count', type: ['null', 'long'], default: null },
    {
      name: 'data_collections',
      type: [
        'null',
        {
          type: 'array',
          items: {
            type: 'record',
            name: 'collection',
            namespace: 'event',
            fields: [
              { name: 'data_collection', type: 'string' },
              { name: 'event_count', type: 'long' },
            ],
            'connect.name': 'event.collection',
            'connect.version': 1,
          },
        },
      ],
      default: null,
    },
    { name: 'ts_ms', type: 'long' },
  ],
  'connect.name': `${NAMESPACE}.TransactionMetadataValue`,
  'connect.version': 1,
};

/** Event counts by `schema.table`. */
export type EventCounts = ReadonlyMap<string, number>;

/**
 * Creates an encoder for the two boundaries of a source transaction, in Confluent's wire format. `id`: `<xid>:<commit
 * LSN>`; `commitMs`: milliseconds since 1970.
 */
export function createTransactionEncoder(ids: { key: number; value: number }) {
  const key = avro.Type.forSchema(transactionKeySchema as avro.Schema);
  const value = avro.Type.forSchema(transactionValueSchema as avro.Schema, { wrapUnions: 'never' });
  return {
    encodeKey: (id: string) => encodeMessage(key, ids.key, { id }),
    encodeBegin: (id: string, commitMs: number) =>
      encodeMessage(value, ids.value, {
        status: 'BEGIN',
        id,
        event_count: null,
        data_collections: null,
        ts_ms: commitMs,
      }),
    encodeEnd: (id: string, commitMs: number, counts: EventCounts) =>
      encodeMessage(value, ids.value, {
        status: 'END',
        id,
        event_count: [...counts.values()].reduce((sum, count) => sum + count, 0),
        data_collections: [...counts].map(([table, count]) => ({ data_collection: table, event_count: count })),
        ts_ms: commitMs,
      }),
  };
}
