import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { toLsnText } from '../changes/lsn.ts';
import { MARK_PREFIX } from '../changes/mark.ts';
import type {
  CommitMessage,
  LogicalMessage,
  PgoutputMessage,
  RowMessage,
  TruncateMessage,
} from '../changes/pgoutput.ts';
import { CONTEXT_PREFIX } from '../changes/transaction-context.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import { createStreaming, type Flow, type Streaming } from './flow-state.ts';
import { HEARTBEAT_PREFIX } from './heartbeat.ts';
import type { Position } from './position.ts';
import { MARKER_PREFIX } from './snapshot/chunks.ts';
import type { Emission } from './snapshot/emission.ts';
import { isVisible, toCarriedSnapshot } from './snapshot/visibility.ts';
import { takeContext, toSourceTransaction } from './source-transaction.ts';
import type { ConnectorStatus } from './status.ts';

/** A Kafka transaction ends at the first source commit after this many events. */
const EVENTS_PER_TRANSACTION = 4000;

/** The flow: take → decode → encode → publish → confirm. Returns when the stream is closed. */
export async function streamChanges(flow: Flow): Promise<void> {
  const { stream, publisher, status } = flow;
  const streaming = createStreaming(flow);
  const { records, rest } = streaming;
  for (let items = await stream.take(); items !== null; items = await stream.take()) {
    records.processedMs = Date.now();
    for (const item of items) {
      if (item.kind === 'message') {
        const { message } = item;
        if (message.kind === 'insert' || message.kind === 'update' || message.kind === 'delete') {
          const passing = handleRow(streaming, message, item.lsn);
          if (passing !== null) await passing;
        } else await handle(streaming, message, item.lsn);
      } else {
        status.lastHeardMs = performance.now();
        if (streaming.open === null) streaming.reached.pass(item.lsn);
      }
      if (publisher.isFull()) {
        await sending(status, publisher.flush());
        status.lastProgressMs = performance.now();
      }
      if (streaming.open === null && publisher.count() >= EVENTS_PER_TRANSACTION) await commit(streaming);
    }
    if (!isCommitDue(streaming)) continue;
    // Changes that arrive during the rest join this Kafka transaction, which saves work.
    const restMs = rest.restMs(performance.now());
    await (restMs > 0 ? sleep(restMs) : setImmediate());
    if (!stream.hasItems()) await commit(streaming);
  }
}

/** Handles a row message, synchronously unless its table is not captured: nearly all messages are of this kind. */
function handleRow(streaming: Streaming, message: RowMessage, lsn: bigint): Promise<void> | null {
  const { tables, snapshot, records } = streaming;
  const transaction = streaming.open!;
  if (transaction.isKnown) return null;
  const table = tables.get(message.oid);
  if (table === undefined) return tables.passStranger(message.oid);
  const place = {
    commitLsn: transaction.finalLsn,
    lsn,
    ordinal: transaction.ordinal,
    xid: transaction.xidNumber,
    commitMicros: transaction.commitMicros,
  };
  for (const change of tables.toChanges(message, table, transaction, place)) {
    transaction.ordinal = change.ordinal + 1;
    snapshot.touch(change.relation, (change.after ?? change.before)!);
    records.publish(change, transaction, null);
  }
  return null;
}

async function handle(streaming: Streaming, message: Exclude<PgoutputMessage, RowMessage>, lsn: bigint): Promise<void> {
  switch (message.kind) {
    case 'begin':
      streaming.open = toSourceTransaction(message, streaming.heartbeat.snapshot().xmax, streaming.stored.lsn);
      return;
    case 'commit':
      handleCommit(streaming, message);
      return;
    case 'relation':
      await streaming.tables.describe(message, streaming.open);
      return;
    case 'truncate':
      handleTruncate(streaming, message, lsn);
      return;
    case 'message': {
      if (message.prefix === CONTEXT_PREFIX) {
        handleContext(streaming, message);
        return;
      }
      if (message.prefix === MARK_PREFIX) {
        streaming.isAwaited = true;
        return;
      }
      const emission = handleMarker(streaming, message);
      if (emission !== null) await publishReads(streaming, emission, lsn);
      return;
    }
    default:
      return;
  }
}

function handleCommit(streaming: Streaming, { endLsn }: CommitMessage): void {
  const { status, snapshot, unseen } = streaming;
  const transaction = streaming.open!;
  streaming.open = null;
  if (transaction.total > 0) {
    streaming.appendBoundaries(transaction);
    status.transactions += 1;
    streaming.hops.received(transaction.commitMicros);
  }
  // While there is nothing to read, no chunk can miss a change; a later read waits for these transactions first.
  if (snapshot.isIdle()) unseen.clear();
  else if (!transaction.isKnown) unseen.add(transaction.wideXid);
  streaming.reached.passTransaction(transaction, endLsn);
}

