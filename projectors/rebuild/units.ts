import type { Projection } from '../projection.ts';
import { type TargetShapes, targetTables } from '../write/catalog.ts';
import { LINEAGE_COLUMNS, writtenColumns } from '../write/statements.ts';

/** A column with its type as PostgreSQL spells it. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

/** The unit of comparison and merge: the rows of one table that belong to one projection, the contributions of legacy rows to an aggregate, or the state of a history. */
export interface Unit {
  readonly number: number;
  readonly projection: string;
  readonly kind: 'owned' | 'merged' | 'history' | 'contribution' | 'state';
  /** `crosswalk`, or the schema of the new tables. */
  readonly schema: string;
  readonly table: string;
  /** Primary key. */
  readonly keys: readonly Column[];
  /** Compared columns. */
  readonly compared: readonly Column[];
  /** Columns that a merge writes, keys included. */
  readonly written: readonly string[];
  readonly hasDeletedAt: boolean;
  /** Projections by legacy table, for all legacy tables that the unit's rows come from. */
  readonly sources: ReadonlyMap<string, string>;
  /**
   * Legacy tables whose rows in this table do not belong to the unit. Null: all except its `sources`. If no projection outside the rebuild writes the
   * table, its first unit also covers rows that name a legacy table without a projection.
   */
  readonly others: readonly string[] | null;
  /** How to find the rows of a legacy key: those whose column equals `of(key)`. Null if rows are not keyed by legacy key, or are keyed by the legacy key itself. */
  readonly scope: { readonly column: Column; readonly of: (legacyKey: string) => string } | null;
  /** Set for merged rows and contributions. */
  readonly aggregate: { readonly name: string; readonly keyColumn: string; readonly needsHistory: boolean } | null;
}

const contributionKeys: readonly Column[] = [
  { name: 'aggregate', type: 'text' },
  { name: 'merge_key', type: 'uuid' },
  { name: 'legacy_table', type: 'text' },
  { name: 'legacy_key', type: 'text' },
];
const contributionRest = ['live', 'moved_to', 'data', 'source_lsn', 'source_xid', 'source_committed_at'];

/** Units that a rebuild of projections compares, in their order. `all`: all existing projections; rows of the others are left alone. */
export function toUnits(
  projections: readonly Projection[],
  all: readonly Projection[],
  shapes: TargetShapes,
  targetSchema: string,
): Unit[] {
  const units: Unit[] = [];
  const add = (unit: Omit<Unit, 'number' | 'others'>) => units.push({ ...unit, number: units.length, others: null });
  const addRows = (
    unit: Pick<Unit, 'projection' | 'kind' | 'table' | 'sources' | 'aggregate'>,
    columns: readonly string[],
    scope: { column: string; of: (legacyKey: string) => string } | null,
  ) => {
    const shape = shapes.get(unit.table)!;
    const toColumn = (name: string): Column => ({ name, type: shape.types[name]! });
    // Which contributor a merged row names depends on the batching of changes.
    const lineage = unit.kind === 'merged' ? [] : LINEAGE_COLUMNS.slice(0, 2);
    add({
      ...unit,
      schema: targetSchema,
      keys: [toColumn('id')],
      compared: [...columns.filter((name) => name !== 'id'), ...lineage].map(toColumn),
      written: writtenColumns(shape, columns),
      hasDeletedAt: 'deleted_at' in shape.types,
      scope: scope === null ? null : { ...scope, column: toColumn(scope.column) },
    });
  };
  const seen = new Set<string>();
  for (const { name, source, owned, aggregates, history } of projections) {
    const own = { projection: name, sources: new Map([[source, name]]), aggregate: null };
    for (const { table, columns, blank, scope } of owned)
      addRows({ ...own, kind: 'owned', table }, [...columns, ...(blank ?? [])], scope);
    if (history !== undefined) {
      for (const { table, columns } of history.targets)
        addRows({ ...own, kind: 'history', table }, columns, history.scope);
      add({ ...own, ...stateUnit });
    }
    for (const aggregate of aggregates.filter((each) => !seen.has(each.name))) {
      seen.add(aggregate.name);
      const contributors = projections.filter((each) => each.aggregates.some((its) => its.name === aggregate.name));
      const sources = new Map(contributors.map((each) => [each.source, each.name]));
      const merged = { ...own, sources };
      const ofKey = (key: string) => ({ name: aggregate.name, keyColumn: key, needsHistory: aggregate.needsHistory });
      for (const { table, columns, key } of aggregate.targets)
        addRows({ ...merged, kind: 'merged', table, aggregate: ofKey(key) }, columns, null);
      add({ ...merged, ...contributionUnit, aggregate: ofKey('merge_key') });
    }
  }
  const absent = all.filter(({ name }) => !projections.some((chosen) => chosen.name === name));
  return units.map((unit) => {
    const ofTable = units.filter(({ table }) => table === unit.table);
    if (ofTable[0] !== unit || absent.some((other) => targetTables(other).includes(unit.table))) return unit;
    return { ...unit, others: ofTable.slice(1).flatMap(({ sources }) => [...sources.keys()]) };
  });
}

const contributionUnit = {
  kind: 'contribution',
  schema: 'crosswalk',
  table: 'contribution',
  keys: contributionKeys,
  compared: [
    { name: 'live', type: 'boolean' },
    { name: 'data', type: 'jsonb' },
  ],
  written: [...contributionKeys.map(({ name }) => name), ...contributionRest, 'mapping_version'],
  hasDeletedAt: false,
  scope: null,
} as const;

const stateUnit = {
  kind: 'state',
  schema: 'crosswalk',
  table: 'history_state',
  keys: [
    { name: 'projection', type: 'text' },
    { name: 'legacy_key', type: 'text' },
  ],
  compared: [
    { name: 'record_offset', type: 'bigint' },
    { name: 'state', type: 'jsonb' },
  ],
  written: ['projection', 'legacy_key', 'record_offset', 'state'],
  hasDeletedAt: false,
  scope: null,
} as const;

/**
 * Names of further projections that must be rebuilt together with these: those that contribute to the same merged rows, and those that write rows of the
 * same legacy table into the same table.
 */
export function inseparableFrom(projections: readonly Projection[], all: readonly Projection[]): string[] {
  const chosen = new Set(projections.map(({ name }) => name));
  const sharesRows = (a: Projection, b: Projection) =>
    a.aggregates.some(({ name }) => b.aggregates.some((other) => other.name === name)) ||
    (a.source === b.source && targetTables(a).some((table) => targetTables(b).includes(table)));
  const group = [...projections];
  for (const member of group) {
    for (const other of all) if (!group.includes(other) && sharesRows(member, other)) group.push(other);
  }
  return group.map(({ name }) => name).filter((name) => !chosen.has(name));
}
