/** One legacy row: column → value as PostgreSQL text. Omitted columns take their default. */
export type Row = Record<string, string | null>;

/** A deliberately planted value without a valid form in the new schema, which the projection must reject. */
export interface PlantedReject {
  readonly table: 'contacts' | 'quotes' | 'leads' | 'orders' | 'campaigns';
  /** The legacy row's id. */
  readonly key: string;
  readonly path: string;
  readonly reason: string;
}

/** Path and reason of a reject, before its row is known. */
export interface Flaw {
  readonly path: string;
  readonly reason: string;
}

/** A generated value with its planted flaws. */
export interface Planted<T> {
  readonly value: T;
  readonly flaws: readonly Flaw[];
}

/** A generated row with its expected rejects. */
export interface GeneratedRow {
  readonly row: Row;
  readonly rejects: readonly PlantedReject[];
}

/** Input of the row generators. Together with an index it fully determines a row. */
export interface Setting {
  readonly seed: string;
  /** Ids for contacts.workspace_id; may be empty. */
  readonly workspaces: readonly string[];
  /** Whether rows may be without a workspace, and new workspaces be created. False for an application that is limited to these. */
  readonly anyWorkspace: boolean;
  /** Ids for quotes.company_id: the workspaces whose id is a UUID; may be empty. */
  readonly companies: readonly string[];
  /** Ids for contacts.lead_status_id; may be empty. */
  readonly statusOptions: readonly string[];
  /** Whether to plant values that must be rejected. */
  readonly plantRejects: boolean;
  /** The number (see phones) of the first contact; sets with distant first numbers share no phone. */
  readonly firstPhone: number;
  /** First day of the data, as days since 1970-01-01. */
  readonly firstDay: number;
}

/** A value without flaws. */
export function sound<T>(value: T): Planted<T> {
  return { value, flaws: [] };
}

/** The rejects that result from the row's flaws. */
export function toRejects(table: PlantedReject['table'], key: string, flaws: readonly Flaw[]): PlantedReject[] {
  return flaws.map(({ path, reason }) => ({ table, key, path, reason }));
}
