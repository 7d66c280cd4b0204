/** What becomes of the rows of one table, as far as one projection answers for them; of its contributions and remembered states likewise. */
export interface TableReport {
  readonly table: string;
  /** Rows now, and after a merge. */
  readonly before: number;
  readonly after: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** Rows that are left out because the application has one of the same id. */
  readonly ofApplication: number;
  /** In how many changed rows each column differs; columns that differ in none are left out. */
  readonly columns: Readonly<Record<string, number>>;
  /** Sums of numeric columns, finite values only, as exact decimals. */
  readonly sums: Readonly<Record<string, { readonly before: string; readonly after: string }>>;
}

export interface ProjectionReport {
  readonly projection: string;
  readonly tables: readonly TableReport[];
}

/**
 * Why a merge is refused. failed: the change cannot be applied, waiting: it waits for a row or a unique value that has not come, conflict: a live row that stays
 * holds its unique value, stale: what legacy rows that are not replayed contribute to merged rows has changed since a partial rebuild began, refused: the live
 * tables refused the merge. `reason` names constraint, error or aggregate, never a value.
 */
export interface Failure {
  readonly projection: string;
  readonly kind: 'failed' | 'waiting' | 'conflict' | 'stale' | 'refused';
  readonly reason: string;
  readonly count: number;
  /** Some of their legacy keys. */
  readonly legacyKeys: readonly string[];
}

/** One difference: a row that comes or goes, or a column that changes. Values are PostgreSQL's text. */
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

/** What a rebuild would change. */
export interface Report {
  readonly projections: readonly ProjectionReport[];
  readonly failures: readonly Failure[];
  /** The first rows that differ, of each table. */
  readonly differences: readonly Difference[];
  /** Open dead letters and waiting changes now, and after a merge. */
  readonly deadLetters: { readonly before: number; readonly after: number };
  readonly waiting: { readonly before: number; readonly after: number };
}

/** How many rows of all tables differ, contributions and remembered states included. */
export function countDifferences({ projections }: Pick<Report, 'projections'>): number {
  const tables = projections.flatMap(({ tables: each }) => each);
  return tables.reduce((sum, { added, changed, removed }) => sum + added + changed + removed, 0);
}
