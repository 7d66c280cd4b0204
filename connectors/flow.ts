import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Change } from '../changes/change.ts';
import { toLsnText } from '../changes/lsn.ts';
import type { BeginMessage, PgoutputMessage, RowMessage } from '../changes/pgoutput.ts';
import { isWithin, toBytes, toLeastBytes } from '../changes/row-bytes.ts';
import { type Config, transactionTopicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import { type HopTrace, msSince } from '../runtime/hop-trace.ts';
import type { OutRecord, RecordHeaders } from '../runtime/kafka.ts';
import type { Log } from '../runtime/log.ts';
import type { AvroWriter } from '../schemas/avro/avro-writer.ts';
import type { ValueContext } from '../schemas/avro/encode.ts';
import type { Registry } from '../schemas/avro/registry.ts';
import type { createTransactionEncoder } from '../schemas/avro/transaction.ts';
import { isAncestorOf, isPartitionOf, isUnchanged, readTypeNames } from './catalog.ts';
import type { SourceDeadLetters } from './dead-letters.ts';
import { type Captured, register } from './encoders.ts';
import { HEARTBEAT_PREFIX, type Heartbeat } from './heartbeat.ts';
import { createPace } from './pace.ts';
import { partitionOf } from './partition.ts';
import type { Binding, Position } from './position.ts';
import { type Publisher, toHeaderBytes } from './publish.ts';
import type { ReplicationStream } from './replication.ts';
import { createResentCheck } from './resent.ts';
import { MARKER_PREFIX } from './snapshot/chunks.ts';
import type { createSnapshot, Emission, Read } from './snapshot/snapshot.ts';
import { isVisible, toCarriedSnapshot, widenXid } from './snapshot/visibility.ts';
import { assertRequirements } from './source-requirements.ts';
import { captureOf, readSource } from './source-state.ts';
import type { ConnectorStatus } from './status.ts';
import { createStreamedTables } from './streamed-tables.ts';

/** A Kafka transaction ends at the first source commit after so many events. */
const EVENTS_PER_TRANSACTION = 4000;

/** What the flow works with: one session's stream, publisher and snapshot. */
export interface Flow {
  readonly config: Config;
  readonly status: ConnectorStatus;
  readonly log: Log;
  readonly control: pg.ClientBase;
  readonly stream: ReplicationStream;
  readonly publisher: Publisher;
  readonly deadLetters: SourceDeadLetters;
  readonly snapshot: ReturnType<typeof createSnapshot>;
  readonly heartbeat: Heartbeat;
  readonly registry: Registry;
  /** What events are written by. */
  readonly writer: AvroWriter;
  readonly bound: Binding;
  readonly stored: Position;
  /** The tables as the catalog described them at the start: what chunks are read and written with. */
  readonly loaded: ReadonlyMap<number, Captured>;
  readonly boundaries: ReturnType<typeof createTransactionEncoder>;
  readonly trace: HopTrace | null;
}

/** The source transaction at hand. */
interface SourceTransaction extends BeginMessage {
  readonly wideXid: bigint;
  readonly xidNumber: number;
  /** Already in the log: the server sends everything since its last confirmation again. */
  readonly isKnown: boolean;
  readonly id: string;
  /** When it was committed, as Kafka has times. */
  readonly timestampMs: string;
  ordinal: number;
  total: number;
  readonly counts: Map<string, number>;
}

/** The flow: take → decode → encode → publish → confirm. Returns when the stream is closed. */
export async function streamChanges(flow: Flow): Promise<void> {
  const { config, status, stream, publisher, deadLetters, snapshot, heartbeat, loaded, stored } = flow;
  const transactionTopic = transactionTopicOf(config);
  const unseen = new Set(stored.unseenXids.map(BigInt));
  const { reread: _, ...start } = stored;
  let reached: Omit<Position, 'offsets'> = start;
  const resent = createResentCheck(stored);
  const pace = createPace();
  let written = stored.lsn;
  let open: SourceTransaction | null = null;
  let processedMs = Date.now();
  const capture = captureOf(config);
  const tables = createStreamedTables({
    loaded,
    stored,
    readTypeNames: (oids) => readTypeNames(flow.control, oids),
    register: (relation) => register(relation, flow.registry, config, flow.bound.database, flow.writer),
    // Chunks are read with the columns of the session's start. The stream may describe older ones: those pass.
    onChange: async ({ table }, then) => {
      if (snapshot.isIdle() || (await isUnchanged(flow.control, then, capture))) return;
      throw new CrosswalkError('columns_changed', `The columns of ${table} changed while a snapshot is read`);
    },
    isRead: (table) => snapshot.state().snapshot[table] !== undefined,
    isPartition: async (of, oid) =>
      heartbeat.fingerprint()?.tables[of.table]?.partitions?.[oid] !== undefined ||
      (await isPartitionOf(flow.control, of.oid, oid)),
    assertNoAncestor: async (oid) => {
      if (!(await isAncestorOf(flow.control, oid, [...loaded.keys()]))) return;
      assertRequirements(await readSource(flow.control, capture), capture, true);
    },
    log: flow.log,
    onPassedOver: () => {
      status.passedOver += 1;
    },
  });

  /** `read`: what is not streamed, but read from its table. */
  const publish = (change: Change, transaction: SourceTransaction, read: Read | null) => {
    const isRead = read !== null;
    const { relation, topic, collection, encoder } = (isRead ? loaded : tables).get(change.relation.oid)!;
    const order = (transaction.counts.get(collection) ?? 0) + 1;
    const key = encoder.encodeKey(change)!;
    const partition = partitionOf(key, config.partitions);
    const { timestampMs } = transaction;
    const limit = publisher.limitOf(topic) - (read === null ? 0 : toHeaderBytes(read));
    const bury = (bytes: number) => {
      const { table, commitLsn } = deadLetters.add(change, { topic, bytes, limit }, timestampMs);
      flow.log.error({ table, commitLsn, bytes, limit }, 'a row is too large for its topic: see `crosswalk dlq list`');
      status.deadLetters += 1;
    };
    // Encoded it would take several times its size in memory, and some of it may not even have been read.
    const { before, after } = change;
    if (change.tooLarge !== undefined) return bury(change.tooLarge);
    const leastBytes = after === null || isWithin(after, limit) ? 0 : toLeastBytes(relation, after);
    if (leastBytes > limit) return bury(toBytes(relation, after!));
    const context: ValueContext = {
      timeline: flow.bound.timeline,
      snapshot: isRead ? 'incremental' : 'false',
      transaction: isRead
        ? null
        : { id: transaction.id, totalOrder: transaction.total + 1, dataCollectionOrder: order },
      processedMs,
    };
    // Where only the key is known there is no old row to tell.
    const isWhole = read?.isMissing !== true && change.isKeyOnly !== true;
    const isSmall = before === null || isWithin(before, limit) || leastBytes + toLeastBytes(relation, before) <= limit;
    let value = encoder.encodeValue(isWhole && isSmall ? change : { ...change, before: null }, context);
    // The old row doubles the size, and nothing but its reader needs it: a change without it is better than none.
    if (key.length + value.length > limit && before !== null)
      value = encoder.encodeValue({ ...change, before: null }, context);
    const bytes = key.length + value.length;
    if (bytes > limit) return bury(bytes);
    deadLetters.settle(change, topic, timestampMs);
    if (!isRead) {
      transaction.counts.set(collection, order);
      transaction.total += 1;
    }
    const headers = read?.headers;
    publisher.append(topic, toRecord(partition, key, value, timestampMs, headers));
    if (change.op === 'd') publisher.append(topic, toRecord(partition, key, null, timestampMs, headers));
    status.events += 1;
  };

  const publishReads = async (emission: Emission, transaction: SourceTransaction, lsn: bigint) => {
    const { relation } = emission;
    tables.tellRead(relation);
    for (const [ordinal, read] of emission.reads.entries()) {
      const { cells, isMissing, tooLarge } = read;
      publish(
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
      if (publisher.isFull()) await flush();
    }
  };

  /** Kafka is asked for something: until it answers the stream is left unread, and the server keeps what it has. */
  const sending = async <T>(work: Promise<T>): Promise<T> => {
    status.sendingSinceMs = performance.now();
    try {
      return await work;
    } finally {
      status.sendingSinceMs = null;
    }
  };

  const flush = () => sending(publisher.flush());

  /** Monotonic milliseconds at which the transactions came that are not in Kafka yet; where it is traced. */
  const received: number[] = [];

  const commit = async () => {
    const startMs = performance.now();
    const last = { topic: deadLetters.topic, records: deadLetters.take() };
    const position = await sending(
      publisher.commit(
        {
          ...reached,
          ...snapshot.state(),
          ...tables.state(reached.lsn),
          ...toSource(heartbeat),
          unseenXids: [...unseen].map(String),
        },
        last,
      ),
    );
    const endMs = performance.now();
    pace.sent(startMs, endMs);
    if (flow.trace !== null) {
      flow.trace.add('sent and committed in Kafka', endMs - startMs);
      for (const ms of received.splice(0)) flow.trace.add('received to committed in Kafka', endMs - ms);
    }
    written = position.lsn;
    await reach?.('acknowledge.before');
    stream.confirm(position.lsn);
    await reach?.('acknowledge.after');
    heartbeat.written();
    status.lsn = position.lsn;
    status.sourceMicros = position.sourceMicros;
    status.snapshot = position.snapshot;
    status.signals = position.signals;
    status.kafkaTransactions += 1;
    status.deadLettersOpen = deadLetters.open();
    status.lastProgressMs = performance.now();
  };

  /** Nearly all messages are of rows, and nothing of one is waited for, unless its table is not captured. */
  const handleRow = (message: RowMessage, lsn: bigint): Promise<void> | null => {
    const transaction = open!;
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
      publish(change, transaction, null);
    }
    return null;
  };

  const handle = async (message: Exclude<PgoutputMessage, RowMessage>, lsn: bigint): Promise<void> => {
    switch (message.kind) {
      case 'begin': {
        const wideXid = widenXid(message.xid, heartbeat.snapshot().xmax);
        open = {
          ...message,
          wideXid,
          xidNumber: Number(wideXid),
          isKnown: message.finalLsn < stored.lsn,
          id: `${wideXid}:${message.finalLsn}`,
          timestampMs: String(message.commitMicros / 1000n),
          ordinal: 0,
          total: 0,
          counts: new Map(),
        };
        return;
      }
      case 'commit': {
        const transaction = open!;
        open = null;
        if (transaction.total > 0) {
          const { timestampMs } = transaction;
          const commitMs = Number(timestampMs);
          const key = flow.boundaries.encodeKey(transaction.id);
          publisher.append(transactionTopic, {
            partition: 0,
            key,
            value: flow.boundaries.encodeBegin(transaction.id, commitMs),
            timestampMs,
          });
          publisher.append(transactionTopic, {
            partition: 0,
            key,
            value: flow.boundaries.encodeEnd(transaction.id, commitMs, transaction.counts),
            timestampMs,
          });
          status.transactions += 1;
          if (flow.trace !== null) {
            flow.trace.add('commit in the source to received', msSince(transaction.commitMicros));
            received.push(performance.now());
          }
        }
        // Where nothing is to be read no chunk can miss a change; one that is read later waits for these transactions first.
        if (snapshot.isIdle()) unseen.clear();
        else if (!transaction.isKnown) unseen.add(transaction.wideXid);
        if (transaction.isKnown) resent.pass(transaction.id);
        if (message.endLsn > reached.lsn) {
          resent.settle();
          const { commitMicros: sourceMicros, id: last } = transaction;
          reached = { ...reached, lsn: message.endLsn, sourceMicros, last };
        }
        return;
      }
      case 'relation':
        await tables.describe(message, open);
        return;
      case 'truncate': {
        const emptied = message.oids.flatMap((oid) => tables.get(oid)?.relation.table ?? []);
        if (emptied.length === 0 || open?.isKnown) return;
        snapshot.truncate(message.oids);
        if (config.onTruncate === 'stop') {
          throw new CrosswalkError('truncated', `TRUNCATE of ${emptied.join(', ')} at ${toLsnText(lsn)}`);
        }
        flow.log.warn({ tables: emptied }, 'TRUNCATE ignored: the new rows stay until a rebuild');
        return;
      }
      case 'message': {
        if ((message.prefix !== MARKER_PREFIX && message.prefix !== HEARTBEAT_PREFIX) || open === null) return;
        const content = message.content.toString();
        // Only a snapshot that has its place in the stream may clear a transaction: a newer one can see what a chunk in flight did not.
        const carried = toCarriedSnapshot(content);
        if (carried !== null) for (const xid of unseen) if (isVisible(xid, carried)) unseen.delete(xid);
        if (message.prefix !== MARKER_PREFIX) return;
        const emission = snapshot.marker(content.split(' ')[0]!, [...unseen]);
        if (emission !== null) await publishReads(emission, open, lsn);
        return;
      }
      default:
        return;
    }
  };

  for (let items = await stream.take(); items !== null; items = await stream.take()) {
    processedMs = Date.now();
    for (const item of items) {
      if (item.kind === 'message') {
        const { message } = item;
        if (message.kind === 'insert' || message.kind === 'update' || message.kind === 'delete') {
          const passing = handleRow(message, item.lsn);
          if (passing !== null) await passing;
        } else await handle(message, item.lsn);
      } else {
        status.lastHeardMs = performance.now();
        if (open === null && item.lsn > reached.lsn) {
          resent.settle();
          reached = { ...reached, lsn: item.lsn };
        }
      }
      if (publisher.isFull()) {
        await flush();
        status.lastProgressMs = performance.now();
      }
      if (open === null && publisher.count() >= EVENTS_PER_TRANSACTION) await commit();
    }
    const isWaiting = publisher.count() > 0 || deadLetters.count() > 0;
    if (open !== null || stream.hasItems() || !(isWaiting || (heartbeat.isDue() && reached.lsn > written))) continue;
    // What arrives meanwhile comes along. Nothing is lost by it, and less is spent.
    const restMs = pace.restMs(performance.now());
    await (restMs > 0 ? sleep(restMs) : setImmediate());
    if (!stream.hasItems()) await commit();
  }
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

/** The source as of the last look at it: what the next session compares it with. */
function toSource(heartbeat: Heartbeat): Pick<Position, 'source'> {
  const source = heartbeat.fingerprint();
  return source === undefined ? {} : { source };
}
