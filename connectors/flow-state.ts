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

/** What the flow works with: one session's stream, publisher and snapshot. */
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
  /** What events are written by. */
  readonly writer: AvroWriter;
  readonly bound: Binding;
  readonly stored: Position;
  /** The tables as the catalog described them at the start: what chunks are read and written with. */
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
  /** Xids of transactions that were delivered and not seen visible: a chunk that does not see one of them must not be trusted. Nothing is kept while nothing is to be read. */
  readonly unseen: Set<bigint>;
  readonly rest: TransactionRest;
  readonly hops: FlowTrace;
  /** Null between two transactions: a Kafka transaction ends only there, so that each is published all or none. */
  open: SourceTransaction | null;
}

/** A flow that goes on from the stored position. */
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
    // Chunks are read with the columns of the session's start. The stream may describe older ones: those pass.
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
