import type { Aggregate, Cell, Contribution, FoldedRow, NewRow } from '../projection.ts';
import { toNeighbour } from './plausible-values.ts';

/** The part of a contributor that determines a folded cell: a column of its data, `moved_to`, or, if null, only its presence. */
export interface FoldSource {
  /** Its index in the given contributions. */
  readonly contributor: number;
  readonly column: string | null;
}

/** Origin of a cell of a folded row. `copied`: equal in text to its sources, several if they have the same value. `key`: it is the merge key. */
export interface FoldOrigin {
  readonly kind: 'copied' | 'computed' | 'key' | 'constant';
  readonly from: readonly FoldSource[];
}

/** `isWhole` false: there are too many contributors to test all of them. */
export interface FoldTrace {
  readonly origins: Readonly<Record<string, FoldOrigin>>;
  readonly isWhole: boolean;
}

const MOVED_TO = 'moved_to';
/** With more contributors than this none is tested: each test folds all of them. */
const MOST_ASKED = 10_000;
/** Up to this many contributors each one is tested; more are bisected, as far as a half determines anything. */
const MOST_ALONE = 64;
/** With more than that: most contributors found for one cell and one kind of change. */
const MOST_FOUND = 20;
/** Up to this many distinct cells of a column, equal ones are changed together. */
const MOST_GROUPS = 16;

type Change = (contribution: Contribution) => Contribution | null;

/**
 * Finds the contributors that each cell of a folded row comes from. It omits contributors, and changes their cells to null or to a neighbouring value, one at a time.
 * Null if the contributions do not fold to such a row, or are too many.
 */
export function traceFold(
  aggregate: Aggregate,
  mergeKey: string,
  contributions: readonly Contribution[],
  table: string,
  id: string,
): FoldTrace | null {
  if (contributions.length > MOST_ASKED) return null;
  const asked = createFoldQuestion(aggregate, mergeKey, contributions, table, id);
  if (asked === null) return null;
  const { row, columns } = asked;
  const sources = new Map(columns.map((column) => [column, [] as FoldSource[]]));
  const all = [...contributions.keys()];
  const dataColumns = [...new Set(contributions.flatMap(({ data }) => Object.keys(data)))];
  const changesOf = new Map([...dataColumns, MOVED_TO].map((column) => [column, toCellChanges(contributions, column)]));
  const search = createSearch(asked, all);

  for (const [column, changes] of changesOf) {
    for (const change of changes) {
      search.run(change, (contributor, changed) => {
        for (const name of changed) addTo(sources.get(name)!, { contributor, column });
      });
    }
  }
  search.run(
    () => null,
    (contributor, changed) => {
      for (const name of changed) {
        const known = sources.get(name)!;
        if (!known.some((source) => source.contributor === contributor)) known.push({ contributor, column: null });
      }
    },
  );
  const isOpen = (name: string) => sources.get(name)!.length === 0 && row[name] !== mergeKey;
  for (const [name, found] of findAgreed(asked, dataColumns, columns.filter(isOpen))) sources.get(name)!.push(...found);

  const origins = Object.fromEntries(
    columns.map((column) => [
      column,
      toFoldOrigin(column, row[column] ?? null, mergeKey, sources.get(column)!, contributions),
    ]),
  );
  return { origins, isWhole: search.isWhole() };
}

type FoldQuestion = NonNullable<ReturnType<typeof createFoldQuestion>>;

/** Tests how the row changes if other contributions are folded. */
function createFoldQuestion(
  aggregate: Aggregate,
  mergeKey: string,
  contributions: readonly Contribution[],
  table: string,
  id: string,
) {
  const fold = (some: readonly Contribution[]): readonly FoldedRow[] => {
    if (some.length === 0) return [];
    try {
      return aggregate.fold(mergeKey, some)[table] ?? [];
    } catch {
      return [];
    }
  };
  const rows = fold(contributions);
  const at = rows.findIndex((result) => result.row.id === id);
  const row = rows[at]?.row;
  if (row === undefined) return null;
  const columns = Object.keys(row);
  const differing = (other: NewRow | undefined) =>
    other === undefined ? null : columns.filter((column) => (other[column] ?? null) !== (row[column] ?? null));
  return {
    contributions,
    row,
    columns,
    /** Columns that differ then; null if there is no such row. */
    ask: (some: readonly Contribution[]) => differing(fold(some).find((result) => result.row.id === id)?.row),
    /** As `ask`, but also finds the row in its position if its id differs. */
    askInPlace(some: readonly Contribution[]) {
      const others = fold(some);
      const inPlace = others.length === rows.length ? others[at] : undefined;
      return differing((others.find((result) => result.row.id === id) ?? inPlace)?.row);
    },
  };
}

