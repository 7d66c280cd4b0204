/** Effect on the rows of one table that belong to one projection; also used for its contributions and history state. */
export interface TableReport {
  readonly table: string;
  /** Rows now, and after a merge. */
  readonly before: number;
  readonly after: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** Rows left out because the application has a row with the same id. */
  readonly ofApplication: number;
  /** Number of changed rows in which each column differs; columns without differences are left out. */
  readonly columns: Readonly<Record<string, number>>;
  /** Sums of numeric columns, finite values only, as exact decimals. */
  readonly sums: Readonly<Record<string, { readonly before: string; readonly after: string }>>;
}

export interface ProjectionReport {
  readonly projection: string;
  readonly tables: readonly TableReport[];
}

/**
 * Reason why a merge is refused. failed: the change cannot be applied. waiting: it is parked for a row or a unique value that has not arrived. conflict:
 * an unchanged live row holds its unique value. stale: contributions of legacy rows that are not replayed have changed since a partial rebuild began.
 * refused: the live tables refused the merge. `reason` names a constraint, error or aggregate, never a value.
 */
export interface Failure {
  readonly projection: string;
  readonly kind: 'failed' | 'waiting' | 'conflict' | 'stale' | 'refused';
  readonly reason: string;
  readonly count: number;
  /** Some of the affected legacy keys. */
  readonly legacyKeys: readonly string[];
}

/** One difference: an added or removed row, or a changed column. Values are PostgreSQL text. */
export interface Difference {
  readonly projection: string;
  readonly table: string;
  readonly id: string;
  readonly legacyKey: string | null;
  readonly kind: 'add' | 'change' | 'remove';
  readonly column: string | null;
  readonly before: string | null;
  readonly after: string | null;
}

/** Changes that a rebuild would make. */
export interface Report {
  readonly projections: readonly ProjectionReport[];
  readonly failures: readonly Failure[];
  /** The first differing rows of each table. */
  readonly differences: readonly Difference[];
  /** Open dead letters and parked changes now, and after a merge. */
  readonly deadLetters: { readonly before: number; readonly after: number };
  readonly waiting: { readonly before: number; readonly after: number };
}

/** Number of differing rows of all tables, including contributions and history state. */
export function countDifferences({ projections }: Pick<Report, 'projections'>): number {
  const tables = projections.flatMap(({ tables: each }) => each);
  return tables.reduce((sum, { added, changed, removed }) => sum + added + changed + removed, 0);
}
