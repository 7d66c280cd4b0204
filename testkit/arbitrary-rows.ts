import type { Arbitrary } from 'fast-check';
import type { Cell, LegacyRow, Projection } from '../projectors/projection.ts';
import { HUGE_CELLS, KEYS, ODD_CELLS, PLAIN_CELLS } from './cells.ts';
import { createDice, interleave } from './dice.ts';
import {
  type Committed,
  type Examples,
  insert,
  type Keys,
  type LegacyChange,
  LegacyTables,
  remove,
  update,
} from './legacy-tables.ts';
import type { FastCheck } from './load-fast-check.ts';

/** Input of the row generators. */
export interface RowsOf {
  readonly projections: readonly Projection[];
  readonly keys: Keys;
  readonly examples: Examples;
}

/** Key cells of row `number`, distinct for each number. */
function toKeyCells(columns: readonly string[], number: number): LegacyRow {
  if (columns.length === 1) return { [columns[0]!]: KEYS[number]! };
  // The first column groups rows, like the parent key of a detail row.
  const [first, ...others] = columns;
  const rest = others.map((column) => [column, KEYS[Math.floor(number / 3)]!]);
  return { [first!]: KEYS[number % 3]!, ...Object.fromEntries(rest) };
}

/** `plain`: typical cells. `odd`: unusual cells that a mapping may not handle. `huge`: odd cells, and some that are slow to process. */
type Kind = 'plain' | 'odd' | 'huge';

/** A limited number of cells for some columns: null, keys of rows, cells of examples, and others of a kind. */
function anyCellsOf(
  fc: FastCheck,
  columns: readonly string[],
  examples: readonly LegacyRow[],
  kind: Kind,
  most = columns.length,
): Arbitrary<LegacyRow> {
  const common: { weight: number; arbitrary: Arbitrary<Cell> }[] = [
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...KEYS) },
    ...(kind === 'plain' ? [{ weight: 2, arbitrary: fc.constantFrom(...PLAIN_CELLS) }] : oddCells(fc, kind)),
  ];
  const entries = columns.map((column) => {
    const known = [...new Set(examples.map((row) => (Object.hasOwn(row, column) ? row[column]! : null)))];
    const likely = known.length === 0 ? [] : [{ weight: 8, arbitrary: fc.constantFrom(...known) }];
    return fc.tuple(fc.constant(column), fc.oneof(...common, ...likely));
  });
  return fc
    .subarray(entries, { maxLength: Math.min(most, entries.length) })
    .chain((some) => fc.tuple(...some))
    .map((some): LegacyRow => Object.fromEntries(some));
}

function oddCells(fc: FastCheck, kind: Kind): { weight: number; arbitrary: Arbitrary<string> }[] {
  // Characters that PostgreSQL can store: no NUL, no surrogates.
  const character = fc.oneof(
    fc.integer({ min: 1, max: 0x7f }),
    fc.integer({ min: 0x80, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0x10ffff }),
  );
  const cells = kind === 'huge' ? [...ODD_CELLS, ...HUGE_CELLS] : ODD_CELLS;
  return [
    { weight: 3, arbitrary: fc.constantFrom(...cells) },
    { weight: 1, arbitrary: fc.array(character, { maxLength: 20 }).map((points) => String.fromCodePoint(...points)) },
    { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
  ];
}

/** Arbitrary cells for projections of one source, any of which may be missing, and columns without a rule; or an example with a few cells replaced. */
export function anyCells(
  fc: FastCheck,
  projections: readonly Projection[],
  examples: Examples,
  kind: Kind = 'huge',
): Arbitrary<LegacyRow> {
  const reads = [...new Set(projections.flatMap((projection) => projection.reads))];
  const known = examples[projections[0]!.source] ?? [];
  const any = anyCellsOf(fc, kind === 'plain' ? reads : [...reads, 'unheard_of', '__proto__'], known, kind);
  if (known.length === 0) return any;
  const few = anyCellsOf(fc, reads, known, kind, 4);
  const likely = fc.tuple(fc.constantFrom(...known), few).map(([row, others]) => ({ ...row, ...others }));
  return kind === 'plain' ? likely : fc.oneof(any, likely);
}

/** A row of a projection's source, including its key. */
export function anyRow(fc: FastCheck, projection: Projection, of: RowsOf): Arbitrary<LegacyRow> {
  const columns = of.keys[projection.source] ?? ['id'];
  return fc
    .tuple(anyCells(fc, [projection], of.examples), fc.nat(KEYS.length - 1))
    .map(([cells, number]) => ({ ...cells, ...toKeyCells(columns, number) }));
}

/** Next change of a legacy row; `cells` null: it is deleted. */
interface Step {
  readonly source: string;
  readonly number: number;
  readonly cells: LegacyRow | null;
  /** Whether it commits at the same time as the previous change. */
  readonly isTie: boolean;
}

/**
 * Committed changes of a few legacy rows. Half of the histories have plain cells. The rows are variants of even fewer rows, so that they share merge
 * keys; they are inserted, updated, deleted and inserted again.
 */
export function anyHistory(fc: FastCheck, of: RowsOf): Arbitrary<Committed[]> {
  const bySource = Map.groupBy(of.projections, ({ source }) => source);
  const toSteps = (kind: Kind) =>
    [...bySource].map(([source, projections]) => {
      const columns = [...new Set(projections.flatMap(({ reads }) => reads))];
      const variant = anyCellsOf(fc, columns, of.examples[source] ?? [], kind, kind === 'plain' ? 4 : 2);
      const base = fc.array(anyCells(fc, projections, of.examples, kind), { minLength: 1, maxLength: 2 });
      return base.chain((rows) => {
        const next = fc.tuple(fc.constantFrom(...rows), variant).map(([row, others]) => ({ ...row, ...others }));
        const step: Arbitrary<Step> = fc.record({
          source: fc.constant(source),
          // Mostly few numbers, so that one row changes repeatedly.
          number: fc.oneof(fc.nat(2), fc.nat(KEYS.length - 1)),
          cells: fc.option(next, { freq: 4 }),
          isTie: fc.boolean(),
        });
        return fc.array(step, { maxLength: Math.round(16 / bySource.size) + 8, size: 'max' });
      });
    });
  const lists = fc.oneof(fc.tuple(...toSteps('plain')), fc.tuple(...toSteps('odd')));
  return fc.tuple(lists, fc.nat()).map(([some, salt]) => commit(of, interleave(some, createDice(salt))));
}

function commit({ projections, keys }: RowsOf, steps: readonly Step[]): Committed[] {
  const legacy = new LegacyTables(new Set(projections.map(({ source }) => source)), keys);
  let seconds = 0;
  return steps.flatMap(({ source, number, cells, isTie }) => {
    if (!isTie) seconds++;
    const at = `2024-01-01 00:00:${String(seconds % 60).padStart(2, '0')}+00`;
    const key = toKeyCells(legacy.columnsOf(source), number);
    const change = toChange(legacy, source, key, cells, at);
    return change === null ? [] : legacy.change(change);
  });
}

function toChange(
  legacy: LegacyTables,
  source: string,
  key: LegacyRow,
  cells: LegacyRow | null,
  at: string,
): LegacyChange | null {
  const values = Object.values(key) as string[];
  const isThere = legacy.has(source, legacy.keyOf(source, key));
  if (!isThere) return cells === null ? null : insert(source, { ...cells, ...key }, at);
  return cells === null ? remove(source, values, at) : update(source, values, { ...cells, ...key }, at);
}
