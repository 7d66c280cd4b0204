import type { BeginMessage } from '../changes/pgoutput.ts';
import type { createTransactionEncoder } from '../schemas/avro/transaction.ts';
import type { Publisher } from './publish.ts';
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
  };
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
