import { parseLsn, toLsnText } from '../changes/lsn.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { SourceFingerprint } from './source-fingerprint.ts';

/**
 * What a position is valid for. Another server, history, slot or Kafka cluster means a gap that nothing else would
 * reveal.
 */
export interface Binding {
  readonly systemId: string;
  readonly timeline: number;
  /**
   * The ancestor timelines, oldest first; undefined if the server has lost the history file, and in positions of
   * earlier versions.
   */
  readonly history?: readonly TimelineSwitch[] | undefined;
  readonly database: string;
  readonly slot: string;
  readonly clusterId: string;
}

/** A timeline, and the LSN at which the next one branched off. */
export interface TimelineSwitch {
  readonly timeline: number;
  readonly lsn: string;
}

/** State of the server and of the slot. */
export interface ServerState {
  /** Position up to which changes were confirmed to the slot. */
  readonly confirmedLsn: bigint;
  /** End of the server's WAL. */
  readonly walEnd: bigint;
}

/**
 * Progress of the initial load of one table. `lastKey`: key of the last chunk emitted, as PostgreSQL text, in key
 * order.
 */
export interface TableProgress {
  readonly done: boolean;
  readonly lastKey: readonly string[] | null;
  readonly rows: number;
  /** Rate when rows were last read; missing once done. */
  readonly rowsPerSecond?: number;
}

/** A requested snapshot that is not finished. Its condition or keys are read from the signal topic, at `offset`. */
export interface ActiveRequest {
  readonly id: string;
  readonly offset: string;
  readonly table: string;
  readonly state: 'waiting' | 'running' | 'paused';
  /** As in `TableProgress`. */
  readonly lastKey: readonly string[] | null;
  readonly rows: number;
  /** Total rows, as PostgreSQL estimates them; null until it has begun. */
  readonly total: number | null;
  /** As in `TableProgress`; missing while it does not run. */
  readonly rowsPerSecond?: number;
}

/** A requested snapshot that is finished. `reason`: why it failed. */
export interface FinishedRequest {
  readonly id: string;
  readonly table: string;
  readonly state: 'done' | 'cancelled' | 'failed';
  readonly rows: number;
  readonly reason?: string;
}

/**
 * Processing state of the signals. Requests before offset `next` are either in `requests`, in order, or finished;
 * `finished` holds the last of these, oldest first.
 */
export interface SignalProgress {
  readonly next: string;
  readonly requests: readonly ActiveRequest[];
  readonly finished: readonly FinishedRequest[];
  /** Whether the initial load is paused on request. */
  readonly isLoadPaused?: true;
}

export interface ToldColumns {
  readonly now: readonly string[];
  readonly gone: readonly string[];
}

/** Position of the log, written in the same Kafka transaction as the events it covers. */
export interface Position {
  readonly bound: Binding;
  /** Everything before this LSN is in the log. Confirmed to the server only after it is stored. */
  readonly lsn: bigint;
  /** Source time up to which the log is complete, microseconds since 1970. */
  readonly sourceMicros: bigint;
  /** The last source transaction before `lsn`, xid and commit LSN; missing in positions of earlier versions. */
  readonly last?: string;
  /**
   * Xids (64 bit) delivered but not yet seen visible: a chunk whose snapshot does not see one of them must not be
   * trusted.
   */
  readonly unseenXids: readonly string[];
  readonly snapshot: Readonly<Record<string, TableProgress>>;
  /** Missing in positions of earlier versions. */
  readonly signals?: SignalProgress;
  /** Column names by table as published: `now` in its last event, `gone` only in earlier ones. */
  readonly told?: Readonly<Record<string, ToldColumns>>;
  /** LSN by table before which changes may be incomplete: every row of the table is read again after it. */
  readonly reread?: Readonly<Record<string, string>>;
  /** The source as of the last check; missing before the first one. */
  readonly source?: SourceFingerprint;
  /** Next offset of each partition by topic: each partition holds everything before `lsn` up to there. */
  readonly offsets: Readonly<Record<string, readonly string[]>>;
}

/** JSON bytes of a position record. */
export function encodePosition(position: Position): Buffer {
  return Buffer.from(
    JSON.stringify({ v: 1, ...position, lsn: toLsnText(position.lsn), sourceMicros: String(position.sourceMicros) }),
  );
}

/** Decodes a position record. Throws `position_mismatch` for one of a later version. */
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
 * Throws `position_mismatch` if continuing from the stored position could leave a gap: it belongs to another source or
 * Kafka cluster, to a history that this server does not share, or the slot was confirmed past it.
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

/** Checks that the server has everything before the stored position, in the same history. */
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
  // Two promoted standbys use the same timeline number.
  const shared = left === undefined ? actual.history : actual.history.slice(0, actual.history.indexOf(left));
  const toText = (switches: readonly TimelineSwitch[]) =>
    switches.map((past) => `${past.timeline} up to ${past.lsn}`).join(', ') || 'none';
  if (toText(history) !== toText(shared))
    throw refuse(
      `Timeline ${timeline} of the stored position came from other ones (${toText(history)}) than this server's (${toText(shared)})`,
    );
}
