import { parseLsn, toLsnText } from '../changes/lsn.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { SourceFingerprint } from './source-fingerprint.ts';

/** What a position is valid for: another server, history, slot or Kafka cluster means a gap that nothing else would show. */
export interface Binding {
  readonly systemId: string;
  readonly timeline: number;
  /** The timelines that this one came from, oldest first; unknown where the server has lost its file, and in positions of before. */
  readonly history?: readonly TimelineSwitch[] | undefined;
  readonly database: string;
  readonly slot: string;
  readonly clusterId: string;
}

/** A timeline, and the LSN at which the next one left it. */
export interface TimelineSwitch {
  readonly timeline: number;
  readonly lsn: string;
}

/** What the server says of itself and of the slot. */
export interface ServerState {
  /** What the slot has been told is in the log. */
  readonly confirmedLsn: bigint;
  /** Where the server's own log ends. */
  readonly walEnd: bigint;
}

/** How far the initial load of one table is. `lastKey`: key of the last chunk emitted, PostgreSQL text, in key order. */
export interface TableProgress {
  readonly done: boolean;
  readonly lastKey: readonly string[] | null;
  readonly rows: number;
  /** How fast it went the last time that something was read; none where it is done. */
  readonly rowsPerSecond?: number;
}

/** A snapshot that was asked for and is not over. Its condition or keys are read from the signal topic, at `offset`. */
export interface ActiveRequest {
  readonly id: string;
  readonly offset: string;
  readonly table: string;
  readonly state: 'waiting' | 'running' | 'paused';
  /** As in `TableProgress`. */
  readonly lastKey: readonly string[] | null;
  readonly rows: number;
  /** Rows in all, as PostgreSQL estimates them; null until it has begun. */
  readonly total: number | null;
  /** As in `TableProgress`; none where it does not run. */
  readonly rowsPerSecond?: number;
}

/** A snapshot that was asked for and is over. `reason`: why it failed. */
export interface FinishedRequest {
  readonly id: string;
  readonly table: string;
  readonly state: 'done' | 'cancelled' | 'failed';
  readonly rows: number;
  readonly reason?: string;
}

/** What became of the signals: those before offset `next` are in `requests`, in their order, or over; `finished` holds the last of these, oldest first. */
export interface SignalProgress {
  readonly next: string;
  readonly requests: readonly ActiveRequest[];
  readonly finished: readonly FinishedRequest[];
  /** Whether the initial load rests because somebody asked for it. */
  readonly isLoadPaused?: true;
}

export interface ToldColumns {
  readonly now: readonly string[];
  readonly gone: readonly string[];
}

/** Where the log stands: written in the Kafka transaction of the events that it covers. */
export interface Position {
  readonly bound: Binding;
  /** Everything before this LSN is in the log. Confirmed to the server only after it is stored. */
  readonly lsn: bigint;
  /** Source time up to which the log is complete, microseconds since 1970. */
  readonly sourceMicros: bigint;
  /** The last source transaction before it, xid and commit LSN; a position of before has none. */
  readonly last?: string;
  /** Xids (64 bit) delivered and not yet seen visible: a chunk whose snapshot does not see one of them must not be trusted. */
  readonly unseenXids: readonly string[];
  readonly snapshot: Readonly<Record<string, TableProgress>>;
  /** A position of before has none. */
  readonly signals?: SignalProgress;
  /** Columns by name, as the stream has told them: in the last event of each table, and in earlier ones that the last one lacks. */
  readonly told?: Readonly<Record<string, ToldColumns>>;
  /** LSN by table before which a change need not be complete: every row of the table is read after it. */
  readonly reread?: Readonly<Record<string, string>>;
  /** The source as it was last looked at; a position of before the first look has none. */
  readonly source?: SourceFingerprint;
  /** Next offset of each partition by topic: up to there the partition holds everything before `lsn`. */
  readonly offsets: Readonly<Record<string, readonly string[]>>;
}

