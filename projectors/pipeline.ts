import { join } from 'node:path';
import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { type Migration, readMigrations } from '../schemas/migrations.ts';
import type { PhaseName } from '../schemas/phase-log.ts';
import { assertDeclarations } from './declarations.ts';
import type { Cell, LegacyRow, Projection, Tenants } from './projection.ts';

/** A total over a legacy column, computed from the legacy rows and not from their mapping. It must equal the sum of a new column or, with `column` null, the number of new rows. */
export interface LegacyTotal {
  readonly name: string;
  /** Legacy table, without schema. */
  readonly source: string;
  /** The amount of one row, a finite decimal; null adds nothing. */
  readonly of: (row: LegacyRow) => Cell;
  readonly table: string;
  /** Null: counts the rows of the table, all of which must come from this legacy table. */
  readonly column: string | null;
}

/**
 * A statement that returns one row, `expected` and `actual`, which must be equal in any snapshot of the new tables. It uses unqualified table names; `$1` is the only
 * tenant to check, or null.
 */
export interface TargetCheck {
  readonly name: string;
  readonly sql: string;
}

/** A statement that returns rows `reason`, `count` and `sum` (or null), which `verify` shows and which never fail it. Tables and `$1` as in a check. */
export interface TargetNote {
  readonly sql: string;
  /** What `count` counts and `sum` sums, for display. */
  readonly counted: string;
  readonly summed: string;
  /** Where operators find the rows; defaults to `crosswalk rejects`. */
  readonly see?: string;
}

/** Counts legacy rows that contradict each other, before anything is captured. The statement uses unqualified table names, takes no parameter, only reads, and returns one row, `count`. */
export interface LegacyCheck {
  /** What is counted, for display: `leads name a client that is not there`. */
  readonly name: string;
  readonly sql: string;
  /** Whether such rows cannot be projected. Then the migration does not begin until they are fixed. */
  readonly isFatal: boolean;
  readonly remedy: string;
}

export interface Checks {
  readonly totals?: readonly LegacyTotal[];
  readonly target?: readonly TargetCheck[];
  readonly notes?: readonly TargetNote[];
  /** Checks of the legacy tables, in the first phase of `migrate run`. */
  readonly legacy?: readonly LegacyCheck[];
}

/** A tenant setting for which the legacy database has another value than the pinned one. */
export interface TenantHint {
  readonly tenantId: string;
  readonly setting: string;
  readonly legacy: string;
  readonly pinned: string;
}

/** Pinned configuration of tenants. Part of the mapping, since the rows of a tenant may depend on it. */
export interface TenantSource<Settings extends object = object> {
  /** JSON file `{ default: {…}, tenants: { <tenant id>: {…} } }`, relative to the pipeline's folder. */
  readonly file: string;
  /** Validates the content of the file. Throws an Error with the invalid path. */
  parse(configuration: unknown): Tenants<Settings>;
  /** Alternative values of each setting, by which `explain` finds what depends on a setting. */
  readonly others?: Readonly<Record<string, readonly unknown[]>>;
  /** Legacy column that names the tenant, of captured tables that no projection reads. */
  readonly column?: string;
  /** Projected table with one row for each tenant, whose id is the tenant id. Operators must be able to read it (`crosswalk.show_operators`). */
  readonly table?: string;
  /** Settings in the legacy database that differ from the pinned ones: `doctor` warns about them, `tenants pin` writes them. Reads only. */
  hints?(legacy: pg.ClientBase, schema: string, tenants: Tenants<Settings>): Promise<readonly TenantHint[]>;
}

/**
 * The pipeline's rows computed by separate SQL that shares nothing with the mapping: docs/verification.md, "The oracle". It runs in a scratch database with copies of the
 * legacy tables in the schema `legacy` and of the projected rows in the target schema, and creates a table `oracle.<table>` for each projected one, without lifecycle and
 * lineage. Types that are not built into PostgreSQL, such as enums, are `text` there.
 */
