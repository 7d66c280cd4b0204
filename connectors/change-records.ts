import type { Change } from '../changes/change.ts';
import { isWithin, toBytes, toLeastBytes } from '../changes/row-bytes.ts';
import type { OutRecord, RecordHeaders } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import type { ValueContext } from '../schemas/avro/encode.ts';
import type { SourceDeadLetters } from './dead-letters.ts';
import type { Captured } from './encoders.ts';
import { partitionOf } from './partition.ts';
import { type Publisher, toHeaderBytes } from './publish.ts';
import type { Read } from './snapshot/emission.ts';
import type { SourceTransaction } from './source-transaction.ts';
import type { ConnectorStatus } from './status.ts';

export interface ChangeRecordsOptions {
  readonly publisher: Pick<Publisher, 'append' | 'limitOf'>;
  readonly deadLetters: Pick<SourceDeadLetters, 'add' | 'settle'>;
  /** Encoders for changes of the stream. */
  readonly tables: { get(oid: number): Captured | undefined };
  /** Encoders for rows read by snapshots: the tables as of the start of the session. */
  readonly loaded: ReadonlyMap<number, Captured>;
  readonly partitions: number;
  readonly timeline: number;
  readonly status: ConnectorStatus;
  readonly log: Log;
}

/**
 * Turns changes into records. Each change becomes either an event in the log (a delete also gets a tombstone), which
 * settles an older dead letter of its row and counts in its transaction, or, if its topic cannot hold it, a dead
 * letter, which does not count.
 */
export class ChangeRecords {
  /** When the current changes were taken from the stream, milliseconds since 1970. */
  processedMs = Date.now();
  readonly #options: ChangeRecordsOptions;

  constructor(options: ChangeRecordsOptions) {
    this.#options = options;
  }

  /** `read`: the row read from its table; null for a streamed change. */
  publish(change: Change, transaction: SourceTransaction, read: Read | null): void {
    const { publisher, deadLetters, tables, loaded, partitions, status } = this.#options;
    const isRead = read !== null;
    const captured = (isRead ? loaded : tables).get(change.relation.oid)!;
    const { topic, collection, encoder } = captured;
    const order = (transaction.counts.get(collection) ?? 0) + 1;
    const key = encoder.encodeKey(change)!;
    const partition = partitionOf(key, partitions);
    const { timestampMs } = transaction;
    const limit = publisher.limitOf(topic) - (read === null ? 0 : toHeaderBytes(read));
    const context: ValueContext = {
      timeline: this.#options.timeline,
      snapshot: isRead ? 'incremental' : 'false',
      transaction: isRead
        ? null
        : { id: transaction.id, totalOrder: transaction.total + 1, dataCollectionOrder: order },
      processedMs: this.processedMs,
    };
    // If only the key is known, there is no old row to publish.
    const isWhole = read?.isMissing !== true && change.isKeyOnly !== true;
    const value = encodeWithin(limit, key.length, captured, change, context, isWhole);
    if (typeof value === 'number') {
      this.#bury(change, { topic, bytes: value, limit }, timestampMs);
      return;
    }
    deadLetters.settle(change, topic, timestampMs);
    if (!isRead) {
      transaction.counts.set(collection, order);
      transaction.total += 1;
    }
    // A row that fits is published, without the context if that does not fit.
    const { context: told } = transaction;
    const hasRoom = told !== null && key.length + value.length + told.bytes <= limit;
    const headers = isRead ? read.headers : hasRoom ? told.headers : undefined;
    publisher.append(topic, toRecord(partition, key, value, timestampMs, headers));
    if (change.op === 'd') publisher.append(topic, toRecord(partition, key, null, timestampMs, headers));
    status.events += 1;
  }

  #bury(change: Change, size: { topic: string; bytes: number; limit: number }, timestampMs: string): void {
    const { deadLetters, log, status } = this.#options;
    const { bytes, limit } = size;
    const { table, commitLsn } = deadLetters.add(change, size, timestampMs);
    log.error({ table, commitLsn, bytes, limit }, 'a row is too large for its topic: see `crosswalk dlq list`');
    status.deadLetters += 1;
  }
}

/**
 * The value of a record that takes at most `limit` bytes including its key. Returns the byte count instead if the
 * change does not fit even without its old row.
 */
function encodeWithin(
  limit: number,
  keyBytes: number,
  { relation, encoder }: Captured,
  change: Change,
  context: ValueContext,
  isWhole: boolean,
): Buffer | number {
  // Encoding it would take several times its size in memory, and parts of it may not even have been read.
  const { before, after } = change;
  if (change.tooLarge !== undefined) return change.tooLarge;
  const leastBytes = after === null || isWithin(after, limit) ? 0 : toLeastBytes(relation, after);
  if (leastBytes > limit) return toBytes(relation, after!);
  const isSmall = before === null || isWithin(before, limit) || leastBytes + toLeastBytes(relation, before) <= limit;
  let value = encoder.encodeValue(isWhole && isSmall ? change : { ...change, before: null }, context);
  // The old row doubles the size, and only readers of it need it: a change without it is better than none.
  if (keyBytes + value.length > limit && before !== null)
    value = encoder.encodeValue({ ...change, before: null }, context);
  const bytes = keyBytes + value.length;
  return bytes > limit ? bytes : value;
}

function toRecord(
  partition: number,
  key: Buffer,
  value: Buffer | null,
  timestampMs: string,
  headers: RecordHeaders | undefined,
): OutRecord {
  return headers === undefined
    ? { partition, key, value, timestampMs }
    : { partition, key, value, timestampMs, headers };
}
