import type { Column, Relation } from '../changes/change.ts';
import type { RelationMessage } from '../changes/pgoutput.ts';
import { type Config, topicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { AvroWriter } from '../schemas/avro/avro-writer.ts';
import { readColumns } from '../schemas/avro/decode.ts';
import { createEncoder, type Encoder } from '../schemas/avro/encode.ts';
import { type Registry, RegistryError } from '../schemas/avro/registry.ts';
import { type AvroRecord, toKeySchema, toValueSchema } from '../schemas/avro/relation-schema.ts';

export const CONNECTOR_VERSION = '0.1.0';

/** A captured table as the stream currently describes it, with the encoder of its topic. */
export interface Captured {
  readonly relation: Relation;
  readonly topic: string;
  /** `schema.table`, Debezium's collection name. */
  readonly collection: string;
  readonly encoder: Encoder;
  /** Names of columns in any earlier schema version of the log. */
  readonly told: ReadonlySet<string>;
}

/**
 * Registers the schemas of a relation under its topic's subjects and creates its encoder, which uses `writer`. Throws
 * `schema_incompatible` with the columns whose type differs from the log, `server_down` if the registry has only just
 * started.
 */
export async function register(
  relation: Relation,
  registry: Registry,
  config: Config,
  databaseName: string,
  writer?: AvroWriter,
): Promise<Captured> {
  const topic = topicOf(config, relation.table);
  const readValues = () => registry.versionsOf(`${topic}-value`);
  const [keys, values] = await Promise.all([registry.versionsOf(`${topic}-key`), readValues()]);
  const versions = values.map(readColumns);
  const earlier = {
    keys: keys.map((json) => JSON.parse(json) as AvroRecord),
    values: versions.map((columns) => new Map(columns.map(({ field, column }) => [field, column]))),
  };
  const keySchema = toKeySchema(relation, topic, earlier);
  const valueSchema = toValueSchema(relation, topic, earlier);
  try {
    const [key, value] = await Promise.all([
      keySchema === null ? null : registry.register(`${topic}-key`, keySchema),
      registry.register(`${topic}-value`, valueSchema),
    ]);
    const options = {
      topic,
      ids: { key, value },
      serverName: config.topicPrefix,
      databaseName,
      connectorVersion: CONNECTOR_VERSION,
    };
    if (values.length === 0) assertNoMore(topic, 1, await readValues());
    const encoder = createEncoder(relation, options, writer);
    const told = new Set(versions.flat().map(({ column }) => column));
    return { relation, topic, collection: `${relation.schema}.${relation.table}`, encoder, told };
  } catch (error) {
    if (!(error instanceof RegistryError) || error.retry) throw error;
    assertNoMore(topic, values.length, await readValues());
    const retyped = findRetyped(relation, readColumns(JSON.stringify(valueSchema)), versions);
    if (retyped.length === 0) throw error;
    const name = `${relation.schema}.${relation.table}`;
    throw new CrosswalkError('schema_incompatible.retyped', `${name}: ${retyped.join(', ')}`, {
      table: relation.table,
      cause: error,
    });
  }
}

/**
 * Throws `server_down` if a topic has more than `expected` versions of its value schema. A registry that has just
 * started answers before it has read its storage, and a schema made without the earlier versions may give their fields
 * to other columns.
 */
function assertNoMore(topic: string, expected: number, versions: readonly string[]): void {
  if (versions.length <= expected) return;
  const message = `schema registry: it had not yet read all versions of subject ${topic}-value when it was asked for them`;
  throw new CrosswalkError('server_down.again', message);
}

type Columns = ReturnType<typeof readColumns>;

/** Columns whose type differs from an earlier version. */
function findRetyped(relation: Relation, columns: Columns, versions: readonly Columns[]): string[] {
  return columns.flatMap(({ field, column, type }, index) => {
    const before = versions.flatMap((version) => version.filter((earlier) => earlier.field === field)).at(-1);
    if (before === undefined || before.type === type) return [];
    return [
      `column "${column}" is ${relation.columns[index]!.typeName} now, and its events in the log are ${before.type}`,
    ];
  });
}

/**
 * The relation that a message describes: its columns, and the known key, even if key columns were renamed. Null if it
 * equals the known relation. Throws `source_changed` if the key cannot be determined.
 */
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
  if (isSame) return null;
  const key = known.key.map((name) => findKeyColumn(name, known, columns));
  const lost = known.key.filter((_, index) => key[index] === null);
  if (lost.length > 0)
    throw new CrosswalkError(
      'source_changed.read_again',
      `${known.schema}.${known.table}: column ${lost.join(', ')} of the primary key has another name, and which one is not certain`,
      { tables: known.table },
    );
  return { ...known, oid: message.oid, columns, key: key.map((name) => name!) };
}

/**
 * A renamed column keeps its position while no column before it is dropped: a new name of the same type at that
 * position is the same column.
 */
function findKeyColumn(name: string, known: Relation, columns: readonly Column[]): string | null {
  if (columns.some((column) => column.name === name)) return name;
  const place = known.columns.findIndex((column) => column.name === name);
  const column = columns[place];
  const isRenamed =
    column !== undefined &&
    column.typeOid === known.columns[place]!.typeOid &&
    !known.columns.some((other) => other.name === column.name);
  return isRenamed ? column.name : null;
}
