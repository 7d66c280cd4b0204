import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { RecordHeaders } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';
import { type Cells, cellOf, keyPositions, type Relation, type Row } from '../change.ts';
import { type Chunk, readChunk, writeMarker } from './chunks.ts';
import { inspectSelection, readOnly, toRefusal } from './selection.ts';
import { parseSignal, REPAIR_HEADER, toKeyText } from './signal.ts';
import { isVisible, parseSnapshot } from './visibility.ts';
import type { Work, WorkList } from './work.ts';

/** Rows of a chunk that no streamed change has overtaken. */
export interface Emission {
  readonly relation: Relation;
  readonly reads: readonly Read[];
}

/** A row as it was read; one that is missing has the cells of its key alone. */
export interface Read {
  readonly cells: Cells;
  readonly isMissing: boolean;
  /** Bytes of a row that its topic cannot hold: only the cells of its key were read. */
  readonly tooLarge?: number;
  readonly headers?: RecordHeaders;
}

/** A chunk on its way: read, its high marker sent, not yet seen in the stream. Its low marker is the marker before it. */
interface Window {
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
 * Reads tables beside the stream, for the initial load and on request: in chunks of key order, each between two markers in the stream. A row of a
 * chunk is emitted where its high marker stands, unless the stream touched its key since the low marker: then the stream knows
 * better. A chunk is void, and read again, when its snapshot does not see a transaction that was delivered before the low marker.
 */
export function createSnapshot(options: {
  client: pg.ClientBase;
  work: WorkList;
  chunkRows: number;
  /** Bytes that a row of this table may take in its topic. */
  mostRowBytesOf: (relation: Relation) => number;
  /** How long a statement of a request may take. */
  timeoutMs: number;
  /** Whether the table still is what the session began with. */
  isCurrent: (relation: Relation) => Promise<boolean>;
  log: Log;
}) {
  const { client, work, timeoutMs, log } = options;
  /** What chunks are being read of: the next work of the list, or it is dropped. */
  let current: Work | null = null;
  let windows: Window[] = [];
  let firstLow = '';
  /** Keys changed, and transactions not seen visible, as of the last marker that passed: the low marker of the next window. */
  let touched = new Set<string>();
  let isTouchedAll = false;
  let doubtfulAtLow: readonly bigint[] = [];
  let restart = false;
  let isIdle = work.isIdle();
  /** How often there was something to read after nothing was. What the stream delivered in between is not known here. */
  let rounds = isIdle ? 0 : 1;
  let wake: () => void = () => undefined;
  const toKey = (relation: Relation, row: Row) => keyPositions(relation).map((position) => cellOf(row, position)!);

  async function settled(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    signal.throwIfAborted();
  }

  /** What there is to read may be something else now. */
  function update(): void {
    if (current !== null && work.next() !== current) {
      current = null;
      windows = [];
      touched.clear();
    }
    const wasIdle = isIdle;
    isIdle = work.isIdle();
    if (wasIdle && !isIdle) rounds += 1;
    wake();
  }

  /** Changes that began before the stream was watched for chunks, or before the table was captured, end first: a chunk could miss them. */
  async function waitForOpenWriters(signal: AbortSignal): Promise<void> {
    const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
    for (let said = false; !isIdle; ) {
      const { rows: now } = await client.query<{ xmin: string }>(
        'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
      );
      if (BigInt(now[0]!.xmin) > BigInt(rows[0]!.xid)) return;
      if (!said) log.info('the snapshot waits for transactions that are older than it');
      said = true;
      await pause(100, signal);
      signal.throwIfAborted();
    }
  }

  /** Reads chunks of a work until its last one is in the log, or it is dropped. */
  async function readAll(of: Work, signal: AbortSignal): Promise<void> {
    let after: readonly string[] | null = null;
    let ended = false;
    const begin = async () => {
      windows = [];
      restart = false;
      ended = false;
      after = work.reached(of).lastKey;
      firstLow = randomUUID();
      await writeMarker(client, firstLow);
    };
    await begin();
    while (current === of) {
      if (restart) {
        await pause(200, signal);
        signal.throwIfAborted();
        await begin();
      } else if (ended || windows.length >= READ_AHEAD) {
        await settled(signal);
      } else {
        const limit = options.mostRowBytesOf(of.relation);
        const run = (attempt: () => Promise<Chunk>) =>
          of.request === null ? attempt() : readOnly(client, timeoutMs, attempt);
        const chunk = await readChunk(client, of.relation, after, options.chunkRows, of.selection, limit, run);
        if (current !== of) return;
        const high = randomUUID();
        ended = chunk.isLast;
        windows.push({ chunk, high, after, last: ended });
        after = chunk.lastKey ?? after;
        await writeMarker(client, high);
      }
    }
  }

  /** A table of the initial load: what fails there, fails the session. */
  async function load(of: Work, signal: AbortSignal): Promise<void> {
    const { table } = of.relation;
    // Between the start of the session and the first look at the source nobody looked.
    if (!(await options.isCurrent(of.relation))) throw toColumnsChanged(of.relation);
    log.info({ table, resumed: work.reached(of).rows > 0 }, 'initial load of a table begins');
    current = of;
    await readAll(of, signal);
    log.info({ table, rows: work.reached(of).rows }, 'initial load of a table is complete');
  }

  /** A request: what it is to blame for, fails the request alone. */
  async function follow(of: Work, signal: AbortSignal): Promise<void> {
    const { relation, selection, request } = of;
    const about = { id: request!.id, table: relation.table };
    // The session began with the columns of then.
    if (!(await options.isCurrent(relation))) throw toColumnsChanged(relation);
    try {
      const total = await inspectSelection(client, relation, selection, timeoutMs);
      if (work.next() !== of) return;
      log.info({ ...about, resumed: work.reached(of).rows > 0 }, 'a snapshot begins');
      work.begin(of, total);
      current = of;
      await readAll(of, signal);
    } catch (error) {
      const reason = toRefusal(error, timeoutMs);
      if (reason === null) throw error;
      if (!(await options.isCurrent(relation))) throw toColumnsChanged(relation);
      log.warn({ ...about, reason }, 'a snapshot failed');
      work.fail(of, reason);
      update();
    }
  }

  /** The chunk of this window, and those behind it, are void. */
  function readAgain({ relation }: Work, why: string): null {
    log.info({ table: relation.table }, why);
    restart = true;
    wake();
    return null;
  }

  /** Headers of what is read of a key: a repair tells with each record what else it is about. */
  function toHeaders({ request }: Work, key: readonly string[]): { headers?: RecordHeaders } {
    if (request?.repair !== true) return {};
    const text = toKeyText(key);
    // A key may be called as what every object has.
    const hint = request.hints !== null && Object.hasOwn(request.hints, text) ? request.hints[text] : {};
    return { headers: { [REPAIR_HEADER]: Buffer.from(JSON.stringify(hint)) } };
  }

  return {
    /** Where it stands, for the position. */
    state: () => work.state(),

    /** What is being read, and how far; null where nothing is. */
    reading: () => (current === null ? null : { table: current.relation.table, rows: work.reached(current).rows }),

    /** Whether nothing is to be read: then no chunk can miss a change. */
    isIdle: () => isIdle,

    /** Reads what there is to read, and waits for more, until the signal is raised. Runs beside the stream; throws what the database throws. */
    async run(signal: AbortSignal): Promise<void> {
      signal.addEventListener('abort', () => wake(), { once: true });
      for (let waited = 0; ; ) {
        signal.throwIfAborted();
        const next = work.next();
        if (next === null) await settled(signal);
        else if (waited !== rounds) {
          waited = rounds;
          await waitForOpenWriters(signal);
        } else if (next.request === null) await load(next, signal);
        else await follow(next, signal);
      }
    },

    /** A record of the signal topic. */
    signal(offset: bigint, value: Buffer | null): void {
      const taken = work.take(offset, parseSignal(value));
      update();
      if (taken === null) return;
      const { problem, id, kind } = taken;
      const about = { offset: String(offset), id, kind };
      if (problem === null) log.info(about, 'a signal was taken');
      else log.warn({ ...about, problem }, 'a signal is not followed');
    },

    /** Where to read the signal topic from, by where it ends; and that all which it held at the start has been read. */
    signalsFrom: (end: bigint) => work.signalsFrom(end),
    signalsCaughtUp(): void {
      work.caughtUp();
      update();
    },

    /** The stream changed a row: before and after may have different keys, and each is one that the stream knows better. */
    touch(relation: Relation, row: Row): void {
      if (current === null || relation.oid !== current.relation.oid || isTouchedAll) return;
      touched.add(toKeyText(toKey(relation, row)));
      if (touched.size <= MOST_TOUCHED) return;
      isTouchedAll = true;
      touched.clear();
    },

    /** The stream emptied tables: what was read of them before is void. */
    truncate(oids: readonly number[]): void {
      // Also while its first chunk is on its way: it may have been read before.
      if (current !== null && oids.includes(current.relation.oid)) restart = true;
      wake();
    },

    /** A marker passed in the stream. Answers with the rows to emit in its place, or null. `doubtful`: delivered and not seen visible yet. */
    marker(token: string, doubtful: readonly bigint[]): Emission | null {
      const window = windows[0];
      const isHigh = window?.high === token;
      if (current === null || (!isHigh && token !== firstLow)) return null;
      const touchedInWindow = touched;
      const isVoid = isTouchedAll;
      const doubtfulBefore = doubtfulAtLow;
      touched = new Set();
      isTouchedAll = false;
      doubtfulAtLow = doubtful;
      if (!isHigh || restart) return null;
      if (isVoid) return readAgain(current, 'more was changed than a chunk can be compared with: it is read again');
      if (window.chunk.snapshot !== null) {
        const snapshot = parseSnapshot(window.chunk.snapshot);
        if (doubtfulBefore.some((xid) => !isVisible(xid, snapshot)))
          return readAgain(current, 'a chunk was read before a streamed change was visible: it is read again');
      }
      windows.shift();
      const of = current;
      const { relation, request } = of;
      const { chunk } = window;
      const missing = request?.repair ? chunk.missing : [];
      const toReads = (rows: readonly Cells[], isMissing: boolean): Read[] =>
        rows.flatMap((cells) => {
          const key = toKey(relation, cells);
          return touchedInWindow.has(toKeyText(key)) ? [] : [{ cells, isMissing, ...toHeaders(of, key) }];
        });
      const tooLarge = chunk.tooLarge.flatMap(({ cells, bytes }) =>
        toReads([cells], false).map((read) => ({ ...read, tooLarge: bytes })),
      );
      const reads = [...toReads(chunk.rows, false), ...toReads(missing, true), ...tooLarge];
      const rows = chunk.rows.length + chunk.tooLarge.length + missing.length;
      work.advance(of, chunk.lastKey ?? window.after, rows, window.last);
      if (window.last && request !== null)
        log.info({ id: request.id, table: relation.table }, 'a snapshot is complete');
      update();
      return { relation, reads };
    },
  };
}

/** The session that comes next reads with the columns of then, and goes on where this one stopped. */
function toColumnsChanged({ table }: Relation): CrosswalkError {
  return new CrosswalkError(
    'columns_changed',
    `The columns of ${table} have changed`,
    'The snapshot goes on with the new columns.',
  );
}
