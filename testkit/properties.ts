import type { Arbitrary } from 'fast-check';
import type { LegacyRow, Projection, StateChange, Tenants } from '../projectors/projection.ts';
import { toLegacyKey } from '../projectors/source-change.ts';
import { isSameState } from '../projectors/write/map-history.ts';
import { LINEAGE_COLUMNS } from '../projectors/write/statements.ts';
import { anyCells, anyHistory, anyRow, type RowsOf } from './arbitrary-rows.ts';
import { compareRows } from './compare-rows.ts';
import { assertAdded, assertImplied, toColumnsByTable } from './declared.ts';
import { createDice, interleave, slice } from './dice.ts';
import { fault, showRow } from './fault.ts';
import type { Committed } from './legacy-tables.ts';
import type { FastCheck } from './load-fast-check.ts';
import { NewTables } from './new-tables.ts';
import { applyAndSee, toVariants, tryFold } from './try-fold.ts';

/** A failure, with the smallest example found. */
export interface Failure {
  readonly error: unknown;
  readonly example: readonly string[];
}

/** A property that must hold for all generated values. Returns null if it holds. */
export type Property = (settings: { readonly seed: number; readonly numRuns: number }) => Failure | null;

/** Guarantees of every projection, the simplest first. */
export function toProperties(fc: FastCheck, of: RowsOf, tenants: Tenants): Property[] {
  const history = fc.tuple(anyHistory(fc, of), fc.nat());
  const aggregates = [...new Set(of.projections.flatMap((projection) => projection.aggregates))];
  return [
    ...of.projections.flatMap((projection) => [
      toProperty(
        fc,
        anyCells(fc, [projection], of.examples),
        (row) => tryRow(projection, tenants, null, row),
        (row) => [showRow(row)],
      ),
      toProperty(
        fc,
        anyRow(fc, projection, of),
        (row) => tryRow(projection, tenants, keyOf(projection, of, row), row),
        (row) => [showRow(row)],
      ),
      ...(projection.history === undefined ? [] : [toHistoryProperty(fc, projection, of, tenants)]),
    ]),
    ...aggregates.map(({ name }): Property => {
      let most = 0;
      const holds = toProperty(
        fc,
        history,
        ([changes, salt]) => {
          const dice = createDice(salt);
          const aggregate = aggregates.find((known) => known.name === name)!;
          const seen = applyAndSee(new NewTables(of.projections, tenants), changes, name);
          for (const [mergeKey, versions] of seen) {
            most = Math.max(most, versions.length);
            for (const some of toVariants(versions, dice)) tryFold(aggregate, mergeKey, some, dice);
          }
        },
        showChanges,
      );
      return (settings) => {
        const failure = holds(settings);
        if (failure !== null || most > 1 || Object.keys(of.examples).length > 0) return failure;
        const what = 'no two of the rows that were made met under one merge key: give `examples` of rows that do';
        return { error: fault(`${name}: ${what}`), example: [] };
      };
    }),
    toProperty(fc, history, ([changes, salt]) => tryReplays(of.projections, tenants, changes, salt), showChanges),
  ];
}

/** Tries a check on generated values. */
function toProperty<T>(
  fc: FastCheck,
  values: Arbitrary<T>,
  attempt: (value: T) => void,
  toExample: (value: T) => readonly string[],
): Property {
  return (settings) => {
    const { failed, errorInstance: error, counterexample } = fc.check(fc.property(values, attempt), settings);
    return failed ? { error, example: counterexample === null ? [] : toExample(counterexample[0]) } : null;
  };
}

const NAMES = { c: 'insert', u: 'update', d: 'remove', r: 'read' };

function showChanges([changes]: readonly [readonly Committed[], number]): string[] {
  return changes.map(({ op, table, legacyKey, after, lineage: { committedAt } }) =>
    [committedAt, NAMES[op], table, legacyKey, after === null ? '' : showRow(after)].join(' ').trimEnd(),
  );
}

function keyOf({ source }: Projection, { keys }: RowsOf, row: LegacyRow): string {
  return toLegacyKey(pick(row, keys[source] ?? ['id']));
}

function pick(row: LegacyRow, columns: readonly string[]): Record<string, string> {
  return Object.fromEntries(columns.map((column) => [column, row[column]!]));
}

/** A frozen copy, without anything cached from an earlier mapping. */
function copyOf(row: LegacyRow): LegacyRow {
  return Object.freeze(Object.fromEntries(Object.entries(row)));
}

