import { partitionOf } from '../../connectors/partition.ts';
import type { Position } from '../../connectors/position.ts';
import { type Config, topicOf } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import type { Registry } from '../../schemas/avro/registry.ts';
import { HEADER_BYTES } from '../../schemas/avro/wire.ts';
import type { ChangeDecoder } from '../decode.ts';
import type { SourceChange } from '../source-change.ts';
import { countKeyColumns, type EncodedKey, encodeKey, parseKeyWords } from './key-bytes.ts';

/** The log of one legacy table, and the versions of its key's schema. */
export interface TableLog {
  readonly table: string;
  readonly topic: string;
  /** By partition: the first available offset, and the end of the committed records. */
  readonly bounds: readonly { readonly low: bigint; readonly end: bigint }[];
  /** If only changes since some time are requested: that time in milliseconds since 1970, and by partition the offset before which there are none. */
  readonly since: { readonly ms: number; readonly offsets: readonly bigint[] } | null;
  /** JSON texts, newest first. */
  readonly keySchemas: readonly string[];
}

/** Reads the bounds of the log of a table. Throws `topic_misconfigured` if it has none. */
export async function readTableLog(
  { config, kafka, registry }: { config: Config; kafka: Kafka; registry: Registry },
  table: string,
  position: Position | null,
  sinceMs: number | null,
): Promise<TableLog> {
  const topic = topicOf(config, table);
  const offsets = (await kafka.fetchOffsets([topic])).get(topic);
  if (offsets === undefined) {
    throw new CrosswalkError('topic_misconfigured.not_in_log', `The log has no topic ${topic}`);
  }
  // Records after the stored position may belong to an open Kafka transaction, and reading would wait for it.
  const ends = position?.offsets[topic];
  const bounds = offsets.map(({ low, high }, partition) => {
    const end = ends?.[partition] === undefined ? high : BigInt(ends[partition]);
    return { low, end: end < high ? end : high };
  });
  const since = sinceMs === null ? null : { ms: sinceMs, offsets: await kafka.fetchOffsetsAt(topic, sinceMs) };
  const keySchemas = await registry.versionsOf(`${topic}-key`).catch((error: unknown) => {
    throw toCrosswalkError(error, 'schema registry');
  });
  return { table, topic, bounds, since, keySchemas: keySchemas.toReversed() };
}

/** A legacy key and the forms of its bytes: one for each schema version that encodes it differently. */
export interface WantedKey {
  readonly legacyKey: string;
  readonly forms: readonly Buffer[];
}

/** Encodes a key from user input: one word per column, or a JSON array. Throws `config_invalid` if it is not a key of the table. */
export function toWantedKey(log: TableLog, words: readonly string[]): WantedKey {
  const encoded = log.keySchemas.flatMap((schema) => {
    const texts = parseKeyWords(words, countKeyColumns(schema));
    return texts === null ? [] : (encodeKey(schema, texts) ?? []);
  });
  const [newest] = encoded;
  if (newest === undefined) {
    const columns = log.keySchemas[0] === undefined ? 1 : countKeyColumns(log.keySchemas[0]);
    throw new CrosswalkError(
      log.keySchemas.length === 0 ? 'config_invalid.registry_keys' : 'config_invalid.key',
      log.keySchemas.length === 0
        ? `The schema registry knows no key of topic ${log.topic}`
        : `That is no key of ${log.table}: its key has ${columns} column${columns === 1 ? '' : 's'}`,
    );
  }
  return { legacyKey: newest.legacyKey, forms: toDistinct(encoded) };
}

function toDistinct(encoded: readonly EncodedKey[]): Buffer[] {
  const byBytes = new Map(encoded.map(({ message }) => [toName(message), message]));
  return [...byBytes.values()];
}

/** The part of a key's bytes that identifies the row: all but the schema id. */
function toName(key: Buffer): string {
  return key.toString('latin1', HEADER_BYTES);
}

/** Partition of the newest form of a key. */
export function partitionOfKey(log: TableLog, { forms }: WantedKey): number {
  return partitionOf(forms[0]!, log.bounds.length);
}

/** Offsets of a partition to read: `from` inclusive, `to` exclusive. */
export function rangeOf(log: TableLog, partition: number): { readonly from: bigint; readonly to: bigint } {
  const { low, end } = log.bounds[partition]!;
  const since = log.since?.offsets[partition] ?? low;
  const from = since > low ? since : low;
  return { from: from < end ? from : end, to: end };
}

/** Most records of other rows that are sampled for values of columns. */
const MOST_SAMPLES = 300;
const FIRST_SAMPLES = 50;
const SAMPLE_EVERY = 100;

/** Calls `onChange` with every change of these keys in the log, in order for each key. Reads only the partitions that they hash to. `onSample` gets some changes of other rows. */
export async function readChanges(
  kafka: Kafka,
  log: TableLog,
  keys: readonly WantedKey[],
  options: {
    readonly decoder: ChangeDecoder;
    readonly signal: AbortSignal;
    readonly onChange: (key: number, change: SourceChange) => void;
    readonly onSample: (change: SourceChange) => void;
    readonly onProgress: (done: number, total: number) => void;
  },
): Promise<void> {
  const { decoder, onChange, onSample, onProgress, signal } = options;
  const keyOf = new Map(keys.flatMap(({ forms }, index) => forms.map((form) => [toName(form), index] as const)));
  const partitions = new Set(keys.flatMap(({ forms }) => forms.map((form) => partitionOf(form, log.bounds.length))));
  const ranges = new Map([...partitions].map((partition) => [partition, rangeOf(log, partition)]));
  const total = [...ranges.values()].reduce((sum, { from, to }) => sum + to - from, 0n);
  const reached = new Map([...ranges].map(([partition, { from }]) => [partition, from]));
  const earliestMs = log.since?.ms ?? Number.NEGATIVE_INFINITY;
  let others = 0;
  let samples = 0;
  await kafka.readRanges(log.topic, ranges, {
    signal,
    onBatch: async ({ partition, records, next }) => {
      for (const record of records) {
        if (record.key === null || record.value === null || Number(record.timestampMs) < earliestMs) continue;
        const index = keyOf.get(toName(record.key));
        if (index !== undefined) {
          const [change] = await decoder.decode(log.topic, partition, [record]).catch((error: unknown) => {
            throw toCrosswalkError(error, 'schema registry');
          });
          onChange(index, change!);
        } else if (samples < MOST_SAMPLES && (others < FIRST_SAMPLES || others % SAMPLE_EVERY === 0)) {
          samples += 1;
          // Only a sample: if it cannot be decoded, it is skipped.
          const [change] = await decoder.decode(log.topic, partition, [record]).catch(() => []);
          if (change !== undefined) onSample(change);
        }
        if (index === undefined) others += 1;
      }
      reached.set(partition, next);
      const done = [...reached].reduce((sum, [at, offset]) => sum + offset - ranges.get(at)!.from, 0n);
      onProgress(Number(done), Number(total));
      return true;
    },
  });
}