export interface Oracle<Settings extends object = object> {
  /** Files, relative to the pipeline's folder, in execution order. */
  readonly sql: readonly string[];
  /** Aggregates whose `crosswalk.contribution` rows are copied there. */
  readonly aggregates?: readonly string[];
  /** Fills the schema `oracle_input` with what SQL cannot compute. `configured`: tenants with their own settings. */
  prepare?(
    scratch: pg.ClientBase,
    inputs: { readonly tenants: Tenants<Settings>; readonly configured: readonly string[] },
  ): Promise<void>;
}

/** Generated legacy data, and an application that changes it, for `demo` and `up`. */
export interface Sample {
  /** Creates the legacy tables if there are none. Returns whether it did. */
  createSchema(legacy: pg.Client): Promise<boolean>;
  /** Whether the legacy tables hold no row. */
  isEmpty(legacy: pg.ClientBase): Promise<boolean>;
  /** Describes the meaning of `rows`, for display: `5 books and 5 authors`. */
  describe(rows: number): string;
  /** Fills the tables. `onRows` reports progress. Returns row counts by table. */
  load(
    legacy: pg.Client,
    options: { seed: number; rows: number; onRows: (done: number, total: number) => void },
  ): Promise<Readonly<Record<string, number>>>;
  /** Starts an application that changes rows until it is stopped. Its report lists the rejects planted by it and by the load. */
  startTraffic(options: {
    address: () => pg.ClientConfig;
    seed: number;
    rows: number;
    changesPerSecond: number;
  }): SampleTraffic;
}

export interface SampleReport {
  readonly rowChanges: number;
  readonly transactions: number;
  readonly plantedRejects: readonly {
    readonly table: string;
    readonly key: string;
    readonly path: string;
    readonly reason: string;
  }[];
}

export interface SampleTraffic {
  progress(): { readonly rowChanges: number };
  stop(): Promise<SampleReport>;
}

/** Made-up application rows for developers. Both functions run in the caller's transaction, as the owner of the new schema. */
export interface DevelopmentData {
  /** Default tenant of the rows. */
  readonly tenant: string;
  /** Counts existing application rows by table; omits empty tables. */
  countRows(target: pg.ClientBase): Promise<Readonly<Record<string, number>>>;
  /** Adds the rows of a tenant. Returns counts by table. */
  insert(target: pg.ClientBase, tenant: string): Promise<Readonly<Record<string, number>>>;
}

/**
 * One step of an application that writes the legacy tables, and how it shows in the new tables. Each SQL text is one statement with unqualified table names; `$1` is the
 * test tenant, the text of a UUID that is new in each run.
 */
export interface SmokeStep {
  readonly name: string;
  /** Statements on the legacy tables, in one transaction. */
  readonly write: readonly string[];
  /** A SELECT on the new tables that returns a row as soon as the step has arrived. */
  readonly shows: string;
}

/** Definition of `crosswalk smoke`: docs/cutover.md, "A smoke test". */
export interface Smoke {
  readonly steps: readonly SmokeStep[];
  /** Removes all test rows from the legacy tables, whichever steps have run. One transaction; statements as above. */
  readonly remove: readonly string[];
}

/** A step of the operators' plan, by its name there, and the phase of `crosswalk migrate run` that does it. */
export interface PlannedStep {
  /** One word; `migrate run --to` accepts it, too. */
  readonly name: string;
  readonly title: string;
  readonly phase: PhaseName;
}

