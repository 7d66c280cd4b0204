/** What a verification that is always on tells about itself: read by metrics and health checks. */
export interface VerifyStatus {
  /** `checking`: one statement over whole tables after the other. */
  state: 'starting' | 'waiting' | 'comparing' | 'checking' | 'resting' | 'stopped';
  /** Legacy rows and rows of the target that were compared, and fences that were passed, since the start of the process. */
  rows: number;
  fences: number;
  passes: number;
  /** Rows that are looked at once more. */
  suspects: number;
  /** Of the last pass that ended. */
  lastPassSeconds: number;
  tables: readonly VerifiedTable[];
  /** Those with the most differences, so many that they are still metrics. */
  tenants: readonly VerifiedTenant[];
  /** Monotonic milliseconds. */
  lastProgressMs: number;
  /** Monotonic milliseconds since when a fence is waited for: the pipeline has not applied yet what was committed then; null while nobody waits. */
  waitingSinceMs: number | null;
}

/** How far one table is verified, over all tenants. */
export interface VerifiedTable {
  readonly table: string;
  readonly rows: number;
  readonly differences: number;
  readonly unsettled: number;
  /** Seconds since 1970, by the legacy database's clock; 0: never. */
  readonly throughSeconds: number;
}

/** How far one tenant is verified, over all tables. */
export interface VerifiedTenant {
  readonly tenant: string;
  /** Rows that differ, or that were not settled. */
  readonly differences: number;
  /** Of the table that was verified longest ago. */
  readonly throughSeconds: number;
}

/** `tables`: those that are verified. */
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
