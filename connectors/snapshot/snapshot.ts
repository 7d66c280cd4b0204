import type pg from 'pg';
import type { Relation, Row } from '../../changes/change.ts';
import type { Log } from '../../runtime/log.ts';
import { type Emission, type Read, toReads } from './emission.ts';
import { createLegacyLoad } from './legacy-load.ts';
import { readWork, type WorkReading } from './read-work.ts';
import { createReaders } from './readers.ts';
import { Reading } from './reading.ts';
import { parseSignal } from './signal.ts';
import type { WorkList } from './work.ts';

export interface SnapshotOptions {
  readonly client: pg.ClientBase;
  /** Opens one more connection, which the session ends at the latest. */
  readonly openReader: (name: string) => Promise<pg.Client>;
  /** How many read a table at once. */
  readonly readers: number;
  readonly work: WorkList;
  readonly chunkRows: number;
  /** Rows per second at most, where a request names no other rate; 0: as fast as it goes. */
  readonly maxRate: number;
  /** Reading rests while more sessions of others than these are in a transaction; 0: it never does. */
  readonly maxSessions: number;
  /** Bytes that a row of this table may take in its topic. */
  readonly mostRowBytesOf: (relation: Relation) => number;
  /** How long a statement of a request may take. */
  readonly timeoutMs: number;
  /** Whether the table still is what the session began with. */
  readonly isCurrent: (relation: Relation) => Promise<boolean>;
  readonly log: Log;
}

export type Snapshot = ReturnType<typeof createSnapshot>;

/**
 * Reads tables beside the stream, for the initial load and on request: in chunks of key order, each between two markers in the stream. A row of a
 * chunk is emitted where its high marker stands, or behind it, unless the stream touched its key since the low marker: then the stream knows
 * better. A chunk is void, and read again, when its snapshot does not see a transaction that was delivered before the low marker.
 *
 * Several connections read ahead. Chunks are emitted in key order all the same, so that one key says how far a table is; for one that waits for another, what the stream touches is remembered
 * until it is emitted (`windows.ts`). Each reads in statements of its own, none holds a transaction, a lock or a snapshot from one chunk to the next.
 */
export function createSnapshot(options: SnapshotOptions) {
  const { work, log } = options;
  const reading = new Reading(work);
  const legacyLoad = createLegacyLoad(options.maxSessions, log);
  const others = createReaders(options.openReader, log);
  const works: WorkReading = { ...options, reading, others, legacyLoad };
  return {
    /** Where it stands, for the position. */
    state: () => work.state(),

    /** What is being read, and how far; null where nothing is. */
    reading: () =>
      reading.work === null ? null : { table: reading.work.relation.table, rows: work.reached(reading.work).rows },

    /** Whether nothing is to be read: then no chunk can miss a change. */
    isIdle: () => reading.isIdle,

    /** Reads what there is to read, and waits for more, until the signal is raised. Runs beside the stream; throws what the database throws. */
    run: (signal: AbortSignal) => readWork(works, signal),

    /** A record of the signal topic. */
    signal: (offset: bigint, value: Buffer | null) => takeSignal(works, offset, value),

    /** Where to read the signal topic from, by where it ends; and that all which it held at the start has been read. */
    signalsFrom: (end: bigint) => work.signalsFrom(end),
    signalsCaughtUp(): void {
      work.caughtUp();
      reading.update();
    },

    /** The stream changed a row: before and after may have different keys, and each is one that the stream knows better. */
    touch: (relation: Relation, row: Row) => reading.touch(relation, row),

    /** The stream emptied tables: what was read of them before is void. */
    truncate: (oids: readonly number[]) => reading.truncate(oids),

    /** A marker passed in the stream. Returns the rows to emit in its place, those of one chunk or several, or null. `doubtful`: delivered and not seen visible yet. */
    marker: (token: string, doubtful: readonly bigint[]) => passMarker(works, token, doubtful),
  };
}

function takeSignal({ work, reading, log }: WorkReading, offset: bigint, value: Buffer | null): void {
  const taken = work.take(offset, parseSignal(value));
  reading.update();
  if (taken === null) return;
  const { problem, id, kind } = taken;
  const about = { offset: String(offset), id, kind };
  if (problem === null) log.info(about, 'a signal was taken');
  else log.warn({ ...about, problem }, 'a signal is not followed');
}

function passMarker({ work, reading, log }: WorkReading, token: string, doubtful: readonly bigint[]): Emission | null {
  const found = reading.windows?.pass(token, doubtful) ?? null;
  const of = reading.work;
  if (of === null || found === null || reading.restart) return null;
  const { relation, request } = of;
  const { table } = relation;
  const emitted: Read[] = [];
  for (const passed of found.passed) {
    const { reached, isLast } = passed;
    const { reads, rows } = toReads(of, passed);
    for (const read of reads) emitted.push(read);
    work.advance(of, reached, rows, isLast, reading.meter.add(work.reached(of).rows + rows, performance.now()));
    if (isLast && request !== null) log.info({ id: request.id, table }, 'a snapshot is complete');
  }
  if (found.doubt !== null) {
    // The next chunk, and those behind it, are void.
    log.info({ table }, found.doubt);
    reading.restart = true;
  }
  reading.update();
  return found.passed.length === 0 ? null : { relation, reads: emitted };
}
