/** Status of one projection in a running projector, read by metrics and health checks. */
export interface ProjectionStatus {
  readonly name: string;
  state: 'starting' | 'running' | 'stopped';
  records: number;
  batches: number;
  /** Rows applied, changes parked and dead letters written by this process. */
  applied: number;
  parked: number;
  deadLetters: number;
  /** Monotonic milliseconds of the last batch applied. */
  lastProgressMs: number;
  /** Source commit time of the last change applied, PostgreSQL text; null before the first. */
  lastCommittedAt: string | null;
  /** Partitions of its topic assigned to this process. */
  partitions: readonly number[];
  /** Why the last read of the lag failed, and when it began (monotonic milliseconds); null if it succeeded. */
  unreachable: { readonly problem: string; readonly askedMs: number } | null;
  /** Offsets of those partitions that the log holds and that are not applied yet, and how long the oldest may have waited. */
  lagOffsets: number;
  lagSeconds: number;
  /** Monotonic milliseconds since when there is lag; null while there is none. */
  behindSinceMs: number | null;
  /** Changes of the projection that are parked now, in any process, and the age of the oldest; open dead letters. */
  parkedNow: number;
  parkedSeconds: number;
  deadLettersOpen: number;
}

export function createProjectionStatus(name: string): ProjectionStatus {
  return {
    name,
    state: 'starting',
    records: 0,
    batches: 0,
    applied: 0,
    parked: 0,
    deadLetters: 0,
    lastProgressMs: performance.now(),
    lastCommittedAt: null,
    partitions: [],
    unreachable: null,
    lagOffsets: 0,
    lagSeconds: 0,
    behindSinceMs: null,
    parkedNow: 0,
    parkedSeconds: 0,
    deadLettersOpen: 0,
  };
}
