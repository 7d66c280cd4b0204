// A log of changes in partitions, as the connector would have written it, without Kafka: what a projector is given.
import { createHash } from 'node:crypto';
import { toLsnText } from '../../changes/lsn.ts';
import type { Position } from '../../connectors/position.ts';
import type { Random } from '../../pipelines/crm/sample/random.ts';
import { type ChangeDecoder, toRepairHint } from '../../projectors/decode.ts';
import type { LegacyRow } from '../../projectors/projection.ts';
import { type SourceChange, toTimestampText } from '../../projectors/source-change.ts';
import type { RecordedChange } from './legacy-history.ts';

const START_MICROS = 1_700_000_000_000_000n;
const tableOf = (topic: string) => topic.slice('legacy.'.length);

/** The topic of a legacy table. */
export const topicOf = (table: string) => `legacy.${table}`;

/** One record: a change without its place, and where it belongs. */
export type Entry = Omit<SourceChange, 'record'> & { readonly table: string };

/** The change that a transaction made: its LSN and commit time follow from its number. */
export function toEntry(
  change: Pick<RecordedChange, 'table' | 'key' | 'after' | 'transaction'> & { op: SourceChange['op'] },
): Entry {
  const lsn = toLsnText(0x100_0000n + BigInt(change.transaction) * 0x58n);
  const committedAt = toTimestampText(START_MICROS + BigInt(change.transaction) * 1_000_003n);
  const xid = change.op === 'r' ? '0' : String(1000 + change.transaction);
  return {
    table: change.table,
    legacyKey: change.key,
    op: change.op,
    before: null,
    after: change.after,
    lineage: { lsn, xid, committedAt },
    identity: `1/${lsn}/0`,
    repair: null,
  };
}

export interface ChangeLog {
  readonly partitions: readonly LogPartition[];
  /** Every record of every partition, in the order of the log. */
  readonly changes: readonly SourceChange[];
  /** Makes up to so many more records visible to readers. */
  produce(records: number): void;
  isComplete(): boolean;
  /** The connector's position for what is visible: the initial load counts as done when all of it is. */
  position(): Position;
}

export interface LogPartition {
  readonly topic: string;
  readonly partition: number;
  /** Visible records from an offset on, at most so many. */
  read(from: bigint, most: number): SourceChange[];
  /** The offset after the last visible record. */
  end(): bigint;
}

/** Lays entries out in the partitions of their tables' topics: a key stays in one partition; some offsets belong to no record, as in Kafka. */
export function createChangeLog(
  entries: readonly Entry[],
  tables: readonly string[],
  partitionCount: number,
): ChangeLog {
  const all: SourceChange[] = [];
  const ends = new Map<string, bigint>();
  for (const { table, ...change } of entries) {
    const topic = topicOf(table);
    const partition = createHash('md5').update(change.legacyKey).digest().readUInt32BE() % partitionCount;
    const name = `${topic}/${partition}`;
    const offset = (ends.get(name) ?? 0n) + (all.length % 7 === 0 ? 1n : 0n);
    ends.set(name, offset + 1n);
    const value = Buffer.from(JSON.stringify(change));
    all.push({ ...change, record: { topic, partition, offset, key: Buffer.from(change.legacyKey), value } });
  }
  let produced = 0;
  const visible = new Map<string, SourceChange[]>();
  const partitions = tables.flatMap((table) =>
    Array.from({ length: partitionCount }, (_, partition): LogPartition => {
      const records: SourceChange[] = [];
      visible.set(`${topicOf(table)}/${partition}`, records);
      return {
        topic: topicOf(table),
        partition,
        read: (from, most) => {
          const first = records.findIndex((change) => change.record.offset >= from);
          return first < 0 ? [] : records.slice(first, first + most);
        },
        end: () => (records.at(-1)?.record.offset ?? -1n) + 1n,
      };
    }),
  );
  return {
    partitions,
    changes: all,
    produce: (count) => {
      for (const change of all.slice(produced, produced + count)) {
        visible.get(`${change.record.topic}/${change.record.partition}`)!.push(change);
      }
      produced = Math.min(all.length, produced + count);
    },
    isComplete: () => produced === all.length,
    position: () => ({
      bound: { systemId: '', timeline: 1, database: '', slot: '', clusterId: '' },
      lsn: 0n,
      sourceMicros: 0n,
      unseenXids: [],
      snapshot: Object.fromEntries(
        tables.map((table) => [table, { done: produced === all.length, lastKey: null, rows: 0 }]),
      ),
      offsets: Object.fromEntries(
        tables.map((table) => [
          topicOf(table),
          partitions.filter(({ topic }) => tableOf(topic) === table).map(({ end }) => String(end())),
        ]),
      ),
    }),
  };
}

/** Decodes what `createChangeLog` wrote. */
export const logDecoder: ChangeDecoder = {
  decode: async (topic, partition, records) =>
    records.map(({ offset, key, value, headers }) => ({
      ...(JSON.parse(value!.toString()) as Omit<SourceChange, 'record'>),
      repair: toRepairHint(headers),
      record: { topic, partition, offset, key: key!, value: value! },
    })),
};

/**
 * What a connector publishes that starts after `skipped` changes: every later change, and the rows that exist by then read in chunks at later and later
 * points, each as it is at that point. Some rows are read again.
 */
export function withSnapshotReads(history: readonly RecordedChange[], skipped: number, random: Random): Entry[] {
  const state = new Map<string, { table: RecordedChange['table']; key: string; after: LegacyRow }>();
  const observe = (change: RecordedChange) => {
    const name = `${change.table}/${change.key}`;
    if (change.after === null) state.delete(name);
    else state.set(name, { table: change.table, key: change.key, after: change.after });
  };
  for (const change of history.slice(0, skipped)) observe(change);
  let unread = [...state.keys()].sort(() => random.fraction() - 0.5);
  const entries: Entry[] = [];
  const readChunk = (names: readonly string[], transaction: number) => {
    for (const name of names) {
      const row = state.get(name);
      if (row !== undefined) entries.push(toEntry({ ...row, op: 'r', transaction }));
    }
  };
  const rest = history.slice(skipped);
  let inTransaction = -1;
  for (const change of rest) {
    if (change.transaction !== inTransaction) {
      // A chunk lies between transactions.
      inTransaction = change.transaction;
      if (unread.length > 0 && random.chance(0.1)) {
        const size = random.int(1, 15);
        readChunk(unread.slice(0, size), change.transaction);
        unread = unread.slice(size);
      } else if (random.chance(0.02)) {
        readChunk(
          [...state.keys()].filter(() => random.chance(0.2)),
          change.transaction,
        );
      }
    }
    observe(change);
    entries.push(toEntry(change));
  }
  readChunk(unread, rest.at(-1)?.transaction ?? 0);
  return entries;
}
