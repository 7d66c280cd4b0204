import { join } from 'node:path';
import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { type Migration, readMigrations } from '../schemas/migrations.ts';
import type { PhaseName } from '../schemas/phase-log.ts';
import { assertDeclarations } from './declarations.ts';
import type { Cell, LegacyRow, Projection, Tenants } from './projection.ts';

/** A total of a legacy column, taken from the legacy rows themselves and not from what they are mapped to, and the new column that must hold the same; or as many new rows as the total says. */
export interface LegacyTotal {
  readonly name: string;
  /** Legacy table, without schema. */
  readonly source: string;
  /** The amount of one row, a finite decimal; null adds nothing. */
  readonly of: (row: LegacyRow) => Cell;
  readonly table: string;
  /** Null: the rows of the table are counted, which must be those of this legacy table alone. */
  readonly column: string | null;
}

/**
 * A statement of one row, `expected` and `actual`, that must be equal in any snapshot of the new tables. It names tables without a schema; `$1` is the one tenant to look at, or null.
 */
export interface TargetCheck {
  readonly name: string;
  readonly sql: string;
}

/** A statement of rows `reason`, `count` and `sum` (or null) that `verify` shows and that never fail it. Tables and `$1` as in a check. */
export interface TargetNote {
  readonly sql: string;
  /** What `count` counts and `sum` sums, for people. */
  readonly counted: string;
  readonly summed: string;
  /** Where people find the rows; `crosswalk rejects` where left out. */
  readonly see?: string;
}

/**
 * Legacy rows that contradict each other, counted before anything is captured. The statement names tables without a schema, takes no parameter, only reads, and gives one row, `count`.
 */
export interface LegacyCheck {
  /** What is counted, for people: `leads name a client that is not there`. */
  readonly name: string;
  readonly sql: string;
  /** Whether such rows cannot be projected: then nothing is begun before they are mended. */
  readonly isFatal: boolean;
  readonly remedy: string;
}

export interface Checks {
  readonly totals?: readonly LegacyTotal[];
  readonly target?: readonly TargetCheck[];
  readonly notes?: readonly TargetNote[];
  /** Of the legacy tables, in the first phase of `migrate run`. */
  readonly legacy?: readonly LegacyCheck[];
}

/** A setting of a tenant for which the legacy database names another value than is pinned. */
export interface TenantHint {
  readonly tenantId: string;
  readonly setting: string;
  readonly legacy: string;
  readonly pinned: string;
}

/** Pinned configuration of tenants: part of the mapping, since the rows of a tenant may depend on it. */
export interface TenantSource<Settings extends object = object> {
  /** JSON file `{ default: {…}, tenants: { <tenant id>: {…} } }`, relative to the pipeline's folder. */
  readonly file: string;
  /** Checks what the file holds. Throws an Error with the faulty path. */
  parse(configuration: unknown): Tenants<Settings>;
  /** Other values of each setting: `explain` finds what depends on a setting by them. */
  readonly others?: Readonly<Record<string, readonly unknown[]>>;
  /** Legacy column that names the tenant, of captured tables that no projection reads. */
  readonly column?: string;
  /** Projected table with a row for each tenant, whose id it is. Operators must be able to read it (`crosswalk.show_operators`). */
  readonly table?: string;
  /** Settings that the legacy database itself names, where they differ from the pinned ones: what `doctor` warns of and `tenants pin` writes. Reads only. */
  hints?(legacy: pg.ClientBase, schema: string, tenants: Tenants<Settings>): Promise<readonly TenantHint[]>;
}

/**
 * The pipeline's rows computed by SQL of its own, which shares nothing with the mapping: docs/verification.md, "The oracle". It runs in a scratch database with copies of the legacy tables in
 * the schema `legacy` and of the projected rows in the target schema, and makes a table `oracle.<table>` for each projected one, without lifecycle and lineage. Types that are not
 * PostgreSQL's own, such as enums, are `text` there.
 */
export interface Oracle<Settings extends object = object> {
  /** Files, relative to the pipeline's folder, in the order in which they run. */
  readonly sql: readonly string[];
  /** Aggregates of which `crosswalk.contribution` is there. */
  readonly aggregates?: readonly string[];
  /** Fills the schema `oracle_input` with what SQL cannot compute by itself. `configured`: tenants with settings of their own. */
  prepare?(
    scratch: pg.ClientBase,
    inputs: { readonly tenants: Tenants<Settings>; readonly configured: readonly string[] },
  ): Promise<void>;
}

