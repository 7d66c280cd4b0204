import { toLsnText } from '../changes/lsn.ts';
import { CONTEXT_HEADER, parseContext, type TransactionContext } from '../changes/transaction-context.ts';
import { REPAIR_HEADER } from '../connectors/snapshot/signal.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { InRecord } from '../runtime/kafka.ts';
import { createDecoder, createKeyDecoder, readColumnNames } from '../schemas/avro/decode.ts';
import type { Registry } from '../schemas/avro/registry.ts';
import { schemaIdOf } from '../schemas/avro/wire.ts';
import type { Projection } from './projection.ts';
import { type RepairHint, type SourceChange, toLegacyKey, toTimestampText } from './source-change.ts';
import { attribute } from './stopped-by.ts';

/** Decodes records of a projection's topic. Requests each schema from the registry once. */
export interface ChangeDecoder {
  /** Returns changes in order; tombstones yield none. Throws `source_changed` if a schema lacks a column that the projection requires. */
  decode(
    topic: string,
    partition: number,
    records: readonly Pick<InRecord, 'offset' | 'key' | 'value' | 'headers'>[],
  ): Promise<SourceChange[]>;
}

/** The projection that changes are decoded for. */
export type DecodedFor = Pick<Projection, 'name' | 'source' | 'requires'>;

export interface DecoderOptions {
  /** The live projector has read the records before: schemas that lack a column are older ones. */
  readonly isReplay?: boolean;
  /** Columns of the last event that the connector wrote for the projection's table; empty if unknown. */
  readonly readToldColumns?: () => Promise<readonly string[]>;
}

/** Creates a decoder for one projection, or for all that read the same source. */
export function createChangeDecoder(
  of: DecodedFor | readonly DecodedFor[],
  registry: Registry,
  { isReplay = false, readToldColumns = async () => [] }: DecoderOptions = {},
): ChangeDecoder {
  const projections = [of].flat() as readonly DecodedFor[];
  const values = new Map<number, ValueDecoder>();
  const keys = new Map<number, ReturnType<typeof createKeyDecoder>>();
  let lastMicros = -1n;
  let lastText = '';
  const timeOf = (micros: bigint) => {
    if (micros !== lastMicros) {
      lastMicros = micros;
      lastText = toTimestampText(micros);
    }
    return lastText;
  };

  async function valueDecoder(id: number, topic: string, place: string): Promise<ValueDecoder> {
    const known = values.get(id);
    if (known !== undefined) return known;
    const json = await registry.schemaById(id);
    const unmappable: Record<string, string> = {};
    for (const projection of projections) {
      const missing = findMissing(projection, json);
      if (missing.length === 0) continue;
      if (!(await isInterlude(projection, topic, json)))
        throw attribute(toColumnsMissing(projection, missing, isReplay ? place : null), projection.name);
      unmappable[projection.name] = `column ${missing.join(', ')} was missing for a while`;
    }
    const decoder: ValueDecoder = {
      ...createDecoder(json),
      ...(Object.keys(unmappable).length === 0 ? {} : { unmappable }),
    };
    values.set(id, decoder);
    return decoder;
  }
  async function keyDecoder(id: number) {
    const known = keys.get(id);
    if (known !== undefined) return known;
    const decoder = createKeyDecoder(await registry.schemaById(id));
    keys.set(id, decoder);
    return decoder;
  }

  /**
   * Whether a schema lacks columns that both an earlier one and the last event have, because they were renamed or dropped, and later restored. The connector has then
   * read every row again after that, so the records in between need not stop a projector.
   */
  async function isInterlude(projection: DecodedFor, topic: string, json: string): Promise<boolean> {
    const versions = await registry.versionsOf(`${topic}-value`);
    const at = versions.findIndex((version) => isSameJson(version, json));
    if (!versions.slice(0, at).some((version) => findMissing(projection, version).length === 0)) return false;
    const told = await readToldColumns();
    return projection.requires.every((column) => told.includes(column));
  }

  return {
    async decode(topic, partition, records) {
      const changes: SourceChange[] = [];
      for (const { offset, key, value, headers } of records) {
        if (value === null || key === null) continue;
        const decoder =
          values.get(schemaIdOf(value)) ??
          (await valueDecoder(schemaIdOf(value), topic, `${topic}/${partition} at offset ${offset}`));
        const keyed = keys.get(schemaIdOf(key)) ?? (await keyDecoder(schemaIdOf(key)));
        const { op, before, after, source } = decoder.decode(value);
        const context = toContext(headers);
        changes.push({
          legacyKey: toLegacyKey(keyed.decode(key)),
          op,
          before,
          after,
          identity: `${source.timeline}/${toLsnText(source.commitLsn)}/${source.ordinal}`,
          repair: toRepairHint(headers),
          ...(context === null ? {} : { context }),
          ...(decoder.unmappable === undefined ? {} : { unmappable: decoder.unmappable }),
          // A snapshot read has no transaction of its own.
          lineage: {
            lsn: toLsnText(source.commitLsn),
            xid: String(source.txId ?? 0),
            committedAt: timeOf(source.tsUs),
          },
          record: { topic, partition, offset, key, value },
        });
      }
      return changes;
    },
  };
}

/** Reads the repair header; null if the record has none. */
export function toRepairHint(headers: InRecord['headers']): RepairHint | null {
  const header = headers?.[REPAIR_HEADER];
  return header === undefined ? null : (JSON.parse(header.toString()) as RepairHint);
}

/** Reads from the header who changed the row; null if the record has none. */
function toContext(headers: InRecord['headers']): TransactionContext | null {
  const header = headers?.[CONTEXT_HEADER];
  return header === undefined ? null : parseContext(header);
}

interface ValueDecoder extends ReturnType<typeof createDecoder> {
  /** Why rows of this schema cannot be mapped, by projection. */
  readonly unmappable?: Readonly<Record<string, string>>;
}

/** Columns that the projection requires and a schema lacks. A dropped or renamed column would reach `map` as null and blank the columns mapped from it. */
function findMissing({ requires }: DecodedFor, schemaJson: string): string[] {
  const columns = new Set(readColumnNames(schemaJson));
  return requires.filter((column) => !columns.has(column));
}

const isSameJson = (a: string, b: string) => JSON.stringify(JSON.parse(a)) === JSON.stringify(JSON.parse(b));

/** `replayed`: the position of the record, in a replay. */
function toColumnsMissing(projection: DecodedFor, missing: readonly string[], replayed: string | null): CrosswalkError {
  if (replayed !== null)
    return new CrosswalkError(
      'source_changed.replayed',
      `${replayed} lacks ${projection.source}.${missing.join(', ')}, which projection ${projection.name} requires: the record is older than the column`,
    );
  return new CrosswalkError(
    'source_changed.mapping',
    `Projection ${projection.name} requires ${projection.source}.${missing.join(', ')}, which the legacy table no longer has`,
  );
}
