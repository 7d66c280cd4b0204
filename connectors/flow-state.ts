import type pg from 'pg';
import { type Config, transactionTopicOf } from '../runtime/config.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { HopTrace } from '../runtime/hop-trace.ts';
import type { Log } from '../runtime/log.ts';
import type { AvroWriter } from '../schemas/avro/avro-writer.ts';
import type { Registry } from '../schemas/avro/registry.ts';
import type { createTransactionEncoder } from '../schemas/avro/transaction.ts';
import { isAncestorOf, isPartitionOf, isUnchanged, readTypeNames } from './catalog.ts';
import { ChangeRecords } from './change-records.ts';
import type { SourceDeadLetters } from './dead-letters.ts';
import { type Captured, register } from './encoders.ts';
import { createFlowTrace, type FlowTrace } from './flow-trace.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { Binding, Position } from './position.ts';
import type { Publisher } from './publish.ts';
import { createReached, type Reached } from './reached.ts';
import type { ReplicationStream } from './replication.ts';
import type { Snapshot } from './snapshot/snapshot.ts';
import { assertRequirements } from './source-requirements.ts';
import { captureOf, readSource } from './source-state.ts';
import { type BoundaryWriter, createBoundaryWriter, type SourceTransaction } from './source-transaction.ts';
import type { ConnectorStatus } from './status.ts';
import { createStreamedTables, type StreamedTables } from './streamed-tables.ts';
import { createTransactionRest, type TransactionRest } from './transaction-rest.ts';

/** What the flow works with: stream, publisher and snapshot of one session. */
export interface Flow {
  readonly config: Config;
  readonly status: ConnectorStatus;
  readonly log: Log;
  readonly control: pg.ClientBase;
  readonly stream: ReplicationStream;
  readonly publisher: Publisher;
  readonly deadLetters: SourceDeadLetters;
  readonly snapshot: Snapshot;
  readonly heartbeat: Heartbeat;
  readonly registry: Registry;
  /** Writer for events. */
  readonly writer: AvroWriter;
  readonly bound: Binding;
  readonly stored: Position;
  /** The tables as the catalog described them at the start; chunks are read and written with these. */
  readonly loaded: ReadonlyMap<number, Captured>;
  readonly boundaries: ReturnType<typeof createTransactionEncoder>;
  readonly trace: HopTrace | null;
}

/** The flow while it streams. */
export interface Streaming extends Flow {
  /** The captured tables as the stream describes them. */
  readonly tables: StreamedTables;
  readonly records: ChangeRecords;
  readonly appendBoundaries: BoundaryWriter;
  readonly reached: Reached;
  /**
   * Xids of transactions that were delivered but not yet seen visible: a chunk whose snapshot does not see one of them
   * must not be trusted. Empty while there is nothing to read.
   */
  readonly unseen: Set<bigint>;
  readonly rest: TransactionRest;
  readonly hops: FlowTrace;
  /**
   * Null between transactions. A Kafka transaction ends only there, so source transactions are published atomically.
   */
  open: SourceTransaction | null;
  /** A mark was handled since the last commit: somebody waits for the position. */
  isAwaited: boolean;
}

/** A flow that starts from the stored position. */
export function createStreaming(flow: Flow): Streaming {
  const { config, publisher, deadLetters, status, log, stored, loaded } = flow;
  const tables = createTables(flow);
  const { partitions } = config;
  const { timeline } = flow.bound;
  return {
    ...flow,
    tables,
    records: new ChangeRecords({ publisher, deadLetters, tables, loaded, partitions, timeline, status, log }),
    appendBoundaries: createBoundaryWriter(publisher, transactionTopicOf(config), flow.boundaries),
    reached: createReached(stored),
    unseen: new Set(stored.unseenXids.map(BigInt)),
    rest: createTransactionRest(),
    hops: createFlowTrace(flow.trace),
    open: null,
    isAwaited: false,
  };
}

function createTables(flow: Flow): StreamedTables {
  const { config, control, snapshot, heartbeat, loaded, stored, status, log } = flow;
  const capture = captureOf(config);
  return createStreamedTables({
    loaded,
    stored,
    readTypeNames: (oids) => readTypeNames(control, oids),
    register: (relation) => register(relation, flow.registry, config, flow.bound.database, flow.writer),
    // Chunks are read with the columns as of the session's start. The stream may describe older ones; these pass.
    onChange: async ({ table }, then) => {
      if (snapshot.isIdle() || (await isUnchanged(control, then, capture))) return;
      throw new CrosswalkError('columns_changed', `The columns of ${table} changed while a snapshot is read`);
    },
    isRead: (table) => snapshot.state().snapshot[table] !== undefined,
    isPartition: async (of, oid) =>
      heartbeat.fingerprint()?.tables[of.table]?.partitions?.[oid] !== undefined ||
      (await isPartitionOf(control, of.oid, oid)),
    assertNoAncestor: async (oid) => {
      if (!(await isAncestorOf(control, oid, [...loaded.keys()]))) return;
      assertRequirements(await readSource(control, capture), capture, true);
    },
    log,
    onPassedOver: () => {
      status.passedOver += 1;
    },
  });
}
