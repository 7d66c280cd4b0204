// Legacy rows of arbitrary cells, of few ids, so that they meet again.
import type { Random } from '../../pipelines/crm/sample/random.ts';
import type { Row } from '../../pipelines/crm/sample/rows/row.ts';
import { type LegacyColumn, legacyTable, legacyTables } from './legacy-shape.ts';

/** How many rows of a table there are at most. */
const IDS = 12;
const cells: Readonly<Record<string, readonly string[]>> = {
  text: ['a', ' ', '', 'Done ', '{"a": 1}', '\u00e4"\\\n\u0001', '12.50'],
  jsonb: ['{}', '[{"sku": "A", "qty": "2.50", "price": 3}, 7]', '"[]"', '{"b": {"c": [1.50]}}'],
  numeric: ['0.00', '1.50', '-2', 'NaN'],
  integer: ['-1', '0', '7'],
  bigint: ['-1', '0', '7'],
  boolean: ['t', 'f'],
  char: ['US', 'C'],
  date: ['2024-02-29', 'infinity', '0044-03-15 BC'],
  uuid: ['00000000-0000-4000-8000-00000000000a'],
};

/** The n-th id of a table that nobody gives ids to. */
function idAt(table: string, type: string, n: number): string {
  if (type !== 'uuid') return String(n + 1);
  const place = [...legacyTables.keys()].indexOf(table).toString(16);
  return `d${place}000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

/** A row of a table with arbitrary cells. `ids`: of tables whose rows have these; `time`: one of few. */
export function anyRowOf(
  table: string,
  random: Random,
  of: {
    readonly ids: Readonly<Record<string, readonly string[]>>;
    readonly workspaces: readonly string[];
    readonly time: () => string;
  },
): Row {
  const { columns, key } = legacyTable(table);
  const keyOf = (name: string, type: string) =>
    random.pick(of.ids[name] ?? Array.from({ length: IDS }, (_, n) => idAt(name, type, n)));
  const cellOf = ({ name, type, isNotNull, references, choices }: LegacyColumn): string | null => {
    if (references !== null) return !isNotNull && random.chance(0.5) ? null : keyOf(references, type);
    if (key.includes(name)) return keyOf(table, type);
    if (!isNotNull && random.chance(0.3)) return null;
    if (name === 'workspace_id') return random.pick([...of.workspaces, ' ']);
    if (choices.length > 0) return random.pick(choices);
    const plain = /^[a-z]+/.exec(type)![0];
    if (plain === 'timestamptz') return random.chance(0.1) ? 'infinity' : of.time();
    const own = cells[plain === 'varchar' ? 'text' : plain];
    if (own === undefined) throw new Error(`${table}.${name}: no cells of type ${type} are made up yet`);
    return random.pick(own);
  };
  return Object.fromEntries(columns.map((column) => [column.name, cellOf(column)]));
}
