import type { Relation } from '../../changes/change.ts';
import type { ActiveRequest, FinishedRequest, SignalProgress, TableProgress } from '../position.ts';
import type { ReadSignal, Signal, SnapshotSignal } from './signal.ts';

/** What of a table is read: rows that fulfil a condition (SQL, checked by `inspectSelection`), or those of keys; all of them where both are null. */
export interface Selection {
  readonly where: string | null;
  readonly keys: readonly (readonly string[])[] | null;
}

export const ALL_ROWS: Selection = { where: null, keys: null };

/** Something to read in chunks: a table of the initial load, which nobody had to ask for, or what a request names of one. */
export interface Work {
  readonly relation: Relation;
  readonly selection: Selection;
  /** Null: initial load. */
  readonly request: SnapshotSignal | null;
}

/** What became of a record of the signal topic. */
export interface Taken {
  /** Why it was passed over, or the snapshot was refused; null where it was followed. */
  readonly problem: string | null;
  readonly id: string | null;
  readonly kind: Signal['kind'] | null;
}

/** Requests that are not over: the position holds them. */
const MOST_REQUESTS = 100;
/** Requests that are over, as far as the position holds them. */
const MOST_FINISHED = 20;

/** What the position holds of a reason. */
const LONGEST_REASON = 300;

/** A reason as far as it is kept. */
export function toShort(reason: string): string {
  return reason.slice(0, LONGEST_REASON);
}

export type WorkList = ReturnType<typeof createWorkList>;

/**
 * What there is to read, and how far it is: tables of the initial load first, in their order, unless somebody paused it, then requests, one after another. Both go on where the stored position left them; what
 * a request names comes with its signal, which is taken once more for that.
 */
