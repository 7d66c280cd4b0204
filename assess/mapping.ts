import type { LegacyRow, NewRow, Projection } from '../projectors/projection.ts';
import type { AssessedPipeline } from './facts.ts';
import { MergeSizes, type MergeSummary } from './merge-sizes.ts';

/** Values without a valid form, by path in the row and reason. Array positions in a path are `*`. */
export interface RejectCount {
  readonly path: string;
  readonly reason: string;
  readonly count: number;
}

/** Rows that a projection cannot map, by the name of the error. */
export interface ThrowCount {
  readonly projection: string;
  readonly reason: string;
  readonly count: number;
}

/** Result of the mapping for the rows read from one legacy table. */
export interface TableMapping {
  readonly table: string;
  readonly rows: number;
  /** Rows with at least one rejected value. */
  readonly rejectedRows: number;
  readonly rejects: readonly RejectCount[];
  readonly throws: readonly ThrowCount[];
  /** Rows of new tables that these rows imply directly, without merged rows. */
  readonly targets: readonly { readonly table: string; readonly rows: number }[];
  readonly contributions: number;
}

export interface MappingSummary {
  readonly tables: readonly TableMapping[];
  readonly merges: readonly (MergeSummary & { readonly aggregate: string; readonly tables: readonly string[] })[];
  readonly tenants: {
    readonly count: number;
    /** Rows with a blank column. */
    readonly unassignedRows: number;
    /** Tenants with the most rows. */
    readonly largest: readonly { readonly tenant: string; readonly rows: number }[];
    /** Whether all tenants were counted. */
    readonly isExact: boolean;
  };
}

/** Kinds counted separately per table. Further kinds are counted together. */
const MOST_KINDS = 200;
const MOST_TENANTS = 100_000;
const MOST_NAMED_TENANTS = 20;
const OTHERS = '(others)';

/** Maps rows and counts the results; keeps no rows. No other side effects. */
export class MappingTally {
  readonly #pipeline: AssessedPipeline;
  readonly #bySource: ReadonlyMap<string, readonly Projection[]>;
  readonly #tables = new Map<string, TableTally>();
  readonly #merges = new Map<string, { sizes: MergeSizes; tables: Set<string> }>();
  readonly #tenants = new Map<string, number>();
  #unassigned = 0;
  #tenantsLeftOut = false;

  constructor(pipeline: AssessedPipeline) {
    this.#pipeline = pipeline;
    this.#bySource = Map.groupBy(pipeline.projections, ({ source }) => source);
  }

  add(table: string, row: LegacyRow): void {
    const projections = this.#bySource.get(table) ?? [];
    const tally = this.#tallyOf(table);
    tally.rows += 1;
    const column = projections.find(({ tenant }) => tenant !== undefined)?.tenant?.column;
    if (column !== undefined) this.#addTenant(row[column] ?? '');
    const before = tally.rejects.total;
    for (const projection of projections) this.#map(projection, row, tally);
    if (tally.rejects.total > before) tally.rejectedRows += 1;
  }

  summary(): MappingSummary {
    const tenants = [...this.#tenants].sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1));
    return {
      tables: [...this.#tables].map(([table, tally]) => toTableMapping(table, tally)),
      merges: [...this.#merges].map(([aggregate, { sizes, tables }]) => ({
        aggregate,
        tables: [...tables],
        ...sizes.summary(),
      })),
      tenants: {
        count: this.#tenants.size,
        unassignedRows: this.#unassigned,
        largest: tenants.slice(0, MOST_NAMED_TENANTS).map(([tenant, rows]) => ({ tenant, rows })),
        isExact: !this.#tenantsLeftOut,
      },
    };
  }

  #map(projection: Projection, row: LegacyRow, tally: TableTally): void {
    const { tenants, rejects, foldedRejects = [] } = this.#pipeline;
    try {
      if (projection.history !== undefined) {
        projection.history.stateOf(row, tenants);
        return;
      }
      const { rows, contributions } = projection.map(row, tenants);
      for (const [target, implied] of Object.entries(rows)) {
        if (target === rejects) addRejects(tally, implied);
        else tally.targets.set(target, (tally.targets.get(target) ?? 0) + implied.length);
      }
      for (const { aggregate, mergeKey, data } of contributions) {
        const folding = projection.aggregates.find(({ name }) => name === aggregate);
        // The row's own rejects, whatever its tenant: fold its contribution alone.
        if (folding?.targets.some(({ table }) => foldedRejects.includes(table))) {
          const alone = {
            legacyTable: projection.source,
            legacyKey: '',
            live: true,
            movedTo: null,
            committedAt: '',
            data,
          };
          const folded = folding.fold(mergeKey, [alone]);
          for (const table of foldedRejects) addRejects(tally, folded[table]?.map(({ row }) => row) ?? []);
        }
        const merge = this.#mergeOf(aggregate);
        merge.sizes.add(mergeKey);
        merge.tables.add(projection.source);
      }
      tally.contributions += contributions.length;
    } catch (error) {
      // The message of a foreign error may contain a value.
      const name = error instanceof Error ? error.name : typeof error;
      tally.throws.add(JSON.stringify([projection.name, `map threw ${name}`]));
    }
  }

  #addTenant(tenant: string): void {
    if (tenant.trim() === '') this.#unassigned += 1;
    else if (this.#tenants.has(tenant) || this.#tenants.size < MOST_TENANTS)
      this.#tenants.set(tenant, (this.#tenants.get(tenant) ?? 0) + 1);
    else this.#tenantsLeftOut = true;
  }

  #tallyOf(table: string): TableTally {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const tally: TableTally = {
      rows: 0,
      rejectedRows: 0,
      rejects: new Counter(),
      throws: new Counter(),
      targets: new Map(),
      contributions: 0,
    };
    this.#tables.set(table, tally);
    return tally;
  }

  #mergeOf(aggregate: string): { sizes: MergeSizes; tables: Set<string> } {
    const known = this.#merges.get(aggregate);
    if (known !== undefined) return known;
    const merge = { sizes: new MergeSizes(), tables: new Set<string>() };
    this.#merges.set(aggregate, merge);
    return merge;
  }
}

interface TableTally {
  rows: number;
  rejectedRows: number;
  readonly rejects: Counter;
  readonly throws: Counter;
  readonly targets: Map<string, number>;
  contributions: number;
}

/** Counts kinds up to a limit; further kinds are counted together. */
class Counter {
  readonly #counts = new Map<string, number>();
  total = 0;

  add(kind: string): void {
    this.total += 1;
    const key = this.#counts.has(kind) || this.#counts.size < MOST_KINDS ? kind : JSON.stringify([OTHERS, OTHERS]);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** The two parts of each kind with its count, most frequent first. */
  list(): [string, string, number][] {
    return [...this.#counts]
      .sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1))
      .map(([kind, count]) => [...(JSON.parse(kind) as [string, string]), count]);
  }
}

function toTableMapping(table: string, tally: TableTally): TableMapping {
  return {
    table,
    rows: tally.rows,
    rejectedRows: tally.rejectedRows,
    rejects: tally.rejects.list().map(([path, reason, count]) => ({ path, reason, count })),
    throws: tally.throws.list().map(([projection, reason, count]) => ({ projection, reason, count })),
    targets: [...tally.targets].map(([name, rows]) => ({ table: name, rows })),
    contributions: tally.contributions,
  };
}

function addRejects(tally: TableTally, rows: readonly NewRow[]): void {
  for (const { path, reason } of rows)
    tally.rejects.add(JSON.stringify([(path ?? '').replace(/[0-9]+/g, '*'), reason ?? '']));
}
