import { DecimalSum } from './decimal-sum.ts';

/** Row counts of one table and tenant. `differing`: rows on both sides that differ. */
export interface Counts {
  expected: number;
  actual: number;
  missing: number;
  extra: number;
  differing: number;
  unsettled: number;
}

/** Totals of one numeric column over the compared rows. */
export interface Sum {
  readonly table: string;
  readonly column: string;
  readonly expected: string;
  readonly actual: string;
}

interface Pair {
  readonly expected: DecimalSum;
  readonly actual: DecimalSum;
}

/** Figures of a run: counts by table and tenant since they were last taken, and sums since the start. */
export interface Tally {
  /** Rows that are the same on both sides. */
  countEqual(table: string, tenant: string, rows: number): void;
  count(table: string, tenant: string, add: Partial<Counts>): void;
  /** A cell of a numeric column. Null cells add nothing. */
  sum(table: string, column: string, side: 'expected' | 'actual' | 'both', cell: string | null): void;
  takeCounts(): Map<string, Map<string, Counts>>;
  /** Puts back what was taken and could not be saved. */
  putBack(counts: ReadonlyMap<string, ReadonlyMap<string, Counts>>): void;
  sums(): Sum[];
}

export function createTally(earlier: readonly Sum[] = []): Tally {
  let counts = new Map<string, Map<string, Counts>>();
  const sums = new Map<string, Map<string, Pair>>();
  const rowOf = (table: string, tenant: string): Counts =>
    getOrAdd(
      getOrAdd(counts, table, () => new Map<string, Counts>()),
      tenant,
      noCounts,
    );
  const pairOf = (table: string, column: string): Pair => {
    const columns = getOrAdd(sums, table, () => new Map<string, Pair>());
    return getOrAdd(columns, column, () => ({ expected: new DecimalSum(), actual: new DecimalSum() }));
  };
  for (const { table, column, expected, actual } of earlier) {
    const pair = pairOf(table, column);
    pair.expected.add(expected);
    pair.actual.add(actual);
  }
  const count: Tally['count'] = (table, tenant, add) => {
    const row = rowOf(table, tenant);
    for (const name of Object.keys(add) as (keyof Counts)[]) row[name] += add[name] ?? 0;
  };
  return {
    countEqual(table, tenant, rows) {
      const row = rowOf(table, tenant);
      row.expected += rows;
      row.actual += rows;
    },
    count,
    sum(table, column, side, cell) {
      const pair = pairOf(table, column);
      if (cell === null) return;
      if (side !== 'actual') pair.expected.add(cell);
      if (side !== 'expected') pair.actual.add(cell);
    },
    takeCounts() {
      const taken = counts;
      counts = new Map();
      return taken;
    },
    putBack(taken) {
      for (const [table, tenants] of taken) for (const [tenant, of] of tenants) count(table, tenant, of);
    },
    sums: () =>
      [...sums].flatMap(([table, columns]) =>
        [...columns].map(([column, { expected, actual }]) => ({
          table,
          column,
          expected: expected.toText(),
          actual: actual.toText(),
        })),
      ),
  };
}

export function noCounts(): Counts {
  return { expected: 0, actual: 0, missing: 0, extra: 0, differing: 0, unsettled: 0 };
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
