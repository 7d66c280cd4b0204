import type { Aggregate, LegacyRow, NewRow, Projection, StateChange, Tenants } from '../projection.ts';
import type { SourceChange } from '../source-change.ts';
import { differingColumns } from './changed-cells.ts';
import type { Effect } from './explanation.ts';

/** Rows by table and id. Contributions are included under a name of their own, by merge key. */
export type RowsByTable = ReadonlyMap<string, ReadonlyMap<string, NewRow>>;

/** Name of the contributions to an aggregate among the tables. */
export function contributionsTo(aggregate: Pick<Aggregate, 'name'>): string {
  return `contribution to ${aggregate.name}`;
}

/** Rows that a legacy row implies; empty if it does not exist. Rethrows errors of the mapping. */
export function toImpliedRows(projection: Projection, tenants: Tenants, row: LegacyRow | null): RowsByTable {
  const tables = new Map<string, Map<string, NewRow>>();
  if (row === null) return tables;
  const { rows, contributions } = projection.map(row, tenants);
  for (const [table, list] of Object.entries(rows)) tables.set(table, new Map(list.map((each) => [each.id!, each])));
  for (const { aggregate, mergeKey, data } of contributions) {
    const name = contributionsTo({ name: aggregate });
    tables.set(name, new Map([...(tables.get(name) ?? []), [mergeKey, data]]));
  }
  return tables;
}

/** Cells that the rows of a history depend on, by name. */
export type HistoryInput = LegacyRow;

const [BEFORE, AFTER, CHANGE, CONTEXT] = ['before', 'after', 'change', 'context'] as const;

/** The old and new row of a change and the change itself as one row of cells: `before.<column>`, `after.<column>`, `change.<part>`, `context.<part>`. */
export function toHistoryInput(
  change: Pick<SourceChange, 'before' | 'after' | 'op' | 'identity' | 'lineage' | 'context'>,
  previous: LegacyRow | null | undefined,
): HistoryInput {
  const { before, after, op, identity, lineage, context } = change;
  const old = op === 'c' ? null : (before ?? previous ?? null);
  const side = (name: string, row: LegacyRow | null) =>
    Object.entries(row ?? {}).map(([column, cell]) => [`${name}.${column}`, cell] as const);
  return Object.fromEntries([
    ...side(BEFORE, old),
    ...side(AFTER, after),
    [`${CHANGE}.identity`, identity],
    [`${CHANGE}.ordinal`, identity.slice(identity.lastIndexOf('/') + 1)],
    [`${CHANGE}.committed_at`, lineage.committedAt],
    ...(context === undefined ? [] : side(CONTEXT, { ...context })),
  ]);
}

/** Rows that a change adds to a history; empty if the projection has none or the state stays the same. Rethrows errors of the mapping. */
export function toAppendedRows(projection: Projection, tenants: Tenants, input: HistoryInput): RowsByTable {
  const { history } = projection;
  if (history === undefined) return new Map();
  const stateOf = (side: string) => {
    const cells = Object.entries(input).filter(([name]) => name.startsWith(`${side}.`));
    if (cells.length === 0) return null;
    return history.stateOf(
      Object.fromEntries(cells.map(([name, cell]) => [name.slice(side.length + 1), cell])),
      tenants,
    );
  };
  const change: StateChange = {
    id: input[`${CHANGE}.identity`] ?? '',
    ordinal: input[`${CHANGE}.ordinal`] ?? '',
    committedAt: input[`${CHANGE}.committed_at`] ?? '',
    before: stateOf(BEFORE),
    after: stateOf(AFTER),
    context: `${CONTEXT}.actor` in input ? contextOf(input) : null,
  };
  if (differingColumns(change.before, change.after).length === 0) return new Map();
  return new Map(
    Object.entries(history.rowsOf(change)).map(([table, rows]) => [table, new Map(rows.map((row) => [row.id!, row]))]),
  );
}

const contextOf = (input: HistoryInput): StateChange['context'] => ({
  actor: input[`${CONTEXT}.actor`] ?? null,
  ip: input[`${CONTEXT}.ip`] ?? null,
  reason: input[`${CONTEXT}.reason`] ?? null,
});

/** Differences between two sets of rows, by table. */
export function toEffects(before: RowsByTable, after: RowsByTable): Effect[] {
  const effects: Effect[] = [];
  for (const what of new Set([...before.keys(), ...after.keys()])) {
    const [old, current] = [
      before.get(what) ?? new Map<string, NewRow>(),
      after.get(what) ?? new Map<string, NewRow>(),
    ];
    const columns = new Set<string>();
    let changed = 0;
    for (const [id, row] of current) {
      const known = old.get(id);
      const differing = known === undefined ? [] : differingColumns(known, row);
      if (differing.length > 0) changed += 1;
      for (const column of differing) columns.add(column);
    }
    const count = (kind: Effect['kind'], rows: number, names: readonly string[] = []) => {
      if (rows > 0) effects.push({ what, kind, rows, columns: names });
    };
    count('appears', [...current.keys()].filter((id) => !old.has(id)).length);
    count('changes', changed, [...columns]);
    count('disappears', [...old.keys()].filter((id) => !current.has(id)).length);
  }
  return effects;
}
