import { type Change, cellOf, keyPositions } from '../changes/change.ts';
import { toLsnText } from '../changes/lsn.ts';
import { type Config, deadLetterTopicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Kafka, OutRecord } from '../runtime/kafka.ts';

/**
 * A change that is not in the log because it is too large for its topic. Never holds a cell outside of the primary key.
 */
export interface SourceDeadLetter {
  readonly topic: string;
  /** `schema.table` in the legacy database. */
  readonly table: string;
  /** The row's key: PostgreSQL's text of a single key column, or a JSON array of several. */
  readonly key: string;
  readonly op: 'c' | 'u' | 'r';
  readonly commitLsn: string;
  readonly ordinal: number;
  /** Null for a row read by the initial load. */
  readonly xid: string | null;
  /** Size of the record, and the limit of its topic. */
  readonly bytes: number;
  readonly limit: number;
  /** Microseconds since 1970. */
  readonly committedMicros: string;
}

/**
 * Maximum number of rows without a current version in the log. They are kept in memory, and each is missing or stale in
 * the new schema.
 */
const MOST_OPEN = 10_000;

export type SourceDeadLetters = ReturnType<typeof createSourceDeadLetters>;

/**
 * The rows whose last version is a dead letter, and the changes of the open transaction to this set. `open`: keys of
 * the stored records.
 */
export function createSourceDeadLetters(open: Iterable<string>, topic: string, most: number = MOST_OPEN) {
  const rows = new Set(open);
  let pending = new Map<string, OutRecord>();
  return {
    topic,
    open: () => rows.size,
    /** Records waiting for the commit. */
    count: () => pending.size,

    /** Adds a change that is too large for its topic. Throws `rows_too_large` if too many rows are open. */
    add(change: Change, of: { topic: string; bytes: number; limit: number }, timestampMs: string): SourceDeadLetter {
      const { relation, op, xid } = change;
      const letter: SourceDeadLetter = {
        topic: of.topic,
        table: `${relation.schema}.${relation.table}`,
        key: toKeyText(change),
        // A delete without its old row always fits.
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

    /** A version of the row, or its delete, is in the log: settles an older dead letter of it. */
    settle(change: Change, topic: string, timestampMs: string): void {
      if (rows.size === 0) return;
      const key = toRecordKey(topic, toKeyText(change));
      if (rows.delete(key)) pending.set(key, toRecord(key, null, timestampMs));
    },

    /** Records that the transaction being committed must include: the last state of each row. */
    take(): readonly OutRecord[] {
      const taken = [...pending.values()];
      pending = new Map();
      return taken;
    },
  };
}

/** Keys of the rows whose last version is a dead letter. */
export async function readOpenKeys(kafka: Kafka, config: Pick<Config, 'topicPrefix'>): Promise<string[]> {
  return [...(await readOpen(kafka, config)).keys()];
}

/**
 * Changes that are not in the log because they are too large for their topic, unless a later version of their row is;
 * in log order.
 */
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
