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
  /** Opens another connection, closed at the end of the session at the latest. */
  readonly openReader: (name: string) => Promise<pg.Client>;
  /** Number of connections that read a table concurrently. */
  readonly readers: number;
  readonly work: WorkList;
  readonly chunkRows: number;
  /** Maximum rows per second, unless a request sets its own; 0: unlimited. */
  readonly maxRate: number;
  /** Reading pauses while more sessions of other clients than this are in a transaction; 0: never. */
  readonly maxSessions: number;
  /** Maximum bytes of a row of this table in its topic. */
  readonly mostRowBytesOf: (relation: Relation) => number;
  /** Statement timeout of a request. */
  readonly timeoutMs: number;
  /** Whether the table is unchanged since the start of the session. */
  readonly isCurrent: (relation: Relation) => Promise<boolean>;
  readonly log: Log;
}

export type Snapshot = ReturnType<typeof createSnapshot>;

/**
 * Reads tables in parallel with the stream, for the initial load and on request: in chunks in key order, each between
 * two markers in the stream. A row of a chunk is emitted at its high marker or later, unless the stream touched its key
 * since the low marker: then the stream has the newer version. A chunk is void and read again if its snapshot does not
 * see a transaction that was delivered before the low marker.
 *
 * Several connections read ahead. Chunks are still emitted in key order, so that one key records the progress of a
 * table; while a chunk waits for another one, keys touched by the stream are remembered until it is emitted
 * (`windows.ts`). Each connection reads in separate statements; none holds a transaction, lock or snapshot from one
 * chunk to the next.
 */
export function createSnapshot(options: SnapshotOptions) {
  const { work, log } = options;
  const reading = new Reading(work);
  const legacyLoad = createLegacyLoad(options.maxSessions, log);
  const others = createReaders(options.openReader, log);
  const works: WorkReading = { ...options, reading, others, legacyLoad };
  return {
    /** Progress, for the position. */
    state: () => work.state(),

    /** The table being read, with rows so far; null if none is. */
    reading: () =>
      reading.work === null ? null : { table: reading.work.relation.table, rows: work.reached(reading.work).rows },

    /** Whether there is nothing to read: then no chunk can miss a change. */
    isIdle: () => reading.isIdle,

    /**
     * Reads the works and waits for more, until the signal aborts. Runs in parallel with the stream; throws database
     * errors.
     */
    run: (signal: AbortSignal) => readWork(works, signal),

    /** Takes a record of the signal topic. */
    signal: (offset: bigint, value: Buffer | null) => takeSignal(works, offset, value),

    /**
     * `signalsFrom`: where to read the signal topic from, given its end. `signalsCaughtUp`: everything it held at the
     * start has been read.
     */
    signalsFrom: (end: bigint) => work.signalsFrom(end),
    signalsCaughtUp(): void {
      work.caughtUp();
      reading.update();
    },

    /** The stream changed a row: if before and after have different keys, the stream has the newer version of both. */
    touch: (relation: Relation, row: Row) => reading.touch(relation, row),

    /** The stream emptied tables: chunks read before are void. */
    truncate: (oids: readonly number[]) => reading.truncate(oids),

    /**
     * A marker passed in the stream. Returns the rows to emit at its place, of one chunk or several, or null.
     * `doubtful`: xids delivered but not yet seen visible.
     */
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
    // The next chunk and all later ones are void.
    log.info({ table }, found.doubt);
    reading.restart = true;
  }
  reading.update();
  return found.passed.length === 0 ? null : { relation, reads: emitted };
}
