import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { pause } from '../../runtime/retry.ts';
import { findRange, hasRanges, readRange, writeMarker } from './chunks.ts';
import type { createLegacyLoad } from './legacy-load.ts';
import { createPace, createRateMeter } from './pace.ts';
import type { Readers } from './readers.ts';
import type { Reading } from './reading.ts';
import { readOnly } from './selection.ts';
import { createWindows, type Windows } from './windows.ts';
import type { Work, WorkList } from './work.ts';

/** A wait for the rate is split into parts of this length: the read may be dropped meanwhile. */
const REST_MS = 500;

/** Everything needed to read chunks. */
export interface ChunkReading {
  readonly client: pg.ClientBase;
  /** Number of connections that read a table concurrently. */
  readonly readers: number;
  readonly work: WorkList;
  readonly chunkRows: number;
  /** Maximum rows per second, unless a request sets its own; 0: unlimited. */
  readonly maxRate: number;
  /** Maximum bytes of a row of this table in its topic. */
  readonly mostRowBytesOf: (relation: Relation) => number;
  /** Statement timeout of a request. */
  readonly timeoutMs: number;
  readonly reading: Reading;
  readonly others: Readers;
  readonly legacyLoad: ReturnType<typeof createLegacyLoad>;
}

/** Reading of a work up to the next restart: all connections share these windows and one pace. */
interface Attempt {
  readonly of: Work;
  readonly windows: Windows;
  /** Whether the end of a range is searched before it is read, so that several connections can read. */
  readonly isRanged: boolean;
  readonly pace: ReturnType<typeof createPace>;
  readonly signal: AbortSignal;
}

/** Reads chunks of a work until its last one is in the log, or the work is dropped. */
export async function readAll(chunks: ChunkReading, of: Work, signal: AbortSignal): Promise<void> {
  const { client, work, reading } = chunks;
  const { where, keys } = of.selection;
  // Rows of a condition are found by reading them: searching for a boundary first would do that twice.
  const isRanged = chunks.readers > 1 && where === null && keys === null && hasRanges(of.relation);
  const pace = createPace(of.request?.maxRate ?? chunks.maxRate);
  reading.meter = createRateMeter();
  reading.meter.add(work.reached(of).rows, performance.now());
  while (reading.work === of) {
    reading.restart = false;
    const marker = randomUUID();
    const readers = isRanged ? chunks.readers : 1;
    const windows = createWindows({ after: work.reached(of).lastKey, marker, most: readers + 1 });
    reading.windows = windows;
    await writeMarker(client, marker);
    const attempt = { of, windows, isRanged, pace, signal };
    const results = await Promise.allSettled(
      Array.from({ length: readers }, (_, at) => readBeside(chunks, attempt, at)),
    );
    signal.throwIfAborted();
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    if (reading.restart) await pause(200, signal);
    signal.throwIfAborted();
  }
}

/** Reads on the connection `at`, in parallel with the others. A failure stops the others. */
async function readBeside(chunks: ChunkReading, attempt: Attempt, at: number): Promise<void> {
  try {
    const reader = at === 0 ? chunks.client : await openOther(chunks, attempt, at);
    if (reader !== null) await readChunks(chunks, attempt, reader);
  } catch (error) {
    chunks.reading.drop(attempt.windows);
    throw error;
  }
}

/**
 * Opens another connection once there is more than one chunk to read; null if it is not needed or cannot be opened:
 * then the others read.
 */
async function openOther(chunks: ChunkReading, attempt: Attempt, at: number): Promise<pg.ClientBase | null> {
  const { reading, others } = chunks;
  const { of, windows, signal } = attempt;
  while (reading.isGoing(of, windows) && !windows.isMany()) await reading.settled(signal);
  return reading.isGoing(of, windows) ? others.open(at, signal) : null;
}

/** Reads chunks on one connection, in parallel with others. */
async function readChunks(chunks: ChunkReading, attempt: Attempt, reader: pg.ClientBase): Promise<void> {
  const { reading, timeoutMs } = chunks;
  const { of, windows, isRanged, pace, signal } = attempt;
  const { relation, selection, request } = of;
  const most = pace.limit(chunks.chunkRows);
  const run = <T>(statement: () => Promise<T>) =>
    request === null ? statement() : readOnly(reader, timeoutMs, statement);
  while (reading.isGoing(of, windows)) {
    const next = windows.next();
    if (next === null) {
      await reading.settled(signal);
      continue;
    }
    let window = next;
    if (window === 'look') {
      const after = windows.look();
      const range = isRanged ? await run(() => findRange(reader, relation, after, most)) : null;
      if (!reading.isGoing(of, windows)) return;
      window = windows.add(range);
    }
    windows.take(window);
    reading.wake();
    const asked = window.found?.rows ?? most;
    const rested = await rest(chunks, attempt, reader, asked);
    if (!reading.isGoing(of, windows)) return;
    if (rested) {
      // The last marker may be old, and much may have changed since.
      const low = randomUUID();
      windows.expect(low);
      await writeMarker(reader, low);
      windows.sent(low);
    }
    windows.begin(window);
    const chunk = await readRange(reader, relation, window, most, selection, chunks.mostRowBytesOf(relation), run);
    if (!reading.isGoing(of, windows)) return;
    pace.giveBack(asked - chunk.rows.length - chunk.tooLarge.length - chunk.missing.length);
    const high = randomUUID();
    windows.read(window, chunk, high);
    reading.wake();
    await writeMarker(reader, high);
    windows.sent(high);
  }
}

/** Waits for the rate before `rows` rows are read, and while the server is busy. Returns whether it was busy. */
async function rest(
  { reading, legacyLoad }: ChunkReading,
  { of, windows, pace, signal }: Attempt,
  reader: pg.ClientBase,
  rows: number,
): Promise<boolean> {
  const isWanted = () => reading.isGoing(of, windows);
  const untilMs = performance.now() + pace.ask(rows, performance.now());
  for (let leftMs = untilMs - performance.now(); leftMs > 0 && isWanted(); leftMs = untilMs - performance.now()) {
    await pause(Math.min(leftMs, REST_MS), signal);
    signal.throwIfAborted();
  }
  return legacyLoad.settle(reader, signal, isWanted);
}
