import {
  type Cells,
  type Change,
  type Column,
  cellOf,
  keyPositions,
  type Relation,
  type Row,
} from '../../changes/change.ts';
import { NULL_CELL, SentRow } from '../../changes/sent-row.ts';
import { AvroWriter, toPadded } from './avro-writer.ts';
import { toColumnType, toSentWriter } from './column-type.ts';
import { HEADER_BYTES } from './wire.ts';

/** Debezium's `source.snapshot`; chunk reads are `incremental`, streamed changes `false`. */
export type SnapshotFlag = 'true' | 'first' | 'last' | 'false' | 'incremental';

/** Debezium's transaction block; both orders count from 1. */
export type TransactionBlock = { id: string; totalOrder: number; dataCollectionOrder: number };

/** Metadata of a value beyond its change. `processedMs`: when the connector handled it, milliseconds since 1970. */
export type ValueContext = {
  timeline: number;
  snapshot: SnapshotFlag;
  transaction: TransactionBlock | null;
  processedMs: number;
};

export type EncoderOptions = {
  topic: string;
  /** Ids of the registered schemas; `key` is null for a table without a primary key. */
  ids: { key: number | null; value: number };
  /** The topic prefix: Debezium's logical server name. */
  serverName: string;
  databaseName: string;
  connectorVersion: string;
};

export type Encoder = {
  /** The key of the changed row; null for a table without a primary key. */
  encodeKey(change: Change): Buffer | null;
  encodeValue(change: Change, context: ValueContext): Buffer;
};

/**
 * Creates an encoder for the changes of one relation, in Confluent's wire format. The buffers are views of the writer's
 * slabs, which many relations share. The caller adds a delete's tombstone. Throws if a cell does not fit its type,
 * naming table and column but never the value.
 */
