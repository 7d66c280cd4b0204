import type { Relation } from '../../changes/change.ts';
import type { ActiveRequest, FinishedRequest, SignalProgress, TableProgress } from '../position.ts';
import type { ReadSignal, Signal, SnapshotSignal } from './signal.ts';

/**
 * The rows of a table to read: those that match a condition (SQL, checked by `inspectSelection`), or those of keys; all
 * if both are null.
 */
export interface Selection {
  readonly where: string | null;
  readonly keys: readonly (readonly string[])[] | null;
}

export const ALL_ROWS: Selection = { where: null, keys: null };

/** Something to read in chunks: a table of the initial load, or the rows of a request. */
export interface Work {
  readonly relation: Relation;
  readonly selection: Selection;
  /** Null: initial load. */
  readonly request: SnapshotSignal | null;
}

/** How a record of the signal topic was handled. */
export interface Taken {
  /** Why it was ignored, or the snapshot refused; null if it was accepted. */
  readonly problem: string | null;
  readonly id: string | null;
  readonly kind: Signal['kind'] | null;
}

/** Maximum number of unfinished requests, which the position holds. */
const MOST_REQUESTS = 100;
/** Maximum number of finished requests in the position. */
const MOST_FINISHED = 20;

/** Maximum length of a reason in the position. */
const LONGEST_REASON = 300;

/** A reason, truncated for storage. */
export function toShort(reason: string): string {
  return reason.slice(0, LONGEST_REASON);
}

export type WorkList = ReturnType<typeof createWorkList>;

/**
 * The works and their progress: first the tables of the initial load, in order, unless it is paused, then requests, one
 * after another. Both continue from the stored position; the details of a request come with its signal, which is read
 * again for that.
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
  /** By request id, once its signal has been read in this session. */
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

  /** The request no longer runs, so it has no rate. */
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

  /** Why a request cannot be accepted; null if its work is now registered. */
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
    /** State for the position; the returned values are immutable. */
    state: (): { snapshot: Readonly<Record<string, TableProgress>>; signals: SignalProgress } => ({
      snapshot: { ...progress },
      signals: { next: String(next), requests, finished, ...(isLoadPaused ? { isLoadPaused } : {}) },
    }),

    /** Whether there is nothing to read now. */
    isIdle: () => unloaded() === undefined && due() === undefined,

    /**
     * The work to read now; null: nothing, or its signal has not been read yet. Returns the same object for the same
     * work.
     */
    next(): Work | null {
      const table = unloaded();
      if (table !== undefined) return table;
      const request = due();
      return request === undefined || !isCaughtUp ? null : (requested.get(request.id) ?? null);
    },

    /** Progress of a work: the key to continue after, and rows read. */
    reached({ relation, request }: Work): { lastKey: readonly string[] | null; rows: number } {
      const at = request === null ? progress[relation.table] : find(request.id);
      return { lastKey: at?.lastKey ?? null, rows: at?.rows ?? 0 };
    },

    /** Reading of a request begins. `total`: PostgreSQL's estimate of its rows. */
    begin({ request }: Work, total: number): void {
      if (request !== null) change(request.id, { state: 'running', total });
    },

    /** More rows of a work are in the log, up to this key, at this rate. */
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

    /**
     * Where to read the signal topic from. `end`: its end, which is before `next` only if the topic was recreated under
     * the same name.
     */
    signalsFrom(end: bigint): bigint {
      if (end < next) {
        next = 0n;
        for (const { id, table } of requests) finish(id, table, 'failed', 'its signal is no longer in the topic');
      }
      return requests
        .map(({ offset }) => BigInt(offset))
        .reduce((first, offset) => (offset < first ? offset : first), next);
    },

    /**
     * Takes a record of the signal topic, in order; one taken before only supplies the details of its request, and null
     * is returned.
     */
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

    /**
     * Everything in the signal topic at the start has been taken: requests may be read, since all later signals about
     * them are known.
     */
    caughtUp(): void {
      if (isCaughtUp) return;
      isCaughtUp = true;
      for (const { id, table } of requests)
        if (!requested.has(id)) finish(id, table, 'failed', 'its signal is no longer in the topic');
    },
  };
}
