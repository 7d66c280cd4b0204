// The legacy tables of the shipped pipeline as their DDL puts them, and rows that fit any of them: what tests of all projections are written with.
import { readFileSync } from 'node:fs';
import type { LegacyRow } from '../../projectors/projection.ts';
import { quoteIdent } from '../../schemas/quote.ts';

const TIME = '2024-03-01 10:00:00+00';

export interface LegacyColumn {
  readonly name: string;
  /** As in the DDL, with length and precision: `numeric(14,2)`. */
  readonly type: string;
  readonly isNotNull: boolean;
  /** The table that it refers to. */
  readonly references: string | null;
  /** The only values that a check lets in; empty where there is none. */
  readonly choices: readonly string[];
}

export interface LegacyTable {
  readonly name: string;
  readonly columns: readonly LegacyColumn[];
  /** Columns of the primary key. */
  readonly key: readonly string[];
}

const ddl = readFileSync(new URL('../../pipelines/crm/sample/legacy-schema.sql', import.meta.url), 'utf8');
const laterReferences = new Map(
  [...ddl.matchAll(/^ALTER TABLE ([a-z_]+) ADD CONSTRAINT \w+\s+FOREIGN KEY \(([a-z_]+)\) REFERENCES ([a-z_]+)/gm)].map(
    ([, table, column, parent]) => [`${table}.${column}`, parent!] as const,
  ),
);

function toTable(name: string, body: string): LegacyTable {
  const key: string[] = /^ {2}PRIMARY KEY \(([a-z_, ]+)\)/m.exec(body)?.[1]?.split(', ') ?? [];
  const columns = [...body.matchAll(/^ {2}([a-z_0-9]+) ([a-z]+(?:\([0-9,]+\))?(?:\[\])?)(.*)$/gm)].map(
    ([, column, type, rest]): LegacyColumn => {
      if (rest!.includes('PRIMARY KEY')) key.push(column!);
      return {
        ...{ name: column!, type: type!, isNotNull: /NOT NULL|PRIMARY KEY/.test(rest!) || key.includes(column!) },
        references: /REFERENCES ([a-z_]+)/.exec(rest!)?.[1] ?? laterReferences.get(`${name}.${column}`) ?? null,
        choices: [...(/ IN \(([^)]+)\)/.exec(rest!)?.[1] ?? '').matchAll(/'([^']*)'/g)].map(([, text]) => text!),
      };
    },
  );
  return { name, columns, key };
}

/** Every legacy table by name, in the order of the DDL. */
export const legacyTables: ReadonlyMap<string, LegacyTable> = new Map(
  [...ddl.matchAll(/^CREATE TABLE ([a-z_]+) \(\n([\s\S]*?)\n\);/gm)].map(([, name, body]) => [
    name!,
    toTable(name!, body!),
  ]),
);

export function legacyTable(name: string): LegacyTable {
  const table = legacyTables.get(name);
  if (table === undefined) throw new Error(`no legacy table ${name}`);
  return table;
}

/** The legacy key of a row, as changes name it: the text of its key column, or of several as a JSON array. */
export function legacyKeyOf(table: string, row: LegacyRow): string {
  const key = legacyTables.get(table)?.key ?? ['id'];
  return key.length === 1 ? row[key[0]!]! : JSON.stringify(key.map((column) => row[column]));
}

/** The same of the row `alias`, in SQL. */
export function legacyKeySql(table: string, alias: string): string {
  const [first, ...others] = legacyTable(table).key.map((column) => `${alias}.${quoteIdent(column)}::text`);
  if (others.length === 0) return first!;
  return `'[' || ${[first!, ...others].map((text) => `to_json(${text})::text`).join(` || ',' || `)} || ']'`;
}

/** The id of the n-th row. */
export const bareId = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

const fillers = (n: number): Readonly<Record<string, string>> => ({
  ...{ text: `x${n}`, varchar: `x${n}`, char: 'x', uuid: bareId(n), integer: String(n + 1), bigint: String(n + 1) },
  ...{ timestamptz: TIME, date: '2024-03-01', numeric: '1.00', boolean: 'f', jsonb: '{}' },
});

/** The n-th row of a table: what the table demands, and the given cells. `parents` are keys of rows by the table that is referred to. Other cells are null. */
export function bareRow(
  table: string,
  n: number,
  cells: LegacyRow = {},
  parents: Readonly<Record<string, string>> = {},
): LegacyRow {
  const row: Record<string, string | null> = {};
  for (const { name, type, isNotNull, references, choices } of legacyTable(table).columns) {
    const parent = references === null ? undefined : parents[references];
    if (parent !== undefined) row[name] = parent;
    else if (isNotNull) row[name] = choices[0] ?? fillers(n)[/^[a-z]+/.exec(type)![0]] ?? null;
  }
  return { ...row, ...cells };
}
