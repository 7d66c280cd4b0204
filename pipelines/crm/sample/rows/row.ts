/** One legacy row: column → its value in PostgreSQL text form. A column that is left out takes its default. */
export type Row = Record<string, string | null>;

/** A value that has no valid form in the new schema, planted on purpose: what the projection must reject. */
export interface PlantedReject {
  readonly table: 'contacts' | 'quotes' | 'leads';
  /** The legacy row's id. */
  readonly key: string;
  readonly path: string;
  readonly reason: string;
}

/** Where and why within a row: a reject before its row is known. */
export interface Flaw {
  readonly path: string;
  readonly reason: string;
}

/** A generated value with the flaws planted in it. */
export interface Planted<T> {
  readonly value: T;
  readonly flaws: readonly Flaw[];
}

/** A generated row with the rejects it must lead to. */
export interface GeneratedRow {
  readonly row: Row;
  readonly rejects: readonly PlantedReject[];
}

/** What rows are made from; with an index, it determines a row entirely. */
export interface Setting {
  readonly seed: string;
  /** Ids for contacts.workspace_id; may be empty. */
  readonly workspaces: readonly string[];
  /** Ids for quotes.company_id: the workspaces whose id is a UUID; may be empty. */
  readonly companies: readonly string[];
  /** Ids for contacts.lead_status_id; may be empty. */
  readonly statusOptions: readonly string[];
  /** Whether values that must be rejected are planted. */
  readonly plantRejects: boolean;
  /** The number (see phones) of the first contact; sets with distant first numbers share no phone. */
  readonly firstPhone: number;
  /** The day the data begins, as days since 1970-01-01. */
  readonly firstDay: number;
}

/** A value without flaws. */
export function sound<T>(value: T): Planted<T> {
  return { value, flaws: [] };
}

/** The row's flaws as the rejects they lead to. */
export function toRejects(table: PlantedReject['table'], key: string, flaws: readonly Flaw[]): PlantedReject[] {
  return flaws.map(({ path, reason }) => ({ table, key, path, reason }));
}