/** Generated legacy data and an application at work on it, for `demo` and `up`. */
export interface Sample {
  /** Creates the legacy tables where there are none. Returns whether it did. */
  createSchema(legacy: pg.Client): Promise<boolean>;
  /** Whether the legacy tables hold no row. */
  isEmpty(legacy: pg.ClientBase): Promise<boolean>;
  /** What `rows` means, for people: `5 books and 5 authors`. */
  describe(rows: number): string;
  /** Fills the tables. `onRows`: how many of `total` are done. Returns rows by table. */
  load(
    legacy: pg.Client,
    options: { seed: number; rows: number; onRows: (done: number, total: number) => void },
  ): Promise<Readonly<Record<string, number>>>;
  /** An application that changes rows until it is stopped. Its report names the rejects planted by it and by the load. */
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

/** Made-up rows of the application, for those who develop it. Both functions run in a transaction of the caller's, as the owner of the new schema. */
export interface DevelopmentData {
  /** Whose rows they are where nobody names a tenant. */
  readonly tenant: string;
  /** Rows of the application that are there, by table; tables without any are left out. */
  countRows(target: pg.ClientBase): Promise<Readonly<Record<string, number>>>;
  /** Adds the rows of a tenant. Returns how many, by table. */
  insert(target: pg.ClientBase, tenant: string): Promise<Readonly<Record<string, number>>>;
}

/**
 * One step of an application at work on the legacy tables, and how the new tables show it. SQL of one statement each; tables without a schema; `$1` is the tenant of the test, the text of a UUID that is new in each run.
 */
export interface SmokeStep {
  readonly name: string;
  /** Statements on the legacy tables, in one transaction. */
  readonly write: readonly string[];
  /** A SELECT on the new tables, which finds a row as soon as the step has arrived. */
  readonly shows: string;
}

/** What `crosswalk smoke` does: docs/cutover.md, "A smoke test". */
export interface Smoke {
  readonly steps: readonly SmokeStep[];
  /** Takes every row of the test away from the legacy tables, whatever steps there were; in one transaction, statements as above. */
  readonly remove: readonly string[];
}

/** A step of the plan that people follow, by the name that they know, and the phase of `crosswalk migrate run` that does it. */
export interface PlannedStep {
  /** One word: `migrate run --to` takes it, too. */
  readonly name: string;
  readonly title: string;
  readonly phase: PhaseName;
}

/** Everything that people own of a migration: which legacy tables, what becomes of their rows, in which tables, and how that is proven. */
export interface Pipeline<Settings extends object = object> {
  /** Lower-case letters, digits and _. */
  readonly name: string;
  /** The folder that holds everything of it: `import.meta.dirname`. */
  readonly folder: string;
  /** Schema of the new tables. */
  readonly targetSchema: string;
  /** Legacy tables that are captured, without schema, in the order of the initial load. `CROSSWALK_TABLES` names others. */
  readonly sources: readonly string[];
  /** Every projection, histories too. They are taken in the order of `sources`, histories last: name a table before those whose rows refer to its rows. */
  readonly projections: readonly Projection<Settings>[];
  /** Folder of numbered migrations of the new tables, relative to the pipeline's folder; `external`: another tool makes them, crosswalk only checks. */
  readonly migrations: string;
  readonly tenants: TenantSource<Settings>;
  /** Projected table of values without a valid form: columns id, tenant_id, path, raw_value, reason. */
  readonly rejects?: string;
  /** Merged tables of such values, with the same columns: of legacy rows whose tenant another row tells. */
  readonly foldedRejects?: readonly string[];
  readonly checks?: Checks;
  /** File of checks for psql, relative to the pipeline's folder: what `verify --sql` prints, docs/verification.md, "For psql". */
  readonly sqlChecks?: string;
  readonly oracle?: Oracle<Settings>;
  readonly smoke?: Smoke;
  readonly plan?: readonly PlannedStep[];
  /** What the application sees at each stage, from 0 on. */
  readonly stages: readonly string[];
  readonly sample?: () => Promise<Sample>;
  /** Rows for `crosswalk seed --development`. */
  readonly developmentData?: () => Promise<DevelopmentData>;
}

/** All migrations of a pipeline's target database, in the order of application. */
export function migrationsOf({ targetSchema: schema, folder, migrations }: Pipeline): Migration[] {
  return readMigrations(migrations === EXTERNAL ? null : { schema, folder: join(folder, migrations) });
}

/** In place of a folder of migrations: another tool makes the tables. */
export const EXTERNAL = 'external';

/** What was defined here. */
const known = new WeakSet<object>();

export function isPipeline(value: unknown): value is Pipeline {
  return typeof value === 'object' && value !== null && known.has(value);
}

const NAME = /^[a-z][a-z0-9_]{0,40}$/;

/**
 * Checks a pipeline's definition and returns it. Throws `config_invalid`, one line, where a name is not one, where two projections are called alike, where one reads a table that is not
 * captured, or where two projections contradict each other.
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
  // Merged rows are compared at another moment than the legacy rows that lead to them.
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
