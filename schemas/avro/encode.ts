import { type Cells, type Change, type Column, keyPositions, type Relation } from '../../connectors/change.ts';
import { AvroWriter } from './avro-writer.ts';
import { toColumnType } from './column-type.ts';
import { HEADER_BYTES } from './wire.ts';

/** Debezium's `source.snapshot`; chunk reads are `incremental`, streamed changes `false`. */
export type SnapshotFlag = 'true' | 'first' | 'last' | 'false' | 'incremental';

/** Debezium's transaction block; both orders count from 1. */
export type TransactionBlock = { id: string; totalOrder: number; dataCollectionOrder: number };

/** What a value tells beyond its change. `processedMs`: when the connector handled it, milliseconds since 1970. */
export type ValueContext = {
  timeline: number;
  snapshot: SnapshotFlag;
  transaction: TransactionBlock | null;
  processedMs: number;
};

export type EncoderOptions = {
  topic: string;
  /** Ids of the registered schemas; `key` is null for a table without primary key. */
  ids: { key: number | null; value: number };
  /** The topics' prefix: Debezium's logical server name. */
  serverName: string;
  databaseName: string;
  connectorVersion: string;
};

export type Encoder = {
  /** The key of the row a change is about, null for a table without primary key. */
  encodeKey(change: Change): Buffer | null;
  encodeValue(change: Change, context: ValueContext): Buffer;
};

/**
 * Encodes the changes of one relation in Confluent's wire format. The buffers are views of shared slabs, never
 * written to again. A delete's tombstone is the caller's.
 * Throws, naming table and column but never the value, when a cell does not fit its type.
 */
export function createEncoder(relation: Relation, options: EncoderOptions): Encoder {
  const { schema, table } = relation;
  const { databaseName, ids } = options;
  const writers = relation.columns.map((column) => toColumnType(column.typeOid).write);
  const keys = keyPositions(relation);
  const toTimes = createTimes();
  const identity = toAvroTexts(options.connectorVersion, 'postgresql', options.serverName);
  const place = toAvroTexts(schema, table);
  if (keys.length > 0 && ids.key === null) {
    throw new Error(`${schema}.${table}: the key's schema has no id; register it first`);
  }

  function writeRow(cells: Cells | null): void {
    if (cells === null) {
      writer.branch(0);
      return;
    }
    writer.branch(1);
    for (let index = 0; index < writers.length; index++) {
      const cell = cells[index]!;
      if (cell === null) writer.branch(0);
      else {
        writer.branch(1);
        writers[index]!(writer, cell);
      }
    }
  }

  function writeSource(change: Change, context: ValueContext, times: Times): void {
    writer.raw(identity);
    writer.long(times.ms);
    writer.branch(0);
    writer.text(context.snapshot);
    writer.text(databaseName);
    writer.branch(1);
    writer.text(`["${change.commitLsn}","${change.lsn}"]`);
    writer.branch(1);
    writer.long(times.us);
    writer.branch(1);
    writer.bigLong(times.ns);
    writer.raw(place);
    if (change.xid === null) writer.branch(0);
    else {
      writer.branch(1);
      writer.long(change.xid);
    }
    writer.branch(1);
    writer.bigLong(change.lsn);
    writer.branch(0); // xmin
    writer.long(context.timeline);
    writer.bigLong(change.commitLsn);
    writer.long(change.ordinal);
  }

  return {
    encodeKey(change) {
      const cells = change.after ?? change.before;
      if (ids.key === null || cells === null || keys.length === 0) return null;
      try {
        writer.begin(ids.key);
        for (const position of keys) writers[position]!(writer, cells[position]!);
        return writer.finish();
      } catch {
        throw misfit(relation, change);
      }
    },

    encodeValue(change, context) {
      const { source, processed } = toTimes(change.commitMicros, context.processedMs);
      const { transaction } = context;
      try {
        writer.begin(ids.value);
        writeRow(change.before);
        writeRow(change.after);
        writeSource(change, context, source);
        if (transaction === null) writer.branch(0);
        else {
          writer.branch(1);
          writer.text(transaction.id);
          writer.long(transaction.totalOrder);
          writer.long(transaction.dataCollectionOrder);
        }
        writer.text(change.op);
        writer.branch(1);
        writer.long(processed.ms);
        writer.branch(1);
        writer.long(processed.us);
        writer.branch(1);
        writer.bigLong(processed.ns);
        return writer.finish();
      } catch {
        // The error at hand could carry the value.
        throw misfit(relation, change);
      }
    },
  };
}

/** One for all relations, so that many tables do not hold a slab each. */
const writer = new AvroWriter();

function toAvroTexts(...texts: string[]): Uint8Array {
  const own = new AvroWriter();
  own.begin(0);
  for (const text of texts) own.text(text);
  return Uint8Array.from(own.finish().subarray(HEADER_BYTES));
}

type Times = { ms: number; us: number; ns: bigint };

/** Commit times repeat over a transaction and processing times over a batch, so the last ones are kept. */
function createTimes(): (commitMicros: bigint, processedMs: number) => { source: Times; processed: Times } {
  let lastMicros: bigint | null = null;
  let lastMs = Number.NaN;
  let source: Times = { ms: 0, us: 0, ns: 0n };
  let processed: Times = source;
  return (commitMicros, processedMs) => {
    if (commitMicros !== lastMicros) {
      lastMicros = commitMicros;
      const us = Number(commitMicros);
      source = { ms: Math.floor(us / 1000), us, ns: commitMicros * 1000n };
    }
    if (processedMs !== lastMs) {
      lastMs = processedMs;
      processed = { ms: processedMs, us: processedMs * 1000, ns: BigInt(processedMs) * 1_000_000n };
    }
    return { source, processed };
  };
}

function misfit(relation: Relation, change: Change): Error {
  const name = `${relation.schema}.${relation.table}`;
  for (const cells of [change.before, change.after]) {
    const column = relation.columns.find((column, index) => !fits(column, cells?.[index]));
    if (column === undefined) continue;
    return new Error(
      `${name}: a value of "${column.name}" is not PostgreSQL's text of ${column.typeName}; check the connection's output settings`,
    );
  }
  return new Error(`${name}: a change does not fit the table's Avro schema; check its key columns and its positions`);
}

function fits(column: Column, cell: string | null | undefined): boolean {
  if (cell === null || cell === undefined) return true;
  try {
    toColumnType(column.typeOid).write(new AvroWriter(), cell);
    return true;
  } catch {
    return false;
  }
}
