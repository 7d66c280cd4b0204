import type { SourceState } from '../connectors/source-state.ts';
import type { Check } from '../monitor/checks.ts';
import type { TenantHint, TenantSource } from '../projectors/pipeline.ts';
import type { Projection, Tenants } from '../projectors/projection.ts';

/** What is assessed: a pipeline as far as the legacy database concerns it. */
export interface AssessedPipeline {
  readonly name: string;
  readonly legacySchema: string;
  /** Legacy tables that are to be captured, without schema. */
  readonly sources: readonly string[];
  readonly projections: readonly Projection[];
  readonly tenants: Tenants;
  /** Settings of tenants that the legacy database itself names; null: it names none. */
  readonly hints: TenantSource['hints'] | null;
  /** Projected table of values without a valid form; null: the pipeline keeps none. */
  readonly rejects: string | null;
  /** Merged tables of such values. */
  readonly foldedRejects?: readonly string[];
}

/** What tells a hosted PostgreSQL from another one. Holds no secret. */
export interface ProviderSigns {
  /** Roles, functions and settings of providers that are there. */
  readonly roles: readonly string[];
  readonly functions: readonly string[];
  readonly settings: readonly string[];
  /** Of the address. */
  readonly host: string;
  readonly port: number;
}

/** The role of the address. */
export interface RoleFacts {
  readonly name: string;
  readonly isSuperuser: boolean;
  /** The attribute REPLICATION, or what a provider has in its place. */
  readonly mayReplicate: boolean;
  readonly mayUseSchema: boolean;
  /** Whether it sees what other sessions do. */
  readonly seesOthers: boolean;
  /** Tables of the pipeline that it may not read. */
  readonly unreadable: readonly string[];
}

/** Growth of the write-ahead log in bytes a second: between two readings, and since statistics were reset; null: not known. */
export interface WalFacts {
  readonly seconds: number;
  readonly bytesPerSecond: number | null;
  readonly averageBytesPerSecond: number | null;
  readonly averageSeconds: number | null;
  /** max_slot_wal_keep_size in bytes; null: unlimited. */
  readonly slotLimitBytes: number | null;
}

/** Something that is open, how many, and since when the oldest. */
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
  /** Null: the server did not say. */
  readonly wal: WalFacts | null;
  /** Transactions of other sessions. */
  readonly transactions: OpenFacts;
  readonly prepared: OpenFacts;
  /** Slots that nobody reads. */
  readonly idleSlots: readonly { readonly name: string; readonly retainedBytes: number | null }[];
  /** Schemas with tables of their own, beside the assessed one. */
  readonly otherSchemas: readonly string[];
}

export interface ColumnFacts {
  readonly name: string;
  /** As PostgreSQL writes it, with its length. */
  readonly type: string;
  readonly typeOid: number;
  /** pg_type.typtype of the column's type: b, c(omposite), d(omain), e(num), r(ange), m(ultirange). */
  readonly kind: string;
  readonly isArray: boolean;
  readonly isNullable: boolean;
  readonly generated: 'stored' | 'virtual' | null;
}

/** A unique index on columns alone, of all rows. */
export interface KeyCandidate {
  readonly index: string;
  readonly columns: readonly string[];
  /** Columns of it that may be null. */
  readonly nullable: readonly string[];
  /** Whether it belongs to a UNIQUE constraint: then it cannot become that of a primary key. */
  readonly isConstraint: boolean;
}

export type TableKind = 'table' | 'partitioned' | 'foreign' | 'view' | 'materialised view' | 'other';

/** A table of the legacy schema, as the catalog tells. */
export interface TableFacts {
  readonly name: string;
  readonly kind: TableKind;
  /** Rows by the statistics and the size of now; null: there are none. */
  readonly rows: number | null;
  /** With indexes and values that are stored apart. */
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
  /** Triggers and rules of people. */
  readonly triggers: readonly string[];
  readonly hasRules: boolean;
}

/** Everything that one look at a legacy database brought, before rows were read. */
export interface Facts {
  readonly server: ServerFacts;
  /** Checks that `doctor` makes of the source, too; null where they could not be made, and why. */
  readonly checks: readonly Check[];
  readonly checksProblem: string | null;
  /** Settings of tenants for which the legacy database names other values than are pinned. */
  readonly hints: readonly TenantHint[];
  /** Null where the server is too old, or a standby. */
  readonly source: SourceState | null;
  /** Tables of the pipeline, in its order, those that exist. */
  readonly tables: readonly TableFacts[];
  /** Other tables of the schema, largest first. */
  readonly others: readonly TableFacts[];
}
