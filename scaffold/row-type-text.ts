import { findMembers } from './cell-members.ts';
import { type LegacyCatalog, type LegacyColumn, type LegacyTable, resolveType } from './legacy-table.ts';
import { toCommentText, toProperty, toTsText } from './names.ts';

/** Whether the log contains the column: computed columns only if they are stored and the server can send them. */
export function isSent(column: LegacyColumn, { sendsGenerated }: Pick<LegacyCatalog, 'sendsGenerated'>): boolean {
  return column.generated === null || (column.generated === 's' && sendsGenerated);
}

const MAX_LINE = 110;

/** Module with the type of a table's rows as projections receive them: every cell is PostgreSQL text or null. */
export function toRowTypeText(table: LegacyTable, typeName: string, catalog: LegacyCatalog): string {
  const sent = table.columns.filter((column) => isSent(column, catalog));
  const unsent = table.columns.filter((column) => !isSent(column, catalog));
  const fields = sent.map((column) => {
    const type = toCellType(table, column, catalog);
    const [only, ...others] = type;
    const field = `  readonly ${toProperty(column.name)}:`;
    const oneLine = `${field} ${type.join(' | ')};`;
    return [
      `  /** ${toCommentText(describe(table, column, catalog))} */`,
      others.length === 0 || oneLine.length <= MAX_LINE
        ? oneLine
        : `${field}\n${[only, ...others].map((member) => `    | ${member}`).join('\n')};`,
    ].join('\n');
  });
  const usesCell = fields.some((field) => /: Cell;$/.test(field));
  const key = table.key.map((name) => JSON.stringify(name)).join(', ');
  const doc = [
    `A row of ${JSON.stringify(table.schema)}.${JSON.stringify(table.name)}${table.isPartitioned ? ', whichever partition it is in,' : ''} as a projection gets it: each cell is the text that PostgreSQL has for its value, or null.`,
    key === '' ? 'It has no primary key.' : `Primary key: ${key}.`,
    ...unsent.map(
      ({ name, generated }) =>
        `Not in the log: ${JSON.stringify(name)}, which is computed${generated === 'v' ? ' when it is read' : ''}.`,
    ),
  ];
  return [
    ...(usesCell ? ["import type { Cell } from 'crosswalk';", ''] : []),
    '/**',
    ...doc.map((line) => ` * ${toCommentText(line)}`),
    ' */',
    `export type ${typeName} = {`,
    ...fields,
    '};',
    '',
  ].join('\n');
}

/** The members of a cell's type. */
function toCellType(table: LegacyTable, column: LegacyColumn, { types }: LegacyCatalog): string[] {
  const members = findMembers(table, column, types);
  const isNull = !column.notNull;
  if (members === null) return isNull ? ['Cell'] : ['string'];
  return [...members.map(toTsText), ...(isNull ? ['null'] : [])];
}

/** A column's type for people: `text, an enum, key`. */
function describe(table: LegacyTable, column: LegacyColumn, { types }: LegacyCatalog): string {
  const resolved = resolveType(column, types);
  const place = table.key.indexOf(column.name);
  return [
    column.typeName,
    ...(resolved.domains.length > 0 ? [`a domain over ${resolved.name}`] : []),
    ...(resolved.type.kind === 'e' ? ['an enum: a label that is added later comes as well'] : []),
    ...(column.generated === 's' ? ['computed and stored'] : []),
    ...(place < 0 ? [] : [table.key.length === 1 ? 'the key' : `key column ${place + 1} of ${table.key.length}`]),
  ].join('; ');
}
