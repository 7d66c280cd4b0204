import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { type Cells, cellOf, keyPositions, type Relation, type Row } from '../../changes/change.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import type { RecordHeaders } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';
import { findRange, hasRanges, readRange, writeMarker } from './chunks.ts';
import { createLegacyLoad } from './legacy-load.ts';
import { createPace, createRateMeter } from './pace.ts';
import { inspectSelection, readOnly, toRefusal } from './selection.ts';
import { parseSignal, REPAIR_HEADER, toKeyText } from './signal.ts';
import { createWindows, type Windows } from './windows.ts';
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

/** A wait for the rate is looked after in parts: what is read may be dropped meanwhile. */
const REST_MS = 500;

/**
 * Reads tables beside the stream, for the initial load and on request: in chunks of key order, each between two markers in the stream. A row of a
 * chunk is emitted where its high marker stands, or behind it, unless the stream touched its key since the low marker: then the stream knows
 * better. A chunk is void, and read again, when its snapshot does not see a transaction that was delivered before the low marker.
 *
 * Several connections read ahead. Chunks are emitted in key order all the same, so that one key says how far a table is; for one that waits for another, what the stream touches is remembered
 * until it is emitted (`windows.ts`). Each reads in statements of its own, none holds a transaction, a lock or a snapshot from one chunk to the next.
 */