/** JSON bytes of a position record. */
export function encodePosition(position: Position): Buffer {
  return Buffer.from(
    JSON.stringify({ v: 1, ...position, lsn: toLsnText(position.lsn), sourceMicros: String(position.sourceMicros) }),
  );
}

/** Reads a position record. Throws `position_mismatch` for one written by a later version. */
export function decodePosition(value: Buffer): Position {
  const raw = JSON.parse(value.toString()) as Omit<Position, 'lsn' | 'sourceMicros'> & {
    v: number;
    lsn: string;
    sourceMicros: string;
  };
  if (raw.v !== 1) {
    throw new CrosswalkError(
      'position_mismatch.later_version',
      `The stored position has version ${raw.v}, this program reads 1`,
    );
  }
  return {
    bound: raw.bound,
    lsn: parseLsn(raw.lsn),
    sourceMicros: BigInt(raw.sourceMicros),
    unseenXids: raw.unseenXids,
    snapshot: raw.snapshot,
    ...(raw.signals === undefined ? {} : { signals: raw.signals }),
    ...(raw.told === undefined ? {} : { told: raw.told }),
    ...(raw.reread === undefined ? {} : { reread: raw.reread }),
    ...(raw.source === undefined ? {} : { source: raw.source }),
    ...(raw.last === undefined ? {} : { last: raw.last }),
    offsets: raw.offsets,
  };
}

/**
 * Throws `position_mismatch` where going on from the stored position could leave a gap: it belongs to another source or Kafka, to a history that
 * this server does not share, or the slot has been confirmed past it.
 */
export function assertBound(stored: Position, actual: Binding, server: ServerState): void {
  const names = {
    systemId: 'system identifier',
    database: 'database',
    slot: 'slot',
    clusterId: 'Kafka cluster',
  } as const;
  for (const [field, label] of Object.entries(names) as [keyof typeof names, string][]) {
    if (stored.bound[field] !== actual[field]) {
      throw new CrosswalkError(
        'position_mismatch.elsewhere',
        `The stored position was reached with ${label} ${stored.bound[field]}, this is ${actual[field]}`,
      );
    }
  }
  assertShared(stored, actual);
  if (stored.lsn > server.walEnd) {
    throw new CrosswalkError(
      'position_mismatch.ahead',
      `The server's log ends at ${toLsnText(server.walEnd)}, before the stored position ${toLsnText(stored.lsn)}`,
    );
  }
  if (stored.lsn < server.confirmedLsn) {
    throw new CrosswalkError(
      'position_mismatch.confirmed',
      `The slot is confirmed up to ${toLsnText(server.confirmedLsn)}, past the stored position ${toLsnText(stored.lsn)}`,
    );
  }
}

/** The server must have everything before the stored position, as it was when the position was reached. */
function assertShared(stored: Position, actual: Binding): void {
  const { timeline, history } = stored.bound;
  const left = actual.history?.find((past) => past.timeline === timeline);
  const refuse = (cause: string) => new CrosswalkError('position_mismatch.failover', cause);
  if (timeline !== actual.timeline) {
    if (left === undefined)
      throw refuse(
        `The stored position was reached on timeline ${timeline}, and timeline ${actual.timeline} did not come from it`,
      );
    if (stored.lsn > parseLsn(left.lsn))
      throw refuse(
        `The stored position ${toLsnText(stored.lsn)} on timeline ${timeline} lies past ${left.lsn}, where timeline ${actual.timeline} left it: this server does not have all that the log holds`,
      );
  }
  if (history === undefined || actual.history === undefined) return;
  // Two standbys that are promoted number their timelines alike.
  const shared = left === undefined ? actual.history : actual.history.slice(0, actual.history.indexOf(left));
  const toText = (switches: readonly TimelineSwitch[]) =>
    switches.map((past) => `${past.timeline} up to ${past.lsn}`).join(', ') || 'none';
  if (toText(history) !== toText(shared))
    throw refuse(
      `Timeline ${timeline} of the stored position came from other ones (${toText(history)}) than this server's (${toText(shared)})`,
    );
}