/** Runs `work` twice. Both results must be equal. */
function pure<T>(of: string, work: () => T): T {
  const run = () => {
    try {
      return work();
    } catch (error) {
      throw fault(`${of} threw ${error}`, error);
    }
  };
  const [first, second] = [run(), run()];
  if (JSON.stringify(first) === JSON.stringify(second)) return first;
  throw fault(`${of} returns one thing and then another for the same row: ids and cells must be derived from it`);
}

function tryRow(projection: Projection, tenants: Tenants, legacyKey: string | null, row: LegacyRow): void {
  const { name, history } = projection;
  assertImplied(
    projection,
    legacyKey,
    pure(`${name}: map`, () => projection.map(copyOf(row), tenants)),
  );
  if (history !== undefined) pure(`${name}: stateOf`, () => history.stateOf(copyOf(row), tenants));
}

/** Checks state changes between any two rows of one key, or no row. */
function toHistoryProperty(fc: FastCheck, projection: Projection, of: RowsOf, tenants: Tenants): Property {
  const { name, source, history } = projection as Projection & Required<Pick<Projection, 'history'>>;
  const other = fc.option(anyCells(fc, [projection], of.examples), { freq: 4 });
  const states = fc.tuple(anyRow(fc, projection, of), other, fc.boolean());
  const context = { actor: 'anna', ip: '192.0.2.7', reason: 'import' };
  const attempt = ([row, cells, isBack]: readonly [LegacyRow, LegacyRow | null, boolean]) => {
    const key = pick(row, of.keys[source] ?? ['id']);
    const one = history.stateOf(row, tenants);
    const two = cells === null ? null : history.stateOf({ ...cells, ...key }, tenants);
    const [before, after] = isBack ? [two, one] : [one, two];
    if (isSameState(before, after)) return;
    const change = { ordinal: '0', before, after, committedAt: '2024-01-01 00:00:00+00' };
    const add = (id: string, by: StateChange['context']) =>
      pure(`${name}: rowsOf`, () => history.rowsOf({ ...change, id, context: by }));
    const [added, later] = [add('1/0/10/0', context), add('1/0/20/0', null)];
    assertAdded(name, history, toLegacyKey(key), added);
    for (const { table } of history.targets) {
      const ids = new Set(added[table]?.map(({ id }) => id));
      if (later[table]?.some(({ id }) => ids.has(id)) === true)
        throw fault(`${name}: rowsOf gives rows of ${table} one id for two changes: derive it from the change's id`);
    }
  };
  return toProperty(fc, states, attempt, ([row, cells]) => [showRow(row), ...(cells === null ? [] : [showRow(cells)])]);
}

/** Applies changes one by one, each mapped again. */
function applyEach(tables: NewTables, changes: readonly Committed[]): NewTables {
  for (const change of changes) tables.apply([anew(change)]);
  return tables;
}

function anew(change: Committed): Committed {
  const [before, after] = [change.before, change.after].map((row) => (row === null ? null : copyOf(row)));
  return { ...change, before: before!, after: after! };
}

/** Live rows depend only on legacy rows, not on the order, batching or repetition of the changes. */
function tryReplays(
  projections: readonly Projection[],
  tenants: Tenants,
  changes: readonly Committed[],
  salt: number,
): void {
  const dice = createDice(salt);
  const create = () => new NewTables(projections, tenants);
  const tables = applyEach(create(), changes);
  const byKey = Map.groupBy(changes, ({ table, legacyKey }) => `${table}\0${legacyKey}`);
  const other = applyEach(create(), interleave([...byKey.values()], dice));
  assertSame(
    projections,
    tables,
    other,
    'rows depend on the order in which changes of several legacy rows are applied',
  );
  const batched = create();
  for (const batch of slice(changes, dice)) batched.apply(batch.map(anew));
  assertSame(projections, tables, batched, 'rows depend on which changes are applied in one batch: see needsHistory');
  const twice = applyEach(applyEach(create(), changes), changes);
  assertSame(projections, tables, twice, 'changes that are applied twice leave other rows');
}

/** Retracted rows may depend on intermediate states, so they are not compared. */
function assertSame(projections: readonly Projection[], expected: NewTables, actual: NewTables, what: string): void {
  for (const [table, columns] of toColumnsByTable(projections)) {
    const own = [...columns].filter((column) => !(LINEAGE_COLUMNS as readonly string[]).includes(column));
    const live = expected.rowsOf(table).filter((row) => (row.deleted_at ?? null) === null);
    const wanted = live.map((row) => Object.fromEntries(own.map((column) => [column, row[column] ?? null])));
    const lines = compareRows(table, actual.rowsOf(table), wanted);
    if (lines.length > 0) throw fault([`${projections.map(({ name }) => name)}: ${what}`, ...lines].join('\n'));
  }
}