function handleTruncate(streaming: Streaming, { oids }: TruncateMessage, lsn: bigint): void {
  const { tables, snapshot, config } = streaming;
  const emptied = oids.flatMap((oid) => tables.get(oid)?.relation.table ?? []);
  if (emptied.length === 0 || streaming.open?.isKnown) return;
  snapshot.truncate(oids);
  if (config.onTruncate === 'stop') {
    throw new CrosswalkError('truncated', `TRUNCATE of ${emptied.join(', ')} at ${toLsnText(lsn)}`);
  }
  streaming.log.warn({ tables: emptied }, 'TRUNCATE ignored: the new rows stay until a rebuild');
}

/** Context of the following changes in the same transaction. A context outside of a transaction is ignored. */
function handleContext({ open, status, log }: Streaming, message: LogicalMessage): void {
  const { content, transactional } = message;
  if (!transactional || open === null || open.isKnown || takeContext(open, content)) return;
  status.contextsPassedOver += 1;
  if (status.contextsPassedOver === 1)
    log.warn(
      { bytes: content.length },
      `a message with the prefix ${CONTEXT_PREFIX} is no context that can be kept: docs/application.md`,
    );
}

/**
 * Handles a chunk's marker or a heartbeat, which carry a snapshot of what is visible at their place in the stream.
 * Returns the rows to emit at this place.
 */
function handleMarker({ open, unseen, snapshot }: Streaming, message: LogicalMessage): Emission | null {
  if ((message.prefix !== MARKER_PREFIX && message.prefix !== HEARTBEAT_PREFIX) || open === null) return null;
  const content = message.content.toString();
  // Only a snapshot carried in the stream may clear a transaction: a newer one can see what a chunk in flight did not.
  const carried = toCarriedSnapshot(content);
  if (carried !== null) for (const xid of unseen) if (isVisible(xid, carried)) unseen.delete(xid);
  if (message.prefix !== MARKER_PREFIX) return null;
  return snapshot.marker(content.split(' ')[0]!, [...unseen]);
}

async function publishReads(streaming: Streaming, { relation, reads }: Emission, lsn: bigint): Promise<void> {
  const { tables, records, publisher, status } = streaming;
  const transaction = streaming.open!;
  tables.tellRead(relation);
  for (const [ordinal, read] of reads.entries()) {
    const { cells, isMissing, tooLarge } = read;
    records.publish(
      {
        relation,
        ...(isMissing ? { op: 'd', before: cells, after: null } : { op: 'r', before: null, after: cells }),
        ...(tooLarge === undefined ? {} : { tooLarge }),
        commitLsn: transaction.finalLsn,
        lsn,
        ordinal,
        xid: null,
        commitMicros: transaction.commitMicros,
      },
      transaction,
      read,
    );
    if (publisher.isFull()) await sending(status, publisher.flush());
  }
}

/** Whether to commit now: nothing more is queued, and something must be stored. */
function isCommitDue({ open, stream, publisher, deadLetters, isAwaited, heartbeat, reached }: Streaming): boolean {
  if (open !== null || stream.hasItems()) return false;
  const isWaiting = publisher.count() > 0 || deadLetters.count() > 0;
  return isWaiting || ((isAwaited || heartbeat.isDue()) && reached.isAhead());
}

/**
 * Commits the Kafka transaction with the position it reaches, and only then confirms that position to the server:
 * confirming earlier would make a loss in between permanent.
 */
async function commit(streaming: Streaming): Promise<void> {
  const { status, stream, publisher, deadLetters, heartbeat, reached } = streaming;
  const startMs = performance.now();
  const last = { topic: deadLetters.topic, records: deadLetters.take() };
  const position = await sending(status, publisher.commit(toPosition(streaming), last));
  const endMs = performance.now();
  streaming.rest.sent(startMs, endMs);
  streaming.hops.committed(startMs, endMs);
  reached.written(position.lsn);
  await reach?.('acknowledge.before');
  stream.confirm(position.lsn);
  await reach?.('acknowledge.after');
  heartbeat.written();
  streaming.isAwaited = false;
  status.lsn = position.lsn;
  status.sourceMicros = position.sourceMicros;
  status.snapshot = position.snapshot;
  status.signals = position.signals;
  status.kafkaTransactions += 1;
  status.deadLettersOpen = deadLetters.open();
  status.lastProgressMs = performance.now();
}

/** The current position. */
function toPosition({ reached, snapshot, tables, heartbeat, unseen }: Streaming): Omit<Position, 'offsets'> {
  const position = reached.position();
  // As of the last check of the source; the next session compares the source with it.
  const source = heartbeat.fingerprint();
  return {
    ...position,
    ...snapshot.state(),
    ...tables.state(position.lsn),
    ...(source === undefined ? {} : { source }),
    unseenXids: [...unseen].map(String),
  };
}

/** Tracks a pending Kafka request. Until it completes, the stream is not read and the server retains the changes. */
async function sending<T>(status: ConnectorStatus, work: Promise<T>): Promise<T> {
  status.sendingSinceMs = performance.now();
  try {
    return await work;
  } finally {
    status.sendingSinceMs = null;
  }
}
