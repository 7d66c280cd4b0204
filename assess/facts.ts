import type { SourceState } from '../connectors/source-state.ts';
import type { Check } from '../monitor/checks.ts';
import type { TenantHint, TenantSource } from '../projectors/pipeline.ts';
import type { Projection, Tenants } from '../projectors/projection.ts';

/** The parts of a pipeline that an assessment needs. */
export interface AssessedPipeline {
  readonly name: string;
  readonly legacySchema: string;
  /** Legacy tables to capture, without schema. */
  readonly sources: readonly string[];
  readonly projections: readonly Projection[];
  readonly tenants: Tenants;
  /** Source of tenant settings in the legacy database; null: none. */
  readonly hints: TenantSource['hints'] | null;
  /** Projected table of rejected values; null: the pipeline has none. */
  readonly rejects: string | null;
  /** Merged tables of rejected values. */
  readonly foldedRejects?: readonly string[];
}

/** Signs that identify a hosted PostgreSQL. Contains no secret. */
export interface ProviderSigns {
  /** Existing roles, functions and settings of providers. */
  readonly roles: readonly string[];
  readonly functions: readonly string[];
  readonly settings: readonly string[];
  /** From the address. */
  readonly host: string;
  readonly port: number;
}

/** The role in the address. */
export interface RoleFacts {
  readonly name: string;
  readonly isSuperuser: boolean;
  /** The attribute REPLICATION, or the provider's equivalent. */
  readonly mayReplicate: boolean;
  readonly mayUseSchema: boolean;
  /** Whether it sees the activity of other sessions. */
  readonly seesOthers: boolean;
  /** Tables of the pipeline that it cannot read. */
  readonly unreadable: readonly string[];
}

/** Growth of the WAL in bytes per second: between two readings, and since statistics were reset; null: unknown. */
export interface WalFacts {
  readonly seconds: number;
  readonly bytesPerSecond: number | null;
  readonly averageBytesPerSecond: number | null;
  readonly averageSeconds: number | null;
  /** max_slot_wal_keep_size in bytes; null: unlimited. */
  readonly slotLimitBytes: number | null;
}

/** Number of open items, and age of the oldest. */
export interface OpenFacts {
  readonly count: number;
  readonly oldestSeconds: number;
}

export interface ServerFacts {
  readonly version: string;
  /** server_version_num. */
  readonly versionNumber: number;
  readonly isStandby: boolean;
  readonly encoding: string;
  readonly databaseBytes: number | null;
  readonly signs: ProviderSigns;
  readonly role: RoleFacts;
  /** Null: not available. */
  readonly wal: WalFacts | null;
  /** Transactions of other sessions. */
  readonly transactions: OpenFacts;
  readonly prepared: OpenFacts;
  /** Slots without a reader. */
  readonly idleSlots: readonly { readonly name: string; readonly retainedBytes: number | null }[];
  /** Other schemas with tables. */
  readonly otherSchemas: readonly string[];
}

export interface ColumnFacts {
  readonly name: string;
  /** As PostgreSQL writes it, with its length. */
  readonly type: string;
  readonly typeOid: number;
  /** pg_type.typtype of the column's type: b(ase), c(omposite), d(omain), e(num), r(ange), m(ultirange). */
  readonly kind: string;
  readonly isArray: boolean;
  readonly isNullable: boolean;
  readonly generated: 'stored' | 'virtual' | null;
}

/** A unique index over all rows that consists only of columns. */
export interface KeyCandidate {
  readonly index: string;
  readonly columns: readonly string[];
  /** Its nullable columns. */
  readonly nullable: readonly string[];
  /** Whether it belongs to a UNIQUE constraint: then it cannot become the index of a primary key. */
  readonly isConstraint: boolean;
}

export type TableKind = 'table' | 'partitioned' | 'foreign' | 'view' | 'materialised view' | 'other';

/** A table of the legacy schema, from the catalog. */
export interface TableFacts {
  readonly name: string;
  readonly kind: TableKind;
  /** Rows estimated from statistics and current size; null: no statistics. */
  readonly rows: number | null;
  /** Including indexes and out-of-line values. */
  readonly bytes: number | null;
  readonly columns: readonly ColumnFacts[];
  readonly primaryKey: readonly string[];
  readonly candidates: readonly KeyCandidate[];
  /** pg_class.relreplident: d(efault), n(othing), f(ull), i(ndex). */
  readonly identity: string;
  readonly isUnlogged: boolean;
  readonly isPartition: boolean;
  readonly partitions: number;
  readonly inheritedBy: readonly string[];
  readonly inheritsFrom: readonly string[];
  readonly rowSecurity: 'none' | 'enabled' | 'forced';
  /** User-defined triggers and rules. */
  readonly triggers: readonly string[];
  readonly hasRules: boolean;
}

/** Everything known about a legacy database before rows are read. */
export interface Facts {
  readonly server: ServerFacts;
  /** Checks of the source that `doctor` also runs. If they could not run, `checksProblem` says why. */
  readonly checks: readonly Check[];
  readonly checksProblem: string | null;
  /** Tenant settings whose value in the legacy database differs from the pinned one. */
  readonly hints: readonly TenantHint[];
  /** Null if the server is too old, or a standby. */
  readonly source: SourceState | null;
  /** Existing tables of the pipeline, in its order. */
  readonly tables: readonly TableFacts[];
  /** Other tables of the schema, largest first. */
  readonly others: readonly TableFacts[];
}
