import type { Cell, LegacyRow, NewRow, Tenants } from '../projection.ts';
import { type JsonPath, toJsonLeaves } from './json-leaves.ts';
import { toPlausibleValues } from './plausible-values.ts';

/** A cell that another one depends on; `path`: the part of it, where it holds JSON. */
export interface Source {
  readonly column: string;
  readonly path?: JsonPath;
}

/**
 * Where a cell comes from. `copied`: it is equal in text to the one source that it depends on, and stays so with another value of it. `computed`: it depends on its sources, and on its
 * tenant's `settings`. `configured`: on settings alone. `constant`: on nothing that the row holds.
 */
export interface Origin {
  readonly kind: 'copied' | 'computed' | 'configured' | 'constant';
  readonly from: readonly Source[];
  readonly settings: readonly string[];
}

/** A key of a JSON object that is a name, and hardly a value. */
const namePattern = /^[a-z_][a-z0-9_]{0,40}$/i;

/** The origin with those keys of JSON objects left out that may be values. */
export function withoutJsonKeys(origin: Origin): Origin {
  const from = origin.from.map(({ column, path }) =>
    path === undefined
      ? { column }
      : { column, path: path.map((step) => (typeof step === 'number' || namePattern.test(step) ? step : '*')) },
  );
  return { ...origin, from };
}

/** How rows come about from cells by name. `rowsOf` is pure; what it throws on is left out. */
export interface Computation {
  readonly input: LegacyRow;
  readonly tenants: Tenants;
  /** Other values of each setting of a tenant. */
  readonly otherSettings?: Readonly<Record<string, readonly unknown[]>>;
  rowsOf(input: LegacyRow, tenants: Tenants): readonly NewRow[];
  /** Values that a column has held elsewhere. */
  readonly seen?: ReadonlyMap<string, Iterable<string>>;
}

/** Where the cells of a row come from, by column. `existence`: columns without whose present value there would be no such row. */
export interface RowTrace {
  readonly origins: Readonly<Record<string, Origin>>;
  readonly existence: readonly string[];
}

/**
 * Finds where the cells of the row `id` come from by asking: one cell of the input is changed at a time, and what changes with it depends on it. What it
 * says holds for this row: a column that decides nothing here may decide in another one. Null where the input implies no such row.
 */
export function traceRow(computation: Computation, id: string): RowTrace | null {
  const { input, tenants, otherSettings = {}, seen } = computation;
  const question = createRowQuestion(computation, id);
  if (question === null) return null;
  const { row, ask } = question;
  const found = new Map(Object.keys(row).map((name) => [name, createDependence()]));
  const existence: string[] = [];
  for (const column of Object.keys(input)) {
    for (const value of toPlausibleValues(input[column] ?? null, seen?.get(column))) {
      const answer = ask({ ...input, [column]: value });
      if (answer === 'gone') {
        if (!existence.includes(column)) existence.push(column);
      } else for (const [name, cell] of answer) found.get(name)!.add(column, cell === value);
    }
    const isDecisive = existence.includes(column) || [...found.values()].some(({ from }) => from.has(column));
    if (isDecisive)
      for (const [name, parts] of toParts(question, input, column)) found.get(name)!.from.set(column, parts);
  }
  for (const [setting, values] of Object.entries(otherSettings)) {
    for (const value of values) {
      const answer = ask(input, (tenantId) => ({ ...tenants(tenantId), [setting]: value }));
      if (answer !== 'gone') for (const name of answer.keys()) found.get(name)!.settings.add(setting);
    }
  }
  const origins = [...found].map(([name, dependence]) => [name, toOrigin(row[name] ?? null, dependence, input)]);
  return { origins: Object.fromEntries(origins), existence };
}

interface Dependence {
  /** By column, with the parts of it that decide. */
  readonly from: Map<string, readonly Source[]>;
  /** Columns of which it has taken over another value. */
  readonly followed: Set<string>;
  readonly settings: Set<string>;
  add(column: string, follows: boolean): void;
}

function createDependence(): Dependence {
  const from = new Map<string, readonly Source[]>();
  const followed = new Set<string>();
  return {
    ...{ from, followed, settings: new Set() },
    add(column, follows) {
      from.set(column, [{ column }]);
      if (follows) followed.add(column);
    },
  };
}

type RowQuestion = NonNullable<ReturnType<typeof createRowQuestion>>;

/** What another input would make of the row. */
function createRowQuestion({ input, tenants, rowsOf }: Computation, id: string) {
  const rows = rowsOf(input, tenants);
  const at = rows.findIndex((row) => row.id === id);
  const row = rows[at];
  if (row === undefined) return null;
  const columns = Object.keys(row);
  return {
    row,
    /** Cells that are other ones then, by column; none where nothing is computed. */
    ask(given: LegacyRow, under: Tenants = tenants): 'gone' | ReadonlyMap<string, Cell> {
      let others: readonly NewRow[];
      try {
        others = rowsOf(given, under);
      } catch {
        return new Map();
      }
      // With the key its rows have other ids; they keep their order.
      const inPlace = others.length === rows.length ? others[at] : undefined;
      const other = others.find((candidate) => candidate.id === id) ?? inPlace;
      if (other === undefined) return 'gone';
      const cells = columns.map((column) => [column, other[column] ?? null] as const);
      return new Map(cells.filter(([column, cell]) => cell !== (row[column] ?? null)));
    },
  };
}

/** The parts of a JSON cell that cells depend on, as far as single parts decide. What is equal to all of the cell is not told by its parts. */
function toParts({ row, ask }: RowQuestion, input: LegacyRow, column: string): Map<string, Source[]> {
  const parts = new Map<string, Source[]>();
  const cell = input[column] ?? null;
  for (const { path, variants } of cell === null ? [] : toJsonLeaves(cell)) {
    const answers = variants.map((value) => ask({ ...input, [column]: value }));
    for (const name of new Set(answers.flatMap((answer) => (answer === 'gone' ? [] : [...answer.keys()])))) {
      if (row[name] !== cell) parts.set(name, [...(parts.get(name) ?? []), { column, path }]);
    }
  }
  return parts;
}

function toOrigin(cell: Cell, dependence: Dependence, input: LegacyRow): Origin {
  const from = [...dependence.from.values()].flat();
  const settings = [...dependence.settings];
  const [source] = from;
  if (source === undefined) return { kind: settings.length > 0 ? 'configured' : 'constant', from, settings };
  const isOnly = from.length === 1 && settings.length === 0;
  // Two nulls are equal also where one is not the copy of the other.
  const isFollowing = source.path !== undefined || dependence.followed.has(source.column);
  return { kind: isOnly && isFollowing && textOf(source, input) === cell ? 'copied' : 'computed', from, settings };
}

function textOf({ column, path }: Source, input: LegacyRow): Cell {
  const cell = input[column] ?? null;
  if (path === undefined || cell === null) return cell;
  const name = JSON.stringify(path);
  return toJsonLeaves(cell).find((leaf) => JSON.stringify(leaf.path) === name)?.text ?? null;
}
