import type { Arbitrary } from 'fast-check';
import type { Cell, LegacyRow, Projection } from '../projectors/projection.ts';
import { createDice, interleave } from './dice.ts';
import { type Committed, insert, type Keys, type LegacyChange, LegacyTables, remove, update } from './legacy-tables.ts';
import type { FastCheck } from './load-fast-check.ts';

/** Rows by legacy table, such as those that there are. */
export type Examples = Readonly<Record<string, readonly LegacyRow[]>>;

/** What rows are made for. */
export interface RowsOf {
  readonly projections: readonly Projection[];
  readonly keys: Keys;
  readonly examples: Examples;
}

/** Texts of cells of any type that a mapping may not think of. */
const ODD_CELLS = [
  ...[
    '',
    ' ',
    '\t\r\n',
    '\u00a0',
    '\u200b',
    '-',
    '0',
    '-0',
    '0.00',
    '12.50',
    '-1',
    '1e400',
    '9'.repeat(400),
    `0.${'0'.repeat(400)}1`,
  ],
  ...['NaN', 'Infinity', '-Infinity', 'infinity', '-infinity', 't', 'f', 'true', 'null', 'undefined', '1.2.3', 'abc'],
  ...[
    '2024-02-29',
    '2024-01-01 00:00:00+00',
    '2024-01-01 24:00:00.000001+00',
    '2024-02-30',
    '0000-00-00',
    '10000-01-01',
  ],
  ...[
    '294276-12-31 23:59:59.999999+00',
    '4714-11-24 00:00:00+00 BC',
    '0044-03-15 BC',
    '24:00:00',
    '1 day',
    '-178000000 years',
  ],
  ...[
    '{}',
    '[]',
    '[[]]',
    '"x"',
    '"{}"',
    '{"a":',
    '[1,]',
    '{"__proto__":{"a":1}}',
    '{"a":1e999,"b":"\\ud83d"}',
    '[null,{},"",0.1,true]',
  ],
  ...['{NULL,"a,b"}', '{{1,2},{3,4}}', '\\x00ff', '(1,"a")', '[1,5)', '00000000-0000-0000-0000-000000000000'],
  ...['a@b.c', 'Ünïcödé ＪＯ', '🙂👩‍👩‍👧', "'; --", '%s%n', '__proto__', 'constructor'],
  ...[
    'x'.repeat(100_000),
    '['.repeat(500) + ']'.repeat(500),
    JSON.stringify(Array.from({ length: 2000 }, (_, n) => ({ n }))),
  ],
];

/** Keys of generated rows: few, so that rows refer to each other, and are inserted again after they went. */
const KEYS = ['1', '2', '10', 'b', '0b5f0c3e-9d5c-4c1c-8f5e-2f4b1f0c9a01', '3'];

/** Key cells of the row of a number. No two numbers below 6 have the same. */
function toKeyCells(columns: readonly string[], number: number): LegacyRow {
  if (columns.length === 1) return { [columns[0]!]: KEYS[number]! };
  // The first column groups, as that of a row of details does.
  const [first, ...others] = columns;
  const rest = others.map((column) => [column, KEYS[Math.floor(number / 2)]!]);
  return { [first!]: KEYS[number % 2]!, ...Object.fromEntries(rest) };
}

/** Cells by column, each null, odd, arbitrary text or JSON, a key, or that of an example; only some of `columns`. */
function anyCellsOf(
  fc: typeof FastCheck,
  columns: readonly string[],
  examples: readonly LegacyRow[],
  most = columns.length,
): Arbitrary<LegacyRow> {
  // What PostgreSQL holds: no NUL, and no half of a surrogate pair.
  const character = fc.oneof(
    fc.integer({ min: 1, max: 0x7f }),
    fc.integer({ min: 0x80, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0x10ffff }),
  );
  const odd: { weight: number; arbitrary: Arbitrary<Cell> }[] = [
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 3, arbitrary: fc.constantFrom(...ODD_CELLS) },
    { weight: 1, arbitrary: fc.constantFrom(...KEYS) },
    { weight: 1, arbitrary: fc.array(character, { maxLength: 20 }).map((points) => String.fromCodePoint(...points)) },
    { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
  ];
  const entries = columns.map((column) => {
    const known = [...new Set(examples.map((row) => (Object.hasOwn(row, column) ? row[column]! : null)))];
    const likely = known.length === 0 ? [] : [{ weight: 8, arbitrary: fc.constantFrom(...known) }];
    return fc.tuple(fc.constant(column), fc.oneof(...odd, ...likely));
  });
  return fc
    .subarray(entries, { maxLength: most })
    .chain((some) => fc.tuple(...some))
    .map((some): LegacyRow => Object.fromEntries(some));
}

/** Any cells of a projection's source, each of which may be missing, beside columns that no rule names. */
export function anyCells(fc: typeof FastCheck, projection: Projection, examples: Examples): Arbitrary<LegacyRow> {
  const columns = [...new Set([...projection.reads, 'unheard_of', '__proto__'])];
  const known = examples[projection.source] ?? [];
  const cells = anyCellsOf(fc, columns, known);
  if (known.length === 0) return cells;
  return fc.tuple(fc.constantFrom({}, ...known), cells).map(([row, others]) => ({ ...row, ...others }));
}

/** A row of a projection's source, with a key. */
export function anyRow(fc: typeof FastCheck, projection: Projection, of: RowsOf): Arbitrary<LegacyRow> {
  const columns = of.keys[projection.source] ?? ['id'];
  return fc
    .tuple(anyCells(fc, projection, of.examples), fc.nat(KEYS.length - 1))
    .map(([cells, number]) => ({ ...cells, ...toKeyCells(columns, number) }));
}

/** How a legacy row changes next; null: it is deleted. */
interface Step {
  readonly source: string;
  readonly number: number;
  readonly cells: LegacyRow | null;
  /** Whether it commits at the time of the one before. */
  readonly isTie: boolean;
}

/**
 * Changes of a few legacy rows, as they were committed. The rows are variants of even fewer, so that they meet under merge keys; they come, change, go and come
 * again.
 */
export function anyHistory(fc: typeof FastCheck, of: RowsOf): Arbitrary<Committed[]> {
  const bySource = Map.groupBy(of.projections, ({ source }) => source);
  const steps = [...bySource].map(([source, projections]) => {
    const cells = projections.map((projection) => anyCells(fc, projection, of.examples));
    // Two projections of one table need not read the same columns of it.
    const row = fc.tuple(...cells).map((parts): LegacyRow => Object.fromEntries(parts.flatMap(Object.entries<Cell>)));
    const columns = [...new Set(projections.flatMap(({ reads }) => reads))];
    const variant = anyCellsOf(fc, columns, of.examples[source] ?? [], 2);
    return fc.array(row, { minLength: 1, maxLength: 2 }).chain((base) => {
      const next = fc.tuple(fc.constantFrom(...base), variant).map(([cells, others]) => ({ ...cells, ...others }));
      const step: Arbitrary<Step> = fc.record({
        source: fc.constant(source),
        number: fc.nat(KEYS.length - 1),
        cells: fc.option(next, { freq: 4 }),
        isTie: fc.boolean(),
      });
      return fc.array(step, { maxLength: 16 / bySource.size + 4 });
    });
  });
  return fc.tuple(fc.tuple(...steps), fc.nat()).map(([lists, salt]) => commit(of, interleave(lists, createDice(salt))));
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
