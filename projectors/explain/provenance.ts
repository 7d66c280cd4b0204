import type { Cell, LegacyRow, NewRow, Tenants } from '../projection.ts';
import { type JsonPath, toJsonLeaves } from './json-leaves.ts';
import { toPlausibleValues } from './plausible-values.ts';

/** A cell that another one depends on; `path`: the part of it, if it holds JSON. */
export interface Source {
  readonly column: string;
  readonly path?: JsonPath;
}

/**
 * Origin of a cell. `copied`: equal in text to the one source that it depends on, and follows its value. `computed`: depends on its sources and on its tenant's
 * `settings`. `configured`: on settings alone. `constant`: on nothing in the row.
 */
export interface Origin {
  readonly kind: 'copied' | 'computed' | 'configured' | 'constant';
  readonly from: readonly Source[];
  readonly settings: readonly string[];
}

/** A key of a JSON object that is a name and hardly a value. */
const namePattern = /^[a-z_][a-z0-9_]{0,40}$/i;

/** The origin without keys of JSON objects that may be values. */
export function withoutJsonKeys(origin: Origin): Origin {
  const from = origin.from.map(({ column, path }) =>
    path === undefined
      ? { column }
      : { column, path: path.map((step) => (typeof step === 'number' || namePattern.test(step) ? step : '*')) },
  );
  return { ...origin, from };
}

/** Computes rows from named cells. `rowsOf` is pure; inputs that it throws on are skipped. */
export interface Computation {
  readonly input: LegacyRow;
  readonly tenants: Tenants;
  /** Alternative values of each tenant setting. */
  readonly otherSettings?: Readonly<Record<string, readonly unknown[]>>;
  rowsOf(input: LegacyRow, tenants: Tenants): readonly NewRow[];
  /** Values that a column has held elsewhere. */
  readonly seen?: ReadonlyMap<string, Iterable<string>>;
}

/** Origins of the cells of a row, by column. `existence`: columns without whose present value the row would not exist. */
export interface RowTrace {
  readonly origins: Readonly<Record<string, Origin>>;
  readonly existence: readonly string[];
}

/**
 * Finds the origins of the cells of row `id` by experiment: it changes one cell of the input at a time; the cells that change with it depend on it. The result holds for
 * this row: a column without influence here may have influence in another row. Null if the input does not imply the row.
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
  /** By column, with its parts that determine the cell. */
  readonly from: Map<string, readonly Source[]>;
  /** Columns whose alternative values the cell has followed. */
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

/** Tests how the row changes with another input. */
function createRowQuestion({ input, tenants, rowsOf }: Computation, id: string) {
  const rows = rowsOf(input, tenants);
  const at = rows.findIndex((row) => row.id === id);
  const row = rows[at];
  if (row === undefined) return null;
  const columns = Object.keys(row);
  return {
    row,
    /** Cells that differ then, by column; empty if nothing is computed. */
    ask(given: LegacyRow, under: Tenants = tenants): 'gone' | ReadonlyMap<string, Cell> {
      let others: readonly NewRow[];
      try {
        others = rowsOf(given, under);
      } catch {
        return new Map();
      }
      // If the key changes, the rows have other ids but keep their order.
      const inPlace = others.length === rows.length ? others[at] : undefined;
      const other = others.find((candidate) => candidate.id === id) ?? inPlace;
      if (other === undefined) return 'gone';
      const cells = columns.map((column) => [column, other[column] ?? null] as const);
      return new Map(cells.filter(([column, cell]) => cell !== (row[column] ?? null)));
    },
  };
}

/** The parts of a JSON cell that cells depend on, as far as single parts determine them. A cell equal to the whole cell is not attributed to its parts. */
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
  // Two nulls are equal even if neither is a copy of the other.
  const isFollowing = source.path !== undefined || dependence.followed.has(source.column);
  return { kind: isOnly && isFollowing && textOf(source, input) === cell ? 'copied' : 'computed', from, settings };
}

function textOf({ column, path }: Source, input: LegacyRow): Cell {
  const cell = input[column] ?? null;
  if (path === undefined || cell === null) return cell;
  const name = JSON.stringify(path);
  return toJsonLeaves(cell).find((leaf) => JSON.stringify(leaf.path) === name)?.text ?? null;
}
