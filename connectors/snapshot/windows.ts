import type { Chunk } from './chunks.ts';
import { isVisible, parseSnapshot } from './visibility.ts';

type Key = readonly string[];

/** Result of searching a range of keys: its number of rows, and whether the table had no large value at that time. */
export interface Found {
  readonly rows: number;
  readonly hasNoLarge: boolean;
}

/** A range of keys found by a search, up to and including `upTo`. */
export interface Range {
  readonly upTo: Key;
  readonly found: Found;
}

/** A range of keys being read: after `after`, up to and including `upTo`; null: to the end of the table. */
export interface Window {
  readonly after: Key | null;
  readonly upTo: Key | null;
  /** Null: not searched. */
  readonly found: Found | null;
}

interface Entry extends Window {
  isTaken: boolean;
  /** The marker in the stream before it was read, and the one sent after it was read. */
  low: string | null;
  high: string | null;
  hasPassed: boolean;
  chunk: Chunk | null;
  bytes: number;
}

/**
 * A chunk to emit now. `isTouched`: whether the stream has changed the row of a key since the chunk's low marker.
 * `reached`: every row up to this key is read.
 */
export interface Passed {
  readonly chunk: Chunk;
  readonly reached: Key | null;
  readonly isLast: boolean;
  isTouched(key: string): boolean;
}

/**
 * Changes of the stream from one marker to the next. `doubtful`: transactions delivered before it but not seen visible.
 */
interface Stretch {
  readonly marker: string;
  readonly doubtful: readonly bigint[];
  readonly touched: Set<string>;
  isTouchedAll: boolean;
}

/**
 * Maximum number of keys kept per stretch; a transaction that changes more of them makes chunks void instead of
 * exhausting memory.
 */
const MOST_TOUCHED = 20_000;
/** Maximum size of chunks read but not emitted; those being read, one per connection, come on top. */
export const MOST_BYTES_AHEAD = 8 * 1024 * 1024;
/** Overhead of a cell beyond its text. */
const CELL_BYTES = 16;

export type Windows = ReturnType<typeof createWindows>;

/**
 * The chunks of one table that are read ahead, in key order. Each is read, on any connection, after a low marker and
 * before its high marker, and is emitted once its high marker has passed and all chunks before it are emitted. That may
 * be long after its own window: changes of the stream are therefore remembered from the low marker of the first pending
 * chunk until each is emitted, and a row changed since its chunk's low marker is left to the stream.
 */
