import type { Change, Relation } from '../../../changes/change.ts';
import type { ValueContext } from '../../../schemas/avro/encode.ts';

/** Oids of the built-in types with an Avro form of their own, and some without. */
export const OIDS = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  float4: 700,
  float8: 701,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
  _text: 1009,
} as const;
export type TypeName = keyof typeof OIDS;

export const TOPIC = 'legacy.public.sample';

/** What an encoder of a sample relation is made with. */
export const sampleOptions = {
  topic: TOPIC,
  ids: { key: 7, value: 8 },
  serverName: 'legacy',
  databaseName: 'shop',
  connectorVersion: '0.1.0',
};

/** What a value tells beyond its change. */
export const sampleContext: ValueContext = {
  timeline: 3,
  snapshot: 'false',
  transaction: { id: '4000000000:97500059720', totalOrder: 1, dataCollectionOrder: 2 },
  processedMs: 1_735_718_400_200,
};

/** A relation from `name type` pairs; the first column is the key unless another is given. */
export function sampleRelation(columns: readonly (readonly [string, TypeName])[], key?: readonly string[]): Relation {
  return {
    oid: 16_500,
    schema: 'public',
    table: 'sample',
    columns: columns.map(([name, typeName]) => ({ name, typeOid: OIDS[typeName], typeName, typeModifier: -1 })),
    key: key ?? [columns[0]![0]],
  };
}

export function sampleChange(relation: Relation, change: Partial<Change>): Change {
  return {
    relation,
    op: 'c',
    before: null,
    after: null,
    commitLsn: 0x16_b374_d848n,
    lsn: 0x16_b374_d800n,
    ordinal: 0,
    xid: 4_000_000_000,
    commitMicros: 1_735_718_400_123_456n,
    ...change,
  };
}
