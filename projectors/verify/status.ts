/** State of a continuous verification, read by metrics and health checks. */
export interface VerifyStatus {
  /** `checking`: running the statements over whole tables. */
  state: 'starting' | 'waiting' | 'comparing' | 'checking' | 'resting' | 'stopped';
  /** Compared rows of both sides, and fences passed, since the start of the process. */
  rows: number;
  fences: number;
  passes: number;
  /** Rows that wait for another check. */
  suspects: number;
  /** Duration of the last completed pass. */
  lastPassSeconds: number;
  tables: readonly VerifiedTable[];
  /** The tenants with the most differences, limited in number to suit metrics. */
  tenants: readonly VerifiedTenant[];
  /** Monotonic milliseconds. */
  lastProgressMs: number;
  /** Start of the current wait for a fence, in monotonic milliseconds: the pipeline has not yet applied what was committed then. Null if there is no wait. */
  waitingSinceMs: number | null;
}

/** Verified state of one table over all tenants. */
export interface VerifiedTable {
  readonly table: string;
  readonly rows: number;
  readonly differences: number;
  readonly unsettled: number;
  /** Seconds since 1970 by the legacy database's clock; 0: never. */
  readonly throughSeconds: number;
}

/** Verified state of one tenant over all tables. */
export interface VerifiedTenant {
  readonly tenant: string;
  /** Rows that differ or are unsettled. */
  readonly differences: number;
  /** The time of the table verified longest ago. */
  readonly throughSeconds: number;
}

/** `tables`: the verified tables. */
export function createVerifyStatus(tables: readonly string[]): VerifyStatus {
  return {
    state: 'starting',
    rows: 0,
    fences: 0,
    passes: 0,
    suspects: 0,
    lastPassSeconds: 0,
    tables: tables.map((table) => ({ table, rows: 0, differences: 0, unsettled: 0, throughSeconds: 0 })),
    tenants: [],
    lastProgressMs: performance.now(),
    waitingSinceMs: null,
  };
}