/** Finds the contributors whose change affects the row; of many, only a few for each kind of change. */
function createSearch({ contributions, ask }: FoldQuestion, all: readonly number[]) {
  const mostFolds = 4 * (Math.ceil(Math.log2(all.length)) + MOST_FOUND);
  let isWhole = true;
  return {
    isWhole: () => isWhole,
    run(change: Change, found: (contributor: number, changed: readonly string[]) => void): void {
      const isSmall = all.length <= MOST_ALONE;
      let folds = 0;
      let count = 0;
      const visit = (some: readonly number[]): void => {
        if (!isSmall && (folds > mostFolds || count >= MOST_FOUND)) {
          isWhole = false;
          return;
        }
        folds += 1;
        const chosen = new Set(some);
        const changed = ask(
          contributions.flatMap((each, index) => (chosen.has(index) ? (change(each) ?? []) : [each])),
        );
        if (some.length === 1) {
          if (changed === null || changed.length === 0) return;
          count += 1;
          found(some[0]!, changed);
        } else if (changed === null || changed.length > 0) {
          const middle = some.length >> 1;
          visit(some.slice(0, middle));
          visit(some.slice(middle));
        }
      };
      for (const block of isSmall ? all.map((index) => [index]) : [all]) visit(block);
    },
  };
}

/** A value on which contributors agree shows only if all that have it are changed together. */
function findAgreed(
  { contributions, askInPlace }: FoldQuestion,
  dataColumns: readonly string[],
  open: readonly string[],
): Map<string, FoldSource[]> {
  const agreed = new Map<string, FoldSource[]>();
  for (const column of open.length === 0 ? [] : dataColumns) {
    const groups = Map.groupBy(contributions.keys(), (index) => cellOf(contributions[index]!, column));
    if (groups.size > MOST_GROUPS) continue;
    for (const [cell, group] of groups) {
      const chosen = new Set(group);
      const other = cell === null ? 'x~' : toNeighbour(cell, 1);
      const changed = askInPlace(
        contributions.map((each, index) => (chosen.has(index) ? withCell(each, column, other) : each)),
      );
      for (const name of open) {
        if (!changed?.includes(name)) continue;
        agreed.set(name, [...(agreed.get(name) ?? []), ...group.map((contributor) => ({ contributor, column }))]);
      }
    }
  }
  return agreed;
}

/** The changes made to a contributor's cell of a column: to null, and to its neighbours; a null to a value that another contributor has. */
function toCellChanges(contributions: readonly Contribution[], column: string): Change[] {
  const greatest = contributions.reduce((known, each) => {
    const cell = cellOf(each, column) ?? '';
    return cell > known ? cell : known;
  }, '');
  const changes = [
    () => null,
    (cell: Cell) => (cell === null ? greatest || 'x~' : toNeighbour(cell, 1)),
    (cell: Cell) => (cell === null ? null : (toNeighbour(cell, -1) ?? cell)),
  ];
  return changes.map((change) => (each) => withCell(each, column, change(cellOf(each, column))));
}

function toFoldOrigin(
  name: string,
  cell: Cell,
  mergeKey: string,
  sources: readonly FoldSource[],
  contributions: readonly Contribution[],
): FoldOrigin {
  const alike = sources.filter(
    ({ contributor, column }) => column !== null && cellOf(contributions[contributor]!, column) === cell,
  );
  if (alike.length > 0) {
    // Sources that only determine which contributor is chosen are other columns.
    const column = alike.some((source) => source.column === name) ? name : alike[0]!.column;
    return { kind: 'copied', from: alike.filter((source) => source.column === column) };
  }
  if (sources.length > 0) {
    // A null source would count if it were filled; if other contributors fill it, the cell comes from those.
    const filled = sources.filter(
      (source) => source.column === null || cellOf(contributions[source.contributor]!, source.column) !== null,
    );
    return { kind: 'computed', from: filled.length > 0 ? filled : sources };
  }
  return { kind: cell === mergeKey ? 'key' : 'constant', from: [] };
}

function addTo(sources: FoldSource[], source: FoldSource): void {
  if (!sources.some(({ contributor, column }) => contributor === source.contributor && column === source.column))
    sources.push(source);
}

function cellOf(contribution: Contribution, column: string): Cell {
  return column === MOVED_TO ? contribution.movedTo : (contribution.data[column] ?? null);
}

function withCell(contribution: Contribution, column: string, cell: Cell): Contribution {
  if (column === MOVED_TO) return { ...contribution, movedTo: cell };
  return { ...contribution, data: { ...contribution.data, [column]: cell } };
}
