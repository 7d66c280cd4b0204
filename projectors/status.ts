/** What a running projector tells about one projection: read by metrics and health checks. */
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
  /** Why the last look at the lag brought nothing, and when it began (monotonic milliseconds); null where the servers answered. */
  unreachable: { readonly problem: string; readonly askedMs: number } | null;
  /** Offsets of those partitions that the log holds and that are not applied yet, and how long the oldest may have waited. */
  lagOffsets: number;
  lagSeconds: number;
  /** Monotonic milliseconds since when there is lag; null while there is none. */
  behindSinceMs: number | null;
  /** Changes of the projection that are parked now, in every process, and how long the oldest has been; open dead letters. */
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
