import { AssertionError } from 'node:assert';
import { assertDeclarations } from '../projectors/declarations.ts';
import type { Pipeline } from '../projectors/pipeline.ts';
import type { LegacyRow, Projection, Tenants } from '../projectors/projection.ts';
import { readTenants } from '../projectors/read-tenants.ts';
import { compareRows, type ExpectedRow } from './compare-rows.ts';
import { toColumnsByTable } from './declared.ts';
import { fault } from './fault.ts';
import { type Keys, type LegacyChange, LegacyTables } from './legacy-tables.ts';
import { NewTables, type StoredRow } from './new-tables.ts';

/** The subject of a test: a pipeline, or some of its projections. */
export type Projections = Projection | readonly Projection[] | PipelineRows;

/** The parts of a pipeline that decide its rows. */
type PipelineRows = Pick<Pipeline, 'projections' | 'rejects'> & Partial<Pick<Pipeline, 'folder' | 'tenants'>>;

/** Settings that the pipeline lacks, or that override it. */
export interface SpecOptions {
  /** Tenant settings. Default: those that the pipeline pins; none for projections alone. */
  readonly tenants?: Tenants;
  /** Key columns of legacy tables. The default is `id`. */
  readonly keys?: Keys;
}

/** Expected rows by table: all live rows of each named table, each with the cells that matter. */
export type ExpectedTables = Readonly<Record<string, readonly ExpectedRow[]>>;

/** State of the new tables. */
export interface Outcome {
  /** Compares the named tables. Throws an AssertionError that names table, row and column of each difference. */
  then(expected: ExpectedTables): Pick<Outcome, 'rejects'>;
  /** Compares the pipeline's rejects in the same way. */
  rejects(expected: readonly ExpectedRow[]): void;
}

/** The new tables after the initial load. */
export interface Given extends Outcome {
  /** Changes of legacy rows. Each is committed and applied separately. */
  when(...changes: readonly LegacyChange[]): Outcome;
}

/** Start of a specification: existing rows, or the first change. */
export interface Spec extends Pick<Given, 'when'> {
  /** Legacy rows by table that the initial load reads. Omitted columns are null. */
  given(rows: Readonly<Record<string, readonly LegacyRow[]>>): Given;
}

/**
 * A specification of projections: given legacy rows, when they change, then the new tables hold these rows. Runs in memory and synchronously, in any
 * test runner. Throws AssertionErrors, also if a projection throws or returns something undeclared.
 */
export function spec(of: Projections, options: SpecOptions = {}): Spec {
  const { projections, rejects, tenants } = toTested(of, options.tenants);
  const run = (rows: Parameters<Spec['given']>[0], changes: readonly LegacyChange[]) => {
    const legacy = new LegacyTables(new Set(projections.map(({ source }) => source)), options.keys);
    const tables = new NewTables(projections, tenants);
    for (const [table, list] of Object.entries(rows)) for (const row of list) tables.apply([legacy.read(table, row)]);
    for (const change of changes) for (const committed of legacy.change(change)) tables.apply([committed]);
    return toOutcome(projections, rejects, tables);
  };
  return {
    given: (rows) => ({ ...run(rows, []), when: (...changes) => run(rows, changes) }),
    when: (...changes) => run({}, changes),
  };
}

/** The tested projections, the table of rejects, and the tenant settings. Throws `config_invalid` if the projections do not fit together. */
export function toTested(
  of: Projections,
  given: Tenants | undefined,
): { readonly projections: readonly Projection[]; readonly rejects: string | undefined; readonly tenants: Tenants } {
  const pipeline: PipelineRows = 'projections' in of ? of : { projections: [of].flat() as readonly Projection[] };
  const { projections, rejects, folder, tenants } = pipeline;
  assertDeclarations(projections);
  const readPinned = () =>
    folder === undefined || tenants === undefined ? () => ({}) : readTenants({ folder, tenants });
  return { projections, rejects, tenants: given ?? readPinned() };
}

function toOutcome(projections: readonly Projection[], rejects: string | undefined, tables: NewTables): Outcome {
  const columns = toColumnsByTable(projections);
  const compare = (expected: ExpectedTables) => {
    assertNamed(columns, expected);
    const lines = Object.entries(expected).flatMap(([table, rows]) => compareRows(table, tables.rowsOf(table), rows));
    if (lines.length === 0) return;
    const actual = Object.entries(expected).map(([table, rows]) => [table, toShown(tables.rowsOf(table), rows)]);
    throw new AssertionError({ message: lines.join('\n'), actual: Object.fromEntries(actual), expected });
  };
  const compareRejects: Outcome['rejects'] = (rows) => {
    if (rejects === undefined) throw fault('no table of rejects is known: give spec() the pipeline, which names it');
    compare({ [rejects]: rows });
  };
  return {
    rejects: compareRejects,
    // biome-ignore lint/suspicious/noThenProperty: given, when, then; awaiting it is an error
    then(expected) {
      if (typeof expected === 'function')
        throw fault('a specification is not awaited: name the expected rows in .then({ … })');
      compare(expected);
      return { rejects: compareRejects };
    },
  };
}

/** Throws for a table or column that no projection writes: it would always be as expected. */
function assertNamed(columns: ReadonlyMap<string, ReadonlySet<string>>, expected: ExpectedTables): void {
  for (const [table, rows] of Object.entries(expected)) {
    const known = columns.get(table);
    if (known === undefined)
      throw fault(`no projection writes the table ${table}; they write ${[...columns.keys()].join(', ')}`);
    const stray = rows.flatMap((row) => Object.keys(row)).find((column) => !known.has(column));
    if (stray !== undefined)
      throw fault(`no projection writes ${table}.${stray}; its columns are ${[...known].join(', ')}`);
  }
}

/** Live rows with the expected columns, as test runners show them. */
function toShown(rows: readonly StoredRow[], expected: readonly ExpectedRow[]): StoredRow[] {
  const columns = new Set(['id', ...expected.flatMap((row) => Object.keys(row))]);
  const live = rows.filter((row) => (row.deleted_at ?? null) === null);
  return live.map((row) => Object.fromEntries([...columns].map((column) => [column, row[column] ?? null])));
}
