import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';
import { type Cells, keyPositions, type Relation } from '../change.ts';
import type { TableProgress } from '../position.ts';
import { type Chunk, readChunk, writeMarker } from './chunks.ts';
import { isVisible, parseSnapshot } from './visibility.ts';

/** Rows of a chunk that no streamed change has overtaken, and where the load stands once they are in the log. */
export interface Emission {
  readonly relation: Relation;
  readonly rows: readonly Cells[];
  readonly progress: TableProgress;
}

/** A chunk on its way: read, its high marker sent, not yet seen in the stream. Its low marker is the marker before it. */
interface Window {
  readonly relation: Relation;
  readonly chunk: Chunk;
  readonly high: string;
  readonly after: readonly string[] | null;
  readonly last: boolean;
}

/** Chunks read ahead of the stream. */
const READ_AHEAD = 2;
/** Keys of one window that are kept; a transaction that changes more of them makes its chunk void instead of filling the memory. */
const MOST_TOUCHED = 20_000;

/**
 * The initial load, beside the stream: chunks of each table in key order, each between two markers in the stream. A row of a
 * chunk is emitted where its high marker stands, unless the stream touched its key since the low marker: then the stream knows
 * better. A chunk is void, and read again, when its snapshot does not see a transaction that was delivered before the low marker.
 */
export function createSnapshot(options: {
  client: pg.ClientBase;
  relations: readonly Relation[];
  progress: Readonly<Record<string, TableProgress>>;
  chunkRows: number;
  log: Log;
}) {
  const { client, log } = options;
  const progress: Record<string, TableProgress> = { ...options.progress };
  let windows: Window[] = [];
  let firstLow = '';
  /** Keys changed, and transactions not seen visible, as of the last marker that passed: the low marker of the next window. */
  let touched = new Set<string>();
  let isTouchedAll = false;
  let doubtfulAtLow: readonly bigint[] = [];
  let emittedThrough: readonly string[] | null = null;
  let loading: Relation | null = null;
  let restart = false;
  let finished = options.relations.every((relation) => progress[relation.table]?.done);
  let wake: () => void = () => undefined;
  const keyText = (relation: Relation, cells: Cells) =>
    JSON.stringify(keyPositions(relation).map((position) => cells[position]));

  async function settled(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    signal.throwIfAborted();
  }

  /** Changes that began before the table was captured end first: they may have written rows that the stream never saw. */
  async function waitForOpenWriters(signal: AbortSignal): Promise<void> {
    const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
    for (let said = false; ; ) {
      const { rows: now } = await client.query<{ xmin: string }>(
        'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
      );
      if (BigInt(now[0]!.xmin) > BigInt(rows[0]!.xid)) return;
      if (!said) log.info('initial load waits for transactions that are older than it');
      said = true;
      await pause(100, signal);
      signal.throwIfAborted();
    }
  }

  async function loadTable(relation: Relation, signal: AbortSignal): Promise<void> {
    loading = relation;
    emittedThrough = progress[relation.table]?.lastKey ?? null;
    let after = emittedThrough;
    let ended = false;
    const begin = async () => {
      windows = [];
      restart = false;
      ended = false;
      after = emittedThrough;
      firstLow = randomUUID();
      await writeMarker(client, firstLow);
    };
    await begin();
    while (!progress[relation.table]?.done) {
      if (restart) {
        await pause(200, signal);
        signal.throwIfAborted();
        await begin();
      } else if (ended || windows.length >= READ_AHEAD) {
        await settled(signal);
      } else {
        const chunk = await readChunk(client, relation, after, options.chunkRows);
        const high = randomUUID();
        ended = chunk.isLast;
        windows.push({ relation, chunk, high, after, last: ended });
        after = chunk.lastKey ?? after;
        await writeMarker(client, high);
      }
    }
  }

  /** The chunk of this window, and those behind it, are void. */
  function readAgain({ relation }: Window, why: string): null {
    log.info({ table: relation.table }, why);
    restart = true;
    wake();
    return null;
  }

  return {
    progress: () => progress as Readonly<Record<string, TableProgress>>,
    isFinished: () => finished,

    /** Loads every table that is not done. Runs beside the stream; throws what the database throws. */
    async run(signal: AbortSignal): Promise<void> {
      signal.addEventListener('abort', () => wake(), { once: true });
      if (!finished) await waitForOpenWriters(signal);
      for (const relation of options.relations) {
        if (progress[relation.table]?.done) continue;
        log.info(
          { table: relation.table, resumed: progress[relation.table] !== undefined },
          'initial load of a table begins',
        );
        await loadTable(relation, signal);
        log.info(
          { table: relation.table, rows: progress[relation.table]?.rows },
          'initial load of a table is complete',
        );
      }
      finished = true;
    },

    /** The stream changed a row: before and after may have different keys, and each is one that the stream knows better. */
    touch(relation: Relation, cells: Cells): void {
      if (finished || isTouchedAll) return;
      touched.add(`${relation.oid}${keyText(relation, cells)}`);
      if (touched.size <= MOST_TOUCHED) return;
      isTouchedAll = true;
      touched.clear();
    },

    /** The stream emptied tables: what was read of them before is void. */
    truncate(oids: readonly number[]): void {
      // Also while its first chunk is on its way: it may have been read before.
      if (loading !== null && oids.includes(loading.oid)) restart = true;
      wake();
    },

    /** A marker passed in the stream. Answers with the rows to emit in its place, or null. `doubtful`: delivered and not seen visible yet. */
    marker(token: string, doubtful: readonly bigint[]): Emission | null {
      const window = windows[0];
      const isHigh = window?.high === token;
      if (!isHigh && token !== firstLow) return null;
      const touchedInWindow = touched;
      const isVoid = isTouchedAll;
      const doubtfulBefore = doubtfulAtLow;
      touched = new Set();
      isTouchedAll = false;
      doubtfulAtLow = doubtful;
      if (!isHigh || restart) return null;
      if (isVoid) return readAgain(window, 'more was changed than a chunk can be compared with: it is read again');
      if (window.chunk.snapshot !== null) {
        const snapshot = parseSnapshot(window.chunk.snapshot);
        if (doubtfulBefore.some((xid) => !isVisible(xid, snapshot)))
          return readAgain(window, 'a chunk was read before a streamed change was visible: it is read again');
      }
      windows.shift();
      const { relation, chunk } = window;
      const rows = chunk.rows.filter((cells) => !touchedInWindow.has(`${relation.oid}${keyText(relation, cells)}`));
      emittedThrough = chunk.lastKey ?? window.after;
      progress[relation.table] = {
        done: window.last,
        lastKey: emittedThrough,
        rows: (progress[relation.table]?.rows ?? 0) + chunk.rows.length,
      };
      wake();
      return { relation, rows, progress: progress[relation.table]! };
    },
  };
}
