import { type Change, cellOf, keyPositions } from '../changes/change.ts';
import { toLsnText } from '../changes/lsn.ts';
import { type Config, deadLetterTopicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka, OutRecord } from '../runtime/kafka.ts';

/** A change that is not in the log because it is too large for its topic. Never holds a cell that is not part of the primary key. */
export interface SourceDeadLetter {
  readonly topic: string;
  /** `schema.table` in the legacy database. */
  readonly table: string;
  /** The row: PostgreSQL's text of a single key column, a JSON array of several. */
  readonly key: string;
  readonly op: 'c' | 'u' | 'r';
  readonly commitLsn: string;
  readonly ordinal: number;
  /** Null for a row read by the initial load. */
  readonly xid: string | null;
  /** What the record takes, and what its topic holds. */
  readonly bytes: number;
  readonly limit: number;
  /** Microseconds since 1970. */
  readonly committedMicros: string;
}

/** Rows without a current version in the log that are put up with: they are kept in memory, and each is a row that nobody sees in the new schema. */
const MOST_OPEN = 10_000;

export type SourceDeadLetters = ReturnType<typeof createSourceDeadLetters>;

/** The rows whose last version is a dead letter, and what the open transaction changes about them. `open`: keys of the records stored. */
export function createSourceDeadLetters(open: Iterable<string>, topic: string, most: number = MOST_OPEN) {
  const rows = new Set(open);
  let pending = new Map<string, OutRecord>();
  return {
    topic,
    open: () => rows.size,
    /** Records that wait for the commit. */
    count: () => pending.size,

    /** A change that its topic does not hold. Throws `rows_too_large` where too many rows are open. */
    add(change: Change, of: { topic: string; bytes: number; limit: number }, timestampMs: string): SourceDeadLetter {
      const { relation, op, xid } = change;
      const letter: SourceDeadLetter = {
        topic: of.topic,
        table: `${relation.schema}.${relation.table}`,
        key: toKeyText(change),
        // Without the old row a delete always fits.
        op: op as SourceDeadLetter['op'],
        commitLsn: toLsnText(change.commitLsn),
        ordinal: change.ordinal,
        xid: xid === null ? null : String(xid),
        bytes: of.bytes,
        limit: of.limit,
        committedMicros: String(change.commitMicros),
      };
      const key = toRecordKey(of.topic, letter.key);
      rows.add(key);
      if (rows.size > most) {
        throw new CrosswalkError(
          'rows_too_large',
          `More than ${most} rows are too large for their topics, the last one in ${letter.table} (${of.bytes} bytes, topic ${of.topic} holds ${of.limit})`,
        );
      }
      pending.set(key, toRecord(key, Buffer.from(JSON.stringify(letter)), timestampMs));
      return letter;
    },

    /** A version of the row is in the log, or its delete: an older dead letter of it is settled. */
    settle(change: Change, topic: string, timestampMs: string): void {
      if (rows.size === 0) return;
      const key = toRecordKey(topic, toKeyText(change));
      if (rows.delete(key)) pending.set(key, toRecord(key, null, timestampMs));
    },

    /** What the transaction that ends now must also write: the last state of each row. */
    take(): readonly OutRecord[] {
      const taken = [...pending.values()];
      pending = new Map();
      return taken;
    },
  };
}

/** The keys of the rows whose last version is a dead letter. */
export async function readOpenKeys(kafka: Kafka, config: Pick<Config, 'topicPrefix'>): Promise<string[]> {
  return [...(await readOpen(kafka, config)).keys()];
}

/** Changes that are not in the log because they are too large for their topic, as long as no later version of their row is; in the order of the log. */
export async function readSourceDeadLetters(
  kafka: Kafka,
  config: Pick<Config, 'topicPrefix'>,
): Promise<SourceDeadLetter[]> {
  return [...(await readOpen(kafka, config)).values()].map((value) => JSON.parse(value.toString()) as SourceDeadLetter);
}

async function readOpen(kafka: Kafka, config: Pick<Config, 'topicPrefix'>): Promise<Map<string, Buffer>> {
  const open = new Map<string, Buffer>();
  await kafka.readAll(deadLetterTopicOf(config), ({ key, value }) => {
    if (key === null) return;
    open.delete(key.toString());
    if (value !== null) open.set(key.toString(), value);
  });
  return open;
}

function toKeyText(change: Change): string {
  const row = (change.after ?? change.before)!;
  const values = keyPositions(change.relation).map((position) => cellOf(row, position)!);
  return values.length === 1 ? values[0]! : JSON.stringify(values);
}

function toRecordKey(topic: string, keyText: string): string {
  return JSON.stringify([topic, keyText]);
}

function toRecord(key: string, value: Buffer | null, timestampMs: string): OutRecord {
  return { partition: 0, key: Buffer.from(key), value, timestampMs };
}
