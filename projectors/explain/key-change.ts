import { parseLsn, toLsnText } from '../../changes/lsn.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import { createDecoder, createKeyDecoder } from '../../schemas/avro/decode.ts';
import type { Registry } from '../../schemas/avro/registry.ts';
import { schemaIdOf } from '../../schemas/avro/wire.ts';
import { toLegacyKey } from '../source-change.ts';
import type { LoggedEvent } from './explanation.ts';
import type { TableLog } from './read-changes.ts';

/** Most records from the same moment on that are searched: a large transaction has too many. */
const MOST_RECORDS = 200_000;

/**
 * Finds the legacy key that a row had after its delete (`d`) or before its insert (`c`), if both are one update of its key: the next or previous change of its
 * transaction, from the same row message. Null if it is a plain delete or insert, or if the transaction is too large to search.
 */
export async function findOtherKey(
  { kafka, registry, signal }: { kafka: Kafka; registry: Registry; signal: AbortSignal },
  log: TableLog,
  event: Pick<LoggedEvent, 'op' | 'identity' | 'lsn' | 'committedAt'>,
): Promise<string | null> {
  const cut = event.identity.lastIndexOf('/');
  const [transaction, ordinal] = [event.identity.slice(0, cut), Number(event.identity.slice(cut + 1))];
  if ((event.op !== 'd' && event.op !== 'c') || (event.op === 'c' && ordinal === 0)) return null;
  const atMs = Date.parse(event.committedAt.replace(' ', 'T').replace(/\+00$/, 'Z'));
  if (Number.isNaN(atMs)) return null;
  const lsn = parseLsn(event.lsn);
  const from = await kafka.fetchOffsetsAt(log.topic, atMs);
  const ranges = new Map(log.bounds.map(({ end }, partition) => [partition, { from: from[partition]!, to: end }]));

  const wanted = event.op === 'd' ? { op: 'c', ordinal: ordinal + 1 } : { op: 'd', ordinal: ordinal - 1 };
  const values = new Map<number, ReturnType<typeof createDecoder>>();
  let own: bigint | null = null;
  let other: { readonly key: Buffer; readonly message: bigint } | null = null;
  let records = 0;
  await kafka.readRanges(log.topic, ranges, {
    signal,
    onBatch: async ({ records: batch }) => {
      records += batch.length;
      for (const { key, value } of batch) {
        if (key === null || value === null) continue;
        const id = schemaIdOf(value);
        const decoder = values.get(id) ?? createDecoder(await registry.schemaById(id));
        values.set(id, decoder);
        const { op, source } = decoder.decode(value);
        // Each partition is in commit order.
        if (source.commitLsn > lsn) return false;
        if (`${source.timeline}/${toLsnText(source.commitLsn)}` !== transaction) continue;
        if (source.ordinal === ordinal) own = source.lsn;
        if (source.ordinal === wanted.ordinal && op === wanted.op)
          other = { key: Buffer.from(key), message: source.lsn };
      }
      return records < MOST_RECORDS && (own === null || other === null);
    },
  });
  return await toOtherKey(registry, own, other);
}

/** Both changes of one update have the same position in the legacy database's WAL. */
async function toOtherKey(
  registry: Registry,
  message: bigint | null,
  other: { readonly key: Buffer; readonly message: bigint } | null,
): Promise<string | null> {
  if (other === null || other.message !== message) return null;
  return toLegacyKey(createKeyDecoder(await registry.schemaById(schemaIdOf(other.key))).decode(other.key));
}