/** The complete definition of a migration: legacy tables, mappings, target tables and proofs. */
export interface Pipeline<Settings extends object = object> {
  /** Lower-case letters, digits and _. */
  readonly name: string;
  /** The folder of the pipeline: `import.meta.dirname`. */
  readonly folder: string;
  /** Schema of the new tables. */
  readonly targetSchema: string;
  /** Captured legacy tables, without schema, in the order of the initial load. `CROSSWALK_TABLES` overrides them. */
  readonly sources: readonly string[];
  /** Every projection, histories included. They run in the order of `sources`, histories last: list a table before those whose rows reference it. */
  readonly projections: readonly Projection<Settings>[];
  /** Folder of numbered migrations of the new tables, relative to the pipeline's folder. `external`: another tool creates the tables and crosswalk only checks them. */
  readonly migrations: string;
  readonly tenants: TenantSource<Settings>;
  /** Projected table of invalid values: columns id, tenant_id, path, raw_value, reason. */
  readonly rejects?: string;
  /** Merged tables of invalid values, with the same columns, for legacy rows whose tenant is determined by another row. */
  readonly foldedRejects?: readonly string[];
  readonly checks?: Checks;
  /** File of checks for psql, relative to the pipeline's folder, which `verify --sql` prints: docs/verification.md, "For psql". */
  readonly sqlChecks?: string;
  readonly oracle?: Oracle<Settings>;
  readonly smoke?: Smoke;
  readonly plan?: readonly PlannedStep[];
  /** Description of what the application sees at each stage, starting with stage 0. */
  readonly stages: readonly string[];
  readonly sample?: () => Promise<Sample>;
  /** Rows for `crosswalk seed --development`. */
  readonly developmentData?: () => Promise<DevelopmentData>;
}

/** All migrations of a pipeline's target database, in order of application. */
export function migrationsOf({ targetSchema: schema, folder, migrations }: Pipeline): Migration[] {
  return readMigrations(migrations === EXTERNAL ? null : { schema, folder: join(folder, migrations) });
}

/** Value of `migrations` if another tool creates the tables. */
export const EXTERNAL = 'external';

/** Pipelines returned by `definePipeline`. */
const known = new WeakSet<object>();

export function isPipeline(value: unknown): value is Pipeline {
  return typeof value === 'object' && value !== null && known.has(value);
}

const NAME = /^[a-z][a-z0-9_]{0,40}$/;

/**
 * Validates a pipeline's definition and returns it. Throws `config_invalid`, in one line, if a name is invalid, two projections share a name, one reads a table that is
 * not captured, or two projections contradict each other.
 */
export function definePipeline<Settings extends object>(pipeline: Pipeline<Settings>): Pipeline {
  const refuse = (what: string) => {
    throw new CrosswalkError('config_invalid.definition', `pipeline ${pipeline.name}: ${what}`);
  };
  for (const [field, name] of [
    ['name', pipeline.name],
    ['targetSchema', pipeline.targetSchema],
  ] as const)
    if (!NAME.test(name)) refuse(`${field} must be lower-case letters, digits and _`);
  if (pipeline.targetSchema === 'crosswalk' || pipeline.targetSchema.startsWith('crosswalk_'))
    refuse("the schema crosswalk is the engine's: call targetSchema otherwise");
  const names = new Set<string>();
  for (const { name, source } of pipeline.projections) {
    if (names.has(name)) refuse(`two projections are called ${name}`);
    names.add(name);
    if (!pipeline.sources.includes(source)) refuse(`projection ${name} reads ${source}, which sources does not list`);
  }
  if (pipeline.stages.length === 0) refuse('stages must say what the application sees at stage 0');
  const tables = pipeline.projections.flatMap(({ owned }) => owned.map(({ table }) => table));
  if (pipeline.rejects !== undefined && !tables.includes(pipeline.rejects))
    refuse(`rejects names ${pipeline.rejects}, which no projection owns`);
  const folded = pipeline.projections.flatMap(({ aggregates }) =>
    aggregates.flatMap(({ targets }) => targets.map(({ table }) => table)),
  );
  // Merged rows are compared at another moment than the legacy rows that they come from.
  for (const { name, table } of pipeline.checks?.totals ?? [])
    if (folded.includes(table)) refuse(`the total ${name} is of ${table}, which is folded: a target check can have it`);
  for (const table of pipeline.foldedRejects ?? [])
    if (!folded.includes(table)) refuse(`foldedRejects names ${table}, which no projection folds`);
  assertDeclarations(pipeline.projections);
  const place = ({ source, history }: Projection<Settings>) =>
    pipeline.sources.indexOf(source) + (history === undefined ? 0 : pipeline.sources.length);
  const defined = {
    ...pipeline,
    projections: pipeline.projections.toSorted((a, b) => place(a) - place(b)),
  } as Pipeline;
  known.add(defined);
  return defined;
}