export function createWorkList(options: {
  relations: readonly Relation[];
  progress: Readonly<Record<string, TableProgress>>;
  signals: SignalProgress | undefined;
}) {
  const { relations, signals } = options;
  const progress: Record<string, TableProgress> = { ...options.progress };
  const tables = relations.map((relation): Work => ({ relation, selection: ALL_ROWS, request: null }));
  let next = BigInt(signals?.next ?? 0);
  let requests: readonly ActiveRequest[] = signals?.requests ?? [];
  let finished: readonly FinishedRequest[] = signals?.finished ?? [];
  let isLoadPaused = signals?.isLoadPaused === true;
  /** By id of the request, once its signal has been read in this session. */
  const requested = new Map<string, Work>();
  let isCaughtUp = false;

  const unloaded = () =>
    isLoadPaused ? undefined : tables.find(({ relation }) => progress[relation.table]?.done !== true);
  const due = () =>
    requests.find(({ state }) => state === 'running') ?? requests.find(({ state }) => state === 'waiting');
  const find = (id: string) => requests.find((request) => request.id === id);

  function change(id: string, changes: Partial<ActiveRequest>): void {
    requests = requests.map((request) => (request.id === id ? { ...request, ...changes } : request));
  }

  /** It does not run any more, and so has no rate. */
  function rest(id: string, state: 'paused' | 'waiting'): void {
    requests = requests.map((request) => {
      if (request.id !== id) return request;
      const { rowsPerSecond: _, ...known } = request;
      return { ...known, state };
    });
  }

  function finish(id: string, table: string, state: FinishedRequest['state'], reason?: string): void {
    const rows = find(id)?.rows ?? 0;
    requests = requests.filter((request) => request.id !== id);
    requested.delete(id);
    const why = reason === undefined ? {} : { reason: toShort(reason) };
    finished = [...finished, { id, table, state, rows, ...why }].slice(-MOST_FINISHED);
  }

  /** Why a request cannot be followed; null, and its work is known. */
  function accept(request: SnapshotSignal): string | null {
    const { id, table, where, keys } = request;
    const relation = relations.find((candidate) => candidate.table === table);
    if (relation === undefined) return `table ${table} is not captured`;
    requested.set(id, { relation, selection: { where, keys }, request });
    return null;
  }

  function takeSnapshot(offset: bigint, signal: SnapshotSignal): string | null {
    const { id, table } = signal;
    const problem = requests.length >= MOST_REQUESTS ? `${MOST_REQUESTS} snapshots wait already` : accept(signal);
    if (problem === null)
      requests = [
        ...requests,
        { id, offset: String(offset), table, state: 'waiting', lastKey: null, rows: 0, total: null },
      ];
    else finish(id, table, 'failed', problem);
    return problem;
  }

  function take(offset: bigint, read: ReadSignal): Taken {
    if (read.is === 'unknown') return { problem: read.reason, id: null, kind: null };
    const id = read.is === 'signal' ? read.signal.id : read.id;
    const kind = read.is === 'signal' ? read.signal.kind : 'snapshot';
    const answer = (problem: string | null): Taken => ({ problem, id, kind });
    const active = find(id);
    if (kind === 'snapshot') {
      if (active !== undefined || finished.some((request) => request.id === id))
        return answer('its id is known already');
      if (read.is === 'signal') return answer(takeSnapshot(offset, read.signal as SnapshotSignal));
      finish(id, read.table, 'failed', read.reason);
      return answer(read.reason);
    }
    if (kind === 'pause-load' || kind === 'resume-load') {
      isLoadPaused = kind === 'pause-load';
      return answer(null);
    }
    if (active === undefined) return answer('no such snapshot waits or runs');
    if (kind === 'cancel') finish(id, active.table, 'cancelled');
    else if (kind === 'pause') rest(id, 'paused');
    else if (active.state === 'paused') rest(id, 'waiting');
    return answer(null);
  }

  return {
    /** As the position holds it: both are values that never change. */
    state: (): { snapshot: Readonly<Record<string, TableProgress>>; signals: SignalProgress } => ({
      snapshot: { ...progress },
      signals: { next: String(next), requests, finished, ...(isLoadPaused ? { isLoadPaused } : {}) },
    }),

    /** Whether nothing is to be read now. */
    isIdle: () => unloaded() === undefined && due() === undefined,

    /** What is to be read now; null: nothing, or what it is has not been read from the signal topic yet. The same object as long as it is the same work. */
    next(): Work | null {
      const table = unloaded();
      if (table !== undefined) return table;
      const request = due();
      return request === undefined || !isCaughtUp ? null : (requested.get(request.id) ?? null);
    },

    /** How far a work is: the key to go on after, and rows read. */
    reached({ relation, request }: Work): { lastKey: readonly string[] | null; rows: number } {
      const at = request === null ? progress[relation.table] : find(request.id);
      return { lastKey: at?.lastKey ?? null, rows: at?.rows ?? 0 };
    },

    /** A request is being read. `total`: rows, as PostgreSQL estimates them. */
    begin({ request }: Work, total: number): void {
      if (request !== null) change(request.id, { state: 'running', total });
    },

    /** So many more rows of a work are in the log, up to this key, at this rate. */
    advance(
      { relation, request }: Work,
      lastKey: readonly string[] | null,
      rows: number,
      isLast: boolean,
      rowsPerSecond = 0,
    ): void {
      const table = relation.table;
      if (request === null) {
        const all = (progress[table]?.rows ?? 0) + rows;
        progress[table] = {
          done: isLast,
          lastKey,
          rows: all,
          ...(isLast || rowsPerSecond === 0 ? {} : { rowsPerSecond }),
        };
        return;
      }
      change(request.id, {
        lastKey,
        rows: (find(request.id)?.rows ?? 0) + rows,
        ...(rowsPerSecond === 0 ? {} : { rowsPerSecond }),
      });
      if (isLast) finish(request.id, table, 'done');
    },

    /** A request cannot be read. */
    fail({ relation, request }: Work, reason: string): void {
      if (request !== null && find(request.id) !== undefined) finish(request.id, relation.table, 'failed', reason);
    },

    /** Where to read the signal topic from. `end`: where it ends; before what was read of it only if it is another one of the same name. */
    signalsFrom(end: bigint): bigint {
      if (end < next) {
        next = 0n;
        for (const { id, table } of requests) finish(id, table, 'failed', 'its signal is no longer in the topic');
      }
      return requests
        .map(({ offset }) => BigInt(offset))
        .reduce((first, offset) => (offset < first ? offset : first), next);
    },

    /** A record of the signal topic, in order; one that was taken before only tells what its request names. Null for such a one. */
    take(offset: bigint, read: ReadSignal): Taken | null {
      if (offset >= next) {
        next = offset + 1n;
        return take(offset, read);
      }
      const request = requests.find((candidate) => candidate.offset === String(offset));
      if (request === undefined || requested.has(request.id)) return null;
      if (read.is !== 'signal' || read.signal.kind !== 'snapshot' || read.signal.id !== request.id) return null;
      const problem = accept(read.signal);
      if (problem !== null) finish(request.id, request.table, 'failed', problem);
      return null;
    },

    /** All that was in the signal topic at the start has been taken: requests may be read, in the knowledge of what was said of them since. */
    caughtUp(): void {
      if (isCaughtUp) return;
      isCaughtUp = true;
      for (const { id, table } of requests)
        if (!requested.has(id)) finish(id, table, 'failed', 'its signal is no longer in the topic');
    },
  };
}