export function createWindows(options: { after: Key | null; marker: string; most: number; mostBytes?: number }) {
  const { most, mostBytes = MOST_BYTES_AHEAD } = options;
  const entries: Entry[] = [];
  let stretches: Stretch[] = [];
  /** Markers sent, or about to be sent, and not yet seen in the stream. */
  const expected = new Set([options.marker]);
  /** The last marker known to be in the stream: the low marker of the next read. */
  let marker = options.marker;
  /** The end of the ranges handed out, and whether the last one extends to the end of the table. */
  let end = options.after;
  let isEnded = false;
  let isLooking = false;
  let bytes = 0;

  const toEntry = (after: Key | null, upTo: Key | null, found: Found | null): Entry => ({
    ...{ after, upTo, found, isTaken: false, low: null, high: null, hasPassed: false, chunk: null, bytes: 0 },
  });
  const isRoom = () => entries.length === 0 || (entries.length < most && bytes < mostBytes);

  /** Why a chunk that has passed cannot be trusted; null if it can. */
  function findDoubt({ low, chunk }: Entry, since: readonly Stretch[]): string | null {
    if (since[0]?.marker !== low || since.some(({ isTouchedAll }) => isTouchedAll))
      return 'more was changed than a chunk can be compared with: it is read again';
    if (chunk!.snapshot === null) return null;
    const snapshot = parseSnapshot(chunk!.snapshot);
    if (since[0]!.doubtful.some((xid) => !isVisible(xid, snapshot)))
      return 'a chunk was read before a streamed change was visible: it is read again';
    return null;
  }

  const indexOf = (token: string | null) => stretches.findIndex((stretch) => stretch.marker === token);

  /** Index of a marker among those that have passed; Infinity for one that has not. */
  const placeOf = (token: string) => (expected.has(token) ? Infinity : indexOf(token));

  /** Changes of the stream since a marker passed, with the doubtful transactions of that time. */
  const since = (low: string | null) => (indexOf(low) === -1 ? [] : stretches.slice(indexOf(low)));

  return {
    /** What a connection may do next: read a range, search for the next one, or nothing (null). */
    next(): Window | 'look' | null {
      const open = entries.find(({ isTaken }) => !isTaken);
      if (open !== undefined) return open === entries[0] || bytes < mostBytes ? open : null;
      return isEnded || isLooking || !isRoom() ? null : 'look';
    },

    /** Whether there is work for more than one connection. */
    isMany: () => !isEnded && end !== options.after,

    /** The key after which to search for the next range; one connection at a time, until `add`. */
    look(): Key | null {
      isLooking = true;
      return end;
    },

    /** Adds the next range; null: the rest of the table. */
    add(range: Range | null): Window {
      isLooking = false;
      const entry = toEntry(end, range?.upTo ?? null, range?.found ?? null);
      entries.push(entry);
      if (range === null) isEnded = true;
      else end = range.upTo;
      return entry;
    },

    take(window: Window): void {
      (window as Entry).isTaken = true;
    },

    /** Reading of a range begins. */
    begin(window: Window): void {
      (window as Entry).low = marker;
    },

    /** A range was read, perhaps not to its end; its high marker is about to be sent. */
    read(window: Window, chunk: Chunk, high: string): void {
      const entry = window as Entry;
      entry.chunk = chunk;
      entry.high = high;
      entry.bytes = toBytes(chunk);
      bytes += entry.bytes;
      expected.add(high);
      if (chunk.isLast) return;
      if (entry.upTo === null) {
        end = chunk.lastKey;
        isEnded = false;
      } else entries.splice(entries.indexOf(entry) + 1, 0, toEntry(chunk.lastKey, entry.upTo, null));
    },

    /** `expect`: a marker is about to be sent. `sent`: it is in the stream. */
    expect: (token: string) => void expected.add(token),
    sent(token: string): void {
      // The acknowledgement may be late: the stream may have passed this marker already, perhaps with a later one that
      // is already current.
      if (expected.has(token) || placeOf(token) > placeOf(marker)) marker = token;
    },

    /** The stream changed the row of a key. */
    touch(key: string): void {
      const stretch = stretches.at(-1);
      if (stretch === undefined || stretch.isTouchedAll) return;
      stretch.touched.add(key);
      if (stretch.touched.size <= MOST_TOUCHED) return;
      stretch.isTouchedAll = true;
      stretch.touched.clear();
    },

    /**
     * A marker passed in the stream. Returns the chunks to emit now, and why the next one and all later ones are void.
     * Null for an unknown marker.
     */
    pass(token: string, doubtful: readonly bigint[]): { passed: Passed[]; doubt: string | null } | null {
      if (!expected.delete(token)) return null;
      stretches.push({ marker: token, doubtful, touched: new Set(), isTouchedAll: false });
      for (const entry of entries) if (entry.high === token) entry.hasPassed = true;
      const passed: Passed[] = [];
      let doubt: string | null = null;
      for (let entry = entries[0]; entry?.hasPassed; entry = entries[0]) {
        const changes = since(entry.low);
        doubt = findDoubt(entry, changes);
        if (doubt !== null) break;
        entries.shift();
        bytes -= entry.bytes;
        const chunk = entry.chunk!;
        passed.push({
          chunk,
          reached: chunk.isLast ? (entry.upTo ?? chunk.lastKey ?? entry.after) : chunk.lastKey,
          isLast: chunk.isLast && entry.upTo === null,
          isTouched: (key) => changes.some(({ touched }) => touched.has(key)),
        });
      }
      const needed = new Set([marker, ...entries.map(({ low }) => low)]);
      const first = stretches.findIndex((stretch) => needed.has(stretch.marker));
      stretches = first === -1 ? [] : stretches.slice(first);
      return { passed, doubt };
    },
  };
}

function toBytes({ rows, missing, tooLarge }: Chunk): number {
  let bytes = 0;
  for (const cells of [...rows, ...missing, ...tooLarge.map((row) => row.cells)])
    for (const cell of cells) bytes += CELL_BYTES + (cell?.length ?? 0);
  return bytes;
}
