import type { TransactionContext } from '../changes/transaction-context.ts';

/** A value of a row in PostgreSQL's text form (ISO dates, UTC, `t`/`f`, array and JSON literals), or null. */
export type Cell = string | null;

/** A legacy row: column name → cell. */
export type LegacyRow = Readonly<Record<string, Cell>>;

/** A new row without lineage: column name → cell. Columns of its target that it leaves out are null. */
export type NewRow = Readonly<Record<string, Cell>>;

/** Pinned settings of one tenant, as a pipeline defines them; part of the mapping version. */
export type TenantSettings = object;

/** Returns the settings of a tenant. Total: unknown tenants have the defaults. */
export type Tenants<Settings extends object = TenantSettings> = (tenantId: string) => Settings;

/** A table whose rows are each implied by exactly one legacy row. `scope` finds every row that a legacy row may ever have implied: those where `column` equals `of(legacy key)`. */
export interface OwnedTarget {
  readonly table: string;
  /** Projected columns, `id` first; `deleted_at` and lineage are the runtime's. */
  readonly columns: readonly string[];
  /** How to remove a row that is no longer implied. */
  readonly retract: 'soft-delete' | 'delete';
  /** Columns that are null in every row of this projection because others write them. They are verified, and repairs write them. */
  readonly blank?: readonly string[];
  readonly scope: { readonly column: string; readonly of: (legacyKey: string) => string };
}

/** What one legacy row contributes to a merged row. Retired contributions are kept, with their last data. */
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

/** A row that a fold yields, live or soft-deleted, and the contributions that it depends on. The newest of them is its lineage. */
export interface FoldedRow {
  readonly row: NewRow;
  readonly deletedAt: Cell;
  readonly from: readonly Contribution[];
}

/** Contributions that a fold needs: the greatest, by a total order, of those that match `among`, or all of those. Chosen separately among live and retired contributions. */
export interface Choice {
  readonly among: (contribution: Contribution) => boolean;
  /** Positive if `left` is greater; 0 only between versions of one legacy row. Null: all of them are needed. */
  readonly compare: ((left: Contribution, right: Contribution) => number) | null;
}

/** The contributions under one merge key that a fold needs, so that it does not read all of many. */
export interface FoldNeeds {
  /** Raised with every change of the choices or of the parts. Fronts stored by an earlier version are computed again. */
  readonly version: string;
  readonly whole: readonly Choice[];
  /**
   * Rows that depend on a part of the contributions (those of one address). For them, the fold needs the contributions chosen within the part and those chosen for the
   * whole. `of` returns null for a contribution of no part.
   */
  readonly parts?: {
    readonly of: (contribution: Contribution) => string | null;
    readonly choices: readonly Choice[];
    /**
     * What the rows of every part take from the whole, as a text. The contributions chosen for the whole determine it, whichever others are passed with them. If it
     * changes, all parts are folded again. Without it, a row of a part may depend on the whole only if a contribution of its part is among the chosen ones.
     */
    readonly shared?: (contributions: readonly Contribution[]) => string | null;
  };
}

/** A table that a fold writes. */
export interface MergedTarget {
  readonly table: string;
  readonly columns: readonly string[];
  /** The column with the merge key. Rows of that key that a fold omits are soft-deleted, unless they appear under another key in the same transaction. */
  readonly key: string;
  /** Legacy tables whose projections own rows of this table. These rows never belong to the fold, whatever their merge key; every other projected row does. */
  readonly ownedFrom?: readonly string[];
}

/** Tables whose rows have several contributors and are folded together under one merge key: one lock, one fold. */
export interface Aggregate {
  readonly name: string;
  readonly targets: readonly MergedTarget[];
  /** Whether intermediate contributions within a batch matter. If so, every change of a legacy row is mapped, not only the last. */
  readonly needsHistory: boolean;
  /** Commutative and total: the result must not depend on the order of `contributions` (never empty). Keyed by table. */
  readonly fold: (
    mergeKey: string,
    contributions: readonly Contribution[],
  ) => Readonly<Record<string, readonly FoldedRow[]>>;
  /**
   * Any set that includes the chosen contributions must fold to the same rows as all contributions: the rows of the whole, and those of every part whose chosen
   * contributions are included. Without `needs`, every fold reads all contributions of its merge key.
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

/** One change of the state that a history keeps. A null state: the legacy row has none. */
export interface StateChange {
  /** Identity of the change in the source, from which row ids are derived. */
  readonly id: string;
  /** Position in its transaction, from 0. */
  readonly ordinal: string;
  readonly before: NewRow | null;
  readonly after: NewRow | null;
  /** PostgreSQL text, UTC. */
  readonly committedAt: string;
  /** Who made it, from where and why, as reported by the legacy application; null if it reported nothing. */
  readonly context: TransactionContext | null;
}

/** Append-only rows: each change of a state adds its own, and none is ever changed. Both functions are pure and total. */
export interface History<Settings extends object = TenantSettings> {
  /** Projected columns, `id` first; lineage is the runtime's. */
  readonly targets: readonly { readonly table: string; readonly columns: readonly string[] }[];
  /** Finds every row that a legacy row may ever have added to each target: those where `column`, which has an index, equals `of(legacy key)`. */
  readonly scope: OwnedTarget['scope'];
  /** The part of a legacy row that the history records; null if it has none. */
  stateOf(row: LegacyRow, tenants: Tenants<Settings>): NewRow | null;
  /** Rows by table. Called only if the two states differ. */
  readonly rowsOf: (change: StateChange) => Readonly<Record<string, readonly NewRow[]>>;
}

/**
 * A projection is data: a source, targets, and a pure and total `map`. Its name identifies its offsets and labels its metrics. Owned targets are written in the given
 * order, parents first, and aggregates after them; references to a merged row are checked at commit.
 */
export interface Projection<Settings extends object = TenantSettings> {
  readonly name: string;
  /** Raised with every change of `map`, of a fold or of the pinned configuration. */
  readonly version: string;
  /** Legacy table, without schema. */
  readonly source: string;
  /**
   * Legacy column with the tenant of a row; blank: unassigned. Without it, a projection that owns rows cannot be verified for a single tenant. For one that only
   * contributes to merged rows, the contributions of all tenants are then compared.
   */
  readonly tenant?: { readonly column: string };
  /** Legacy columns that determine the owner of a row, the existence of rows, do-not-call marks, or money. A projector stops if one of them is missing. */
  readonly requires: readonly string[];
  /** Every legacy column that a rule uses, the required ones included. One that the table lacks counts as null; columns that no rule uses are kept separately. */
  readonly reads: readonly string[];
  readonly owned: readonly OwnedTarget[];
  readonly aggregates: readonly Aggregate[];
  map(row: LegacyRow, tenants: Tenants<Settings>): Implied;
  /** Set for a history projection, which implies no other rows. */
  readonly history?: History<Settings>;
}

/** Projections of current state, without histories. Their rows depend on the legacy rows alone and can be verified against them. */
export function statesOf(projections: readonly Projection[]): Projection[] {
  return projections.filter(({ history }) => history === undefined);
}

/** Marks a definition. Spreading copies it, so a projection spread into another object remains a projection. */
const MARK = Symbol.for('crosswalk.projection');

export function isProjection(value: unknown): value is Projection {
  return typeof value === 'object' && value !== null && MARK in value;
}

/** Validates a projection's declaration when its module is loaded, and returns it. */
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

/** Caches what a row implies for as long as the row object lives: the history of a projection's rows asks for it again. */
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

/** A projection that keeps only the history of a state. */
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
