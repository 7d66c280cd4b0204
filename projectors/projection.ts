import type { TransactionContext } from '../changes/transaction-context.ts';

/** A value of a row in PostgreSQL's text form (ISO dates, UTC, `t`/`f`, array and JSON literals), or null. */
export type Cell = string | null;

/** A legacy row: column name → cell. */
export type LegacyRow = Readonly<Record<string, Cell>>;

/** A new row without lineage: column name → cell. Columns of its target that it leaves out are null. */
export type NewRow = Readonly<Record<string, Cell>>;

/** Pinned settings of one tenant, as a pipeline defines them; part of the mapping version. */
export type TenantSettings = object;

/** Looks up the settings of a tenant; total: unknown tenants have the defaults. */
export type Tenants<Settings extends object = TenantSettings> = (tenantId: string) => Settings;

/**
 * A table whose rows are each implied by exactly one legacy row.
 * `scope` finds every row that a legacy row may ever have implied: those where `column` equals `of(legacy key)`.
 */
export interface OwnedTarget {
  readonly table: string;
  /** Projected columns, `id` first; `deleted_at` and lineage are the runtime's. */
  readonly columns: readonly string[];
  /** What becomes of a row that is no longer implied. */
  readonly retract: 'soft-delete' | 'delete';
  /** Columns that are null in every row of this projection, because others write them: verified, and written by repairs. */
  readonly blank?: readonly string[];
  readonly scope: { readonly column: string; readonly of: (legacyKey: string) => string };
}

/** What one legacy row says about a merged row. Retired contributions are kept, with their last data. */
export interface Contribution {
  readonly legacyTable: string;
  readonly legacyKey: string;
  readonly live: boolean;
  /** Merge key that a retired contribution moved to; null while live, and when its legacy row was deleted. */
  readonly movedTo: string | null;
  /** Commit time of the change that wrote or retired it, PostgreSQL text, UTC. */
  readonly committedAt: string;
  readonly data: Readonly<Record<string, Cell>>;
}

/** A row that a fold yields, live or soft-deleted, and the contributions that it rests on (the newest one is its lineage). */
export interface FoldedRow {
  readonly row: NewRow;
  readonly deletedAt: Cell;
  readonly from: readonly Contribution[];
}

/**
 * Contributions that a fold needs: the greatest one by a total order of those that it is `among`, or all of those. Live and retired ones are chosen apart.
 */
export interface Choice {
  readonly among: (contribution: Contribution) => boolean;
  /** Positive where `left` is the greater one; 0 between versions of one legacy row alone. Null: all of them are needed. */
  readonly compare: ((left: Contribution, right: Contribution) => number) | null;
}

/** What a fold needs of the contributions under one merge key, so that it need not read all of many. */
export interface FoldNeeds {
  /** Raised with every change of what is chosen, and of parts: what was found to be needed by an earlier version is found anew. */
  readonly version: string;
  readonly whole: readonly Choice[];
  /**
   * Rows that hang on a part of the contributions (those of one address): for these the fold needs what is chosen among the contributions of the part, and what
   * is chosen for the whole. Null: a contribution of no part.
   */
  readonly parts?: {
    readonly of: (contribution: Contribution) => string | null;
    readonly choices: readonly Choice[];
  };
}

/** A table of which a fold writes rows. */
export interface MergedTarget {
  readonly table: string;
  readonly columns: readonly string[];
  /** The column that holds the merge key: rows of that key which a fold leaves out are soft-deleted. */
  readonly key: string;
  /** Legacy tables whose projections own rows of this table: those are none of the fold's, whatever their merge key. Every other projected row of it is. */
  readonly ownedFrom?: readonly string[];
}

/** Tables whose rows have several contributors, folded together under one merge key: one lock, one fold. */
export interface Aggregate {
  readonly name: string;
  readonly targets: readonly MergedTarget[];
  /** Whether contributions between two batches matter, so that every change of a legacy row is mapped, and not the last one alone. */
  readonly needsHistory: boolean;
  /** Commutative and total: the result must not depend on the order of `contributions` (never empty). Keyed by table. */
  readonly fold: (
    mergeKey: string,
    contributions: readonly Contribution[],
  ) => Readonly<Record<string, readonly FoldedRow[]>>;
  /**
   * Any contributions that hold the chosen ones must fold to the same rows as all of them: those of the whole, and those of every part of which the chosen ones
   * are among them. Without it every fold reads all contributions of its merge key.
   */
  readonly needs?: FoldNeeds;
}

/** The set of rows and contributions that one legacy row implies. */
export interface Implied {
  /** Owned rows by table. */
  readonly rows: Readonly<Record<string, readonly NewRow[]>>;
  readonly contributions: readonly {
    readonly aggregate: string;
    readonly mergeKey: string;
    readonly data: Readonly<Record<string, Cell>>;
  }[];
}