export function createSnapshot(options: {
  client: pg.ClientBase;
  /** Opens one more connection, which the session ends at the latest. */
  openReader: (name: string) => Promise<pg.Client>;
  /** How many read a table at once. */
  readers: number;
  work: WorkList;
  chunkRows: number;
  /** Rows per second at most, where a request names no other rate; 0: as fast as it goes. */
  maxRate: number;
  /** Reading rests while more sessions of others than these are in a transaction; 0: it never does. */
  maxSessions: number;
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
  let windows: Windows | null = null;
  let restart = false;
  let isIdle = work.isIdle();
  /** How often there was something to read after nothing was. What the stream delivered in between is not known here. */
  let rounds = isIdle ? 0 : 1;
  let woken = Promise.withResolvers<void>();
  const legacyLoad = createLegacyLoad(options.maxSessions, log);
  /** Further connections, opened where a table has more than a chunk, and ended when there is nothing to read: one that idles for days is one that a firewall cuts. */
  const others = new Map<number, Promise<pg.Client | null>>();
  let pace = createPace(0);
  let meter = createRateMeter();
  const toKey = (relation: Relation, row: Row) => keyPositions(relation).map((position) => cellOf(row, position)!);

  async function settled(signal: AbortSignal): Promise<void> {
    await woken.promise;
    signal.throwIfAborted();
  }

  function wake(): void {
    woken.resolve();
    woken = Promise.withResolvers();
  }

  /** What there is to read may be something else now. */
  function update(): void {
    if (current !== null && work.next() !== current) {
      current = null;
      windows = null;
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

  const isGoing = (of: Work, mine: Windows) => current === of && windows === mine && !restart;

  /** Reads chunks of a work until its last one is in the log, or it is dropped. */
  async function readAll(of: Work, signal: AbortSignal): Promise<void> {
    const { where, keys } = of.selection;
    // The rows of a condition are found by reading them: to look for a boundary first would do that twice.
    const isRanged = options.readers > 1 && where === null && keys === null && hasRanges(of.relation);
    pace = createPace(of.request?.maxRate ?? options.maxRate);
    meter = createRateMeter();
    meter.add(work.reached(of).rows, performance.now());
    while (current === of) {
      restart = false;
      const marker = randomUUID();
      const readers = isRanged ? options.readers : 1;
      const mine = createWindows({ after: work.reached(of).lastKey, marker, most: readers + 1 });
      windows = mine;
      await writeMarker(client, marker);
      const results = await Promise.allSettled(
        Array.from({ length: readers }, async (_, at) => {
          try {
            const reader = at === 0 ? client : await openOther(at, of, mine, signal);
            if (reader !== null) await readChunks(reader, of, mine, isRanged, signal);
          } catch (error) {
            // One that failed ends the others.
            if (windows === mine) windows = null;
            wake();
            throw error;
          }
        }),
      );
      signal.throwIfAborted();
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      if (restart) await pause(200, signal);
      signal.throwIfAborted();
    }
  }

  /** One more connection, once there is more than one chunk to read; null where it is not needed, or not to be had: then the others read. */
  async function openOther(at: number, of: Work, mine: Windows, signal: AbortSignal): Promise<pg.Client | null> {
    while (isGoing(of, mine) && !mine.isMany()) await settled(signal);
    if (!isGoing(of, mine)) return null;
    const known = others.get(at);
    if (known !== undefined) return known;
    const opening = options.openReader(`snapshot-${at + 1}`).catch((error: unknown) => {
      signal.throwIfAborted();
      log.warn(`one connection less reads tables: ${toCrosswalkError(error, 'legacy database').message}`);
      return null;
    });
    others.set(at, opening);
    return opening;
  }

  function endOthers(): void {
    for (const opening of others.values()) void opening.then((reader) => reader?.end()).catch(() => undefined);
    others.clear();
  }

  /** Reads chunks on one connection, beside others that do. */
  async function readChunks(
    reader: pg.ClientBase,
    of: Work,
    mine: Windows,
    isRanged: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { relation, selection, request } = of;
    const most = pace.limit(options.chunkRows);
    const run = <T>(attempt: () => Promise<T>) => (request === null ? attempt() : readOnly(reader, timeoutMs, attempt));
    while (isGoing(of, mine)) {
      const next = mine.next();
      if (next === null) {
        await settled(signal);
        continue;
      }
      let window = next;
      if (window === 'look') {
        const after = mine.look();
        const range = isRanged ? await run(() => findRange(reader, relation, after, most)) : null;
        if (!isGoing(of, mine)) return;
        window = mine.add(range);
      }
      mine.take(window);
      wake();
      const rested = await rest(reader, window.found?.rows ?? most, signal, () => isGoing(of, mine));
      if (!isGoing(of, mine)) return;
      if (rested) {
        // The last marker may be long ago, and much may have changed since.
        const low = randomUUID();
        mine.expect(low);
        await writeMarker(reader, low);
        mine.sent(low);
      }
      mine.begin(window);
      const chunk = await readRange(reader, relation, window, most, selection, options.mostRowBytesOf(relation), run);
      if (!isGoing(of, mine)) return;
      pace.giveBack((window.found?.rows ?? most) - chunk.rows.length - chunk.tooLarge.length - chunk.missing.length);
      const high = randomUUID();
      mine.read(window, chunk, high);
      wake();
      await writeMarker(reader, high);
      mine.sent(high);
    }
  }

  /** Keeps the rate, and leaves a busy server alone. Returns whether it was busy. */
  async function rest(
    reader: pg.ClientBase,
    rows: number,
    signal: AbortSignal,
    isWanted: () => boolean,
  ): Promise<boolean> {
    const untilMs = performance.now() + pace.ask(rows, performance.now());
    for (let leftMs = untilMs - performance.now(); leftMs > 0 && isWanted(); leftMs = untilMs - performance.now()) {
      await pause(Math.min(leftMs, REST_MS), signal);
      signal.throwIfAborted();
    }
    return legacyLoad.settle(reader, signal, isWanted);
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
  function readAgain({ relation }: Work, why: string): void {
    log.info({ table: relation.table }, why);
    restart = true;
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
        if (next === null) {
          if (work.isIdle()) endOthers();
          await settled(signal);
        } else if (waited !== rounds) {
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
      if (current !== null && relation.oid === current.relation.oid) windows?.touch(toKeyText(toKey(relation, row)));
    },

    /** The stream emptied tables: what was read of them before is void. */
    truncate(oids: readonly number[]): void {
      // Also while its first chunk is on its way: it may have been read before.
      if (current !== null && oids.includes(current.relation.oid)) restart = true;
      wake();
    },

    /** A marker passed in the stream. Returns the rows to emit in its place, those of one chunk or several, or null. `doubtful`: delivered and not seen visible yet. */
    marker(token: string, doubtful: readonly bigint[]): Emission | null {
      const found = windows?.pass(token, doubtful) ?? null;
      if (current === null || found === null || restart) return null;
      const of = current;
      const { relation, request } = of;
      const reads: Read[] = [];
      for (const { chunk, reached, isLast, isTouched } of found.passed) {
        const missing = request?.repair ? chunk.missing : [];
        const toReads = (rows: readonly Cells[], isMissing: boolean): Read[] =>
          rows.flatMap((cells) => {
            const key = toKey(relation, cells);
            return isTouched(toKeyText(key)) ? [] : [{ cells, isMissing, ...toHeaders(of, key) }];
          });
        const tooLarge = chunk.tooLarge.flatMap(({ cells, bytes }) =>
          toReads([cells], false).map((read) => ({ ...read, tooLarge: bytes })),
        );
        for (const read of [...toReads(chunk.rows, false), ...toReads(missing, true), ...tooLarge]) reads.push(read);
        const rows = chunk.rows.length + chunk.tooLarge.length + missing.length;
        work.advance(of, reached, rows, isLast, meter.add(work.reached(of).rows + rows, performance.now()));
        if (isLast && request !== null) log.info({ id: request.id, table: relation.table }, 'a snapshot is complete');
      }
      if (found.doubt !== null) readAgain(of, found.doubt);
      update();
      if (found.passed.length === 0) return null;
      return { relation, reads };
    },
  };
}

/** The session that comes next reads with the columns of then, and goes on where this one stopped. */
function toColumnsChanged({ table }: Relation): CrosswalkError {
  return new CrosswalkError('columns_changed', `The columns of ${table} have changed`);
}
