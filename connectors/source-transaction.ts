import type { BeginMessage } from '../changes/pgoutput.ts';
import { CONTEXT_HEADER, parseContext, toContextBytes } from '../changes/transaction-context.ts';
import type { RecordHeaders } from '../runtime/kafka.ts';
import type { createTransactionEncoder } from '../schemas/avro/transaction.ts';
import { type Publisher, toHeaderBytes } from './publish.ts';
import { widenXid } from './snapshot/visibility.ts';

/** The current source transaction: its begin message, and what was published of it so far. */
export interface SourceTransaction extends BeginMessage {
  readonly wideXid: bigint;
  readonly xidNumber: number;
  /** Already in the log: the server sends everything since its last confirmation again. */
  readonly isKnown: boolean;
  readonly id: string;
  /** Commit time in Kafka's format, milliseconds since 1970. */
  readonly timestampMs: string;
  /** Ordinal of the next change. None is used twice or skipped, even if a change produces no event. */
  ordinal: number;
  /** Number of events: the sum of `counts`, which holds them by table. Rows of snapshots do not count. */
  total: number;
  readonly counts: Map<string, number>;
  /** Context carried by the following events, and the bytes it takes in a record. */
  context: { readonly headers: RecordHeaders; readonly bytes: number } | null;
}

/** `near`: a 64-bit xid of about the same time. Transactions that commit before `storedLsn` are in the log. */
export function toSourceTransaction(message: BeginMessage, near: bigint, storedLsn: bigint): SourceTransaction {
  const wideXid = widenXid(message.xid, near);
  return {
    ...message,
    wideXid,
    xidNumber: Number(wideXid),
    isKnown: message.finalLsn < storedLsn,
    id: `${wideXid}:${message.finalLsn}`,
    timestampMs: String(message.commitMicros / 1000n),
    ordinal: 0,
    total: 0,
    counts: new Map(),
    context: null,
  };
}

/**
 * Takes the context from an application's message. Returns false if it cannot be kept: the following events then carry
 * none, and an earlier one ends.
 */
export function takeContext(transaction: SourceTransaction, content: Buffer): boolean {
  const context = parseContext(content);
  const headers = context === null ? null : { [CONTEXT_HEADER]: toContextBytes(context) };
  transaction.context = headers === null ? null : { headers, bytes: toHeaderBytes({ headers }) };
  return headers !== null;
}

/**
 * Appends the boundaries of a transaction, as Debezium does: both after its events, since its counts are known only
 * then.
 */
export type BoundaryWriter = (transaction: SourceTransaction) => void;

export function createBoundaryWriter(
  publisher: Pick<Publisher, 'append'>,
  topic: string,
  encoder: ReturnType<typeof createTransactionEncoder>,
): BoundaryWriter {
  return ({ id, timestampMs, counts }) => {
    const commitMs = Number(timestampMs);
    const key = encoder.encodeKey(id);
    publisher.append(topic, { partition: 0, key, value: encoder.encodeBegin(id, commitMs), timestampMs });
    publisher.append(topic, { partition: 0, key, value: encoder.encodeEnd(id, commitMs, counts), timestampMs });
  };
}
