import { type Config, topicOf } from '../runtime/config.ts';
import { createEncoder, type Encoder } from '../schemas/avro/encode.ts';
import type { Registry } from '../schemas/avro/registry.ts';
import { toKeySchema, toValueSchema } from '../schemas/avro/relation-schema.ts';
import type { Column, Relation } from './change.ts';
import type { RelationMessage } from './pgoutput.ts';

export const CONNECTOR_VERSION = '0.1.0';

/** A captured table as the stream describes it now, with the encoder of its topic. */
export interface Captured {
  readonly relation: Relation;
  readonly topic: string;
  readonly encoder: Encoder;
}

/** Registers the schemas of a relation under its topic's subjects, and makes its encoder. Throws when they break the compatibility rule. */
export async function register(
  relation: Relation,
  registry: Registry,
  config: Config,
  databaseName: string,
): Promise<Captured> {
  const topic = topicOf(config, relation.table);
  const keySchema = toKeySchema(relation, topic);
  const ids = {
    key: keySchema === null ? null : await registry.register(`${topic}-key`, keySchema),
    value: await registry.register(`${topic}-value`, toValueSchema(relation, topic)),
  };
  const encoder = createEncoder(relation, {
    topic,
    ids,
    serverName: config.topicPrefix,
    databaseName,
    connectorVersion: CONNECTOR_VERSION,
  });
  return { relation, topic, encoder };
}

/** The relation that a message describes: its columns, with the key as known. Null when it is the one that is known already. */
export function toChangedRelation(
  message: RelationMessage,
  known: Relation,
  typeNames: ReadonlyMap<number, string>,
): Relation | null {
  const columns: Column[] = message.columns.map((column) => {
    const old = known.columns.find(
      (candidate) => candidate.name === column.name && candidate.typeOid === column.typeOid,
    );
    return {
      name: column.name,
      typeOid: column.typeOid,
      typeModifier: column.typeModifier,
      typeName: old?.typeName ?? typeNames.get(column.typeOid) ?? 'text',
    };
  });
  const isSame =
    message.oid === known.oid &&
    columns.length === known.columns.length &&
    columns.every(
      (column, index) => column.name === known.columns[index]!.name && column.typeOid === known.columns[index]!.typeOid,
    );
  return isSame ? null : { ...known, oid: message.oid, columns };
}