export function createEncoder(relation: Relation, options: EncoderOptions, writer: AvroWriter = shared): Encoder {
  const { schema, table } = relation;
  const { ids } = options;
  const writers = relation.columns.map((column) => toColumnType(column.typeOid).write);
  /** Null: the text is copied unchanged. */
  const sentWriters = relation.columns.map((column) => toSentWriter(column.typeOid));
  const keys = keyPositions(relation);
  const frame = createFrame(writer, options, relation);
  if (keys.length > 0 && ids.key === null) {
    throw new Error(`${schema}.${table}: the key's schema has no id; register it first`);
  }

  function writeRow(row: Row | null): void {
    if (row === null) writer.branch(0);
    else if (row instanceof SentRow) writeSentRow(row);
    else writeCells(row);
  }

  function writeCells(cells: Cells): void {
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

  function writeSentRow(row: SentRow): void {
    const { view, places } = row;
    writer.branch(1);
    for (let index = 0; index < sentWriters.length; index++) {
      const start = places[2 * index]!;
      const length = places[2 * index + 1]!;
      if (length === NULL_CELL) {
        writer.branch(0);
        continue;
      }
      if (!(length >= 0)) throw new Error('a cell without a text');
      const write = sentWriters[index]!;
      if (write === null) writer.nullableUtf8(view, start, length);
      else {
        writer.branch(1);
        write(writer, row, start, length);
      }
    }
  }

  function writeKeyCell(row: Row, position: number): void {
    if (!(row instanceof SentRow)) {
      writers[position]!(writer, row[position]!);
      return;
    }
    const start = row.places[2 * position]!;
    const length = row.places[2 * position + 1]!;
    if (!(length >= 0)) throw new Error('a key without a text');
    const write = sentWriters[position]!;
    if (write === null) writer.utf8(row.view, start, length);
    else write(writer, row, start, length);
  }

  return {
    encodeKey(change) {
      const row = change.after ?? change.before;
      if (ids.key === null || row === null || keys.length === 0) return null;
      try {
        writer.begin(ids.key);
        for (const position of keys) writeKeyCell(row, position);
        return writer.finish();
      } catch {
        throw misfit(relation, change);
      }
    },

    encodeValue(change, context) {
      const { transaction } = context;
      try {
        writer.begin(ids.value);
        writeRow(change.before);
        writeRow(change.after);
        frame.writeSource(change, context);
        if (transaction !== null) {
          writer.long(transaction.totalOrder);
          writer.long(transaction.dataCollectionOrder);
        }
        writer.text(change.op);
        frame.writeProcessed(context.processedMs);
        return writer.finish();
      } catch {
        // The caught error could contain the value.
        throw misfit(relation, change);
      }
    },
  };
}

/** Default writer. */
const shared = new AvroWriter();

/** Creates Avro binary outside of the message stream. */
function toAvro(write: (own: AvroWriter) => void): DataView {
  scratch.begin(0);
  write(scratch);
  return toPadded(scratch.finish().subarray(HEADER_BYTES));
}

/** Its messages are copied. */
const scratch = new AvroWriter();

const QUOTES = toPadded(Buffer.from('"]'));
/** LSNs below this are exact as numbers. */
const EXACT = 2n ** 53n;

/** Parts of the source that are the same for all changes of a transaction; LSN and ordinal go between them. */
interface SourceParts {
  readonly context: Pick<ValueContext, 'timeline' | 'snapshot'> & { readonly id: string | null };
  readonly place: Pick<Change, 'commitLsn' | 'commitMicros' | 'xid'>;
  readonly beforeSequence: DataView;
  readonly sequence: DataView;
  readonly beforeLsn: DataView;
  readonly beforeOrdinal: DataView;
  readonly transaction: DataView;
}

/**
 * Writes the parts after the rows of one relation. Commit times repeat within a transaction and processing times within
 * a batch, so the last ones are cached.
 */
function createFrame(writer: AvroWriter, options: EncoderOptions, { schema, table }: Relation) {
  const { connectorVersion, serverName, databaseName } = options;
  let parts: SourceParts | null = null;
  let processedMs = Number.NaN;
  let processed = toPadded(Buffer.alloc(0));

  function toParts(change: Change, { timeline, snapshot, transaction }: ValueContext): SourceParts {
    const { commitLsn, commitMicros, xid } = change;
    const micros = Number(commitMicros);
    return {
      context: { timeline, snapshot, id: transaction?.id ?? null },
      place: { commitLsn, commitMicros, xid },
      beforeSequence: toAvro((own) => {
        for (const text of [connectorVersion, 'postgresql', serverName]) own.text(text);
        own.long(Math.floor(micros / 1000));
        own.branch(0);
        own.text(snapshot);
        own.text(databaseName);
        own.branch(1);
      }),
      sequence: toPadded(Buffer.from(`["${commitLsn}","`)),
      beforeLsn: toAvro((own) => {
        own.branch(1);
        own.long(micros);
        own.branch(1);
        own.bigLong(commitMicros * 1000n);
        own.text(schema);
        own.text(table);
        if (xid === null) own.branch(0);
        else {
          own.branch(1);
          own.long(xid);
        }
        own.branch(1);
      }),
      beforeOrdinal: toAvro((own) => {
        own.branch(0); // xmin
        own.long(timeline);
        own.bigLong(commitLsn);
      }),
      transaction: toAvro((own) => {
        own.branch(transaction === null ? 0 : 1);
        if (transaction !== null) own.text(transaction.id);
      }),
    };
  }

  function isOf({ context, place }: SourceParts, change: Change, { timeline, snapshot, transaction }: ValueContext) {
    return (
      place.commitLsn === change.commitLsn &&
      place.xid === change.xid &&
      place.commitMicros === change.commitMicros &&
      context.id === (transaction === null ? null : transaction.id) &&
      context.snapshot === snapshot &&
      context.timeline === timeline
    );
  }

  return {
    /** Writes the source, and the transaction up to its orders. */
    writeSource(change: Change, context: ValueContext): void {
      if (parts === null || !isOf(parts, change, context)) parts = toParts(change, context);
      writer.raw(parts.beforeSequence);
      const isExact = change.lsn < EXACT;
      const lsn = Number(change.lsn);
      if (isExact) writer.textWithNumber(parts.sequence, lsn, QUOTES);
      else writer.text(`["${change.commitLsn}","${change.lsn}"]`);
      writer.raw(parts.beforeLsn);
      if (isExact) writer.long(lsn);
      else writer.bigLong(change.lsn);
      writer.raw(parts.beforeOrdinal);
      writer.long(change.ordinal);
      writer.raw(parts.transaction);
    },

    /** Writes when the connector handled the change. */
    writeProcessed(ms: number): void {
      if (ms !== processedMs) {
        processedMs = ms;
        processed = toAvro((own) => {
          own.branch(1);
          own.long(ms);
          own.branch(1);
          own.long(ms * 1000);
          own.branch(1);
          own.bigLong(BigInt(ms) * 1_000_000n);
        });
      }
      writer.raw(processed);
    },
  };
}

function misfit(relation: Relation, change: Change): Error {
  const name = `${relation.schema}.${relation.table}`;
  for (const row of [change.before, change.after]) {
    if (row === null) continue;
    const column = relation.columns.find((column, index) => !fits(column, cellOf(row, index)));
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
