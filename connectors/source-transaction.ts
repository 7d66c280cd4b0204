import type { BeginMessage } from '../changes/pgoutput.ts';
import { CONTEXT_HEADER, parseContext, toContextBytes } from '../changes/transaction-context.ts';
import type { RecordHeaders } from '../runtime/kafka.ts';
import type { createTransactionEncoder } from '../schemas/avro/transaction.ts';
import { type Publisher, toHeaderBytes } from './publish.ts';
import { widenXid } from './snapshot/visibility.ts';

/** The source transaction at hand: what its begin says of it, and what of it has been published by now. */
export interface SourceTransaction extends BeginMessage {
  readonly wideXid: bigint;
  readonly xidNumber: number;
  /** Already in the log: the server sends everything since its last confirmation again. */
  readonly isKnown: boolean;
  readonly id: string;
  /** When it was committed, as Kafka has times. */
  readonly timestampMs: string;
  /** Of the next change: none is used twice or left out, also where a change becomes no event. */
  ordinal: number;
  /** Events of it: the sum of `counts`, which holds them by table. What is read beside the stream is none of them. */
  total: number;
  readonly counts: Map<string, number>;
  /** What the events from here on carry of who changes rows, and how many bytes of a record that takes. */
  context: { readonly headers: RecordHeaders; readonly bytes: number } | null;
}

/** `near`: a 64-bit xid of the same time. Transactions that commit before `storedLsn` are in the log. */
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

/** Takes the context that an application told by a message. False where it is none that can be kept: the events go without, and an earlier one is over. */
export function takeContext(transaction: SourceTransaction, content: Buffer): boolean {
  const context = parseContext(content);
  const headers = context === null ? null : { [CONTEXT_HEADER]: toContextBytes(context) };
  transaction.context = headers === null ? null : { headers, bytes: toHeaderBytes({ headers }) };
  return headers !== null;
}

/** Appends the boundaries of a transaction, as Debezium does: both behind its events, since its counts are known only then. */
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