/** One change of the state that a history keeps; null: the legacy row has none. */
export interface StateChange {
  /** Identity of the change in the source: what ids of the rows derive from. */
  readonly id: string;
  /** Its place in its transaction, from 0. */
  readonly ordinal: string;
  readonly before: NewRow | null;
  readonly after: NewRow | null;
  /** PostgreSQL text, UTC. */
  readonly committedAt: string;
  /** Who made it, from where and why, as the legacy application told; null where it did not. */
  readonly context: TransactionContext | null;
}

/** Append-only rows: each change of a state adds its own, and none is ever changed. Pure and total, both functions. */
export interface History<Settings extends object = TenantSettings> {
  /** Projected columns, `id` first; lineage is the runtime's. */
  readonly targets: readonly { readonly table: string; readonly columns: readonly string[] }[];
  /** Finds every row that a legacy row may ever have added, in each target: those where `column`, which has an index, equals `of(legacy key)`. */
  readonly scope: OwnedTarget['scope'];
  /** What of a legacy row the history is about; null where it has none of it. */
  stateOf(row: LegacyRow, tenants: Tenants<Settings>): NewRow | null;
  /** Rows by table. Only called where the two states differ. */
  readonly rowsOf: (change: StateChange) => Readonly<Record<string, readonly NewRow[]>>;
}

/**
 * A projection is data: a source, targets, and a pure and total `map`. Its name is that of its offsets, and the metric label.
 * Owned targets are written in the order given here, parents first, aggregates after them: references to a merged row are checked at commit.
 */
export interface Projection<Settings extends object = TenantSettings> {
  readonly name: string;
  /** Raised with every change of `map`, of a fold or of pinned configuration. */
  readonly version: string;
  /** Legacy table, without schema. */
  readonly source: string;
  /** Legacy column that names the tenant of a row; blank: unassigned. Without it the projection cannot be verified for one tenant alone. */
  readonly tenant?: { readonly column: string };
  /** Legacy columns that decide whose a row is, which rows exist, who must not be called, and money: without one of them a projector stops. */
  readonly requires: readonly string[];
  /** Every legacy column that a rule names, the required ones among them. One that the table lacks counts as null; one that no rule names is kept aside. */
  readonly reads: readonly string[];
  readonly owned: readonly OwnedTarget[];
  readonly aggregates: readonly Aggregate[];
  map(row: LegacyRow, tenants: Tenants<Settings>): Implied;
  /** Of a history projection, which implies no other rows. */
  readonly history?: History<Settings>;
}

/** Projections of what is, without the histories: their rows depend on the legacy rows alone, and can be verified against them. */
export function statesOf(projections: readonly Projection[]): Projection[] {
  return projections.filter(({ history }) => history === undefined);
}

/** What a definition carries, and a copy of it too: one that is spread into another stays a projection. */
const MARK = Symbol.for('crosswalk.projection');

export function isProjection(value: unknown): value is Projection {
  return typeof value === 'object' && value !== null && MARK in value;
}

/** Checks a projection's declaration when its module is loaded, and returns it. */
export function defineProjection<Settings extends object>(projection: Projection<Settings>): Projection<Settings> {
  for (const target of projection.owned) {
    if (target.columns[0] !== 'id')
      throw new Error(`projection ${projection.name}: ${target.table} must list id first`);
  }
  const unread = projection.requires.filter((column) => !projection.reads.includes(column));
  if (unread.length > 0)
    throw new Error(`projection ${projection.name}: requires ${unread.join(', ')}, which its rules do not read`);
  const map = rememberPerRow(projection);
  return Object.assign({ ...projection, map }, { [MARK]: true });
}

/** What a row implies, worked out once as long as the row is there: the history of a projection's rows asks for it again. */
function rememberPerRow<Settings extends object>(projection: Projection<Settings>): Projection<Settings>['map'] {
  const remembered = new WeakMap<LegacyRow, { readonly tenants: Tenants<Settings>; readonly implied: Implied }>();
  return (row, tenants) => {
    const earlier = remembered.get(row);
    if (earlier?.tenants === tenants) return earlier.implied;
    const implied = projection.map(row, tenants);
    remembered.set(row, { tenants, implied });
    return implied;
  };
}

/** A projection that keeps the history of a state, and nothing else. */
export function defineHistory<Settings extends object>({
  history,
  ...projection
}: Pick<Projection, 'name' | 'version' | 'source' | 'requires' | 'reads'> & {
  readonly history: History<Settings>;
}): Projection<Settings> {
  return defineProjection<Settings>({
    ...projection,
    owned: [],
    aggregates: [],
    map: () => ({ rows: {}, contributions: [] }),
    history,
  });
}
