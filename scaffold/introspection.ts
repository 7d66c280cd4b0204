import { CrosswalkError } from '../runtime/errors.ts';
import type { LegacyCatalog, LegacyTable } from './legacy-table.ts';
import { toMigrationText } from './migration-text.ts';
import { toConstantName, toFileName, toTableName, toTypeName, toUnique } from './names.ts';
import { toProjectionText } from './projection-text.ts';
import { isSent, toRowTypeText } from './row-type-text.ts';
import { planTarget } from './target-table.ts';

/** A file to write. Its path is relative to the folder, with `/` as separator. */
export interface NewFile {
  readonly path: string;
  readonly text: string;
}

/** Result for one legacy table. */
export interface IntrospectedTable {
  readonly table: string;
  readonly type: string;
  /** Constant and module of its projection; null if a table of its kind cannot have one. */
  readonly projection: { readonly constant: string; readonly module: string } | null;
  /** Notes and tasks for the user, one line each. */
  readonly notes: readonly string[];
}

export interface Introspection {
  readonly files: readonly NewFile[];
  readonly tables: readonly IntrospectedTable[];
}

export interface IntrospectionOptions {
  /** Schema of the new tables. */
  readonly targetSchema: string;
  /** Legacy column that names the tenant, in tables that have it. */
  readonly tenantColumn: string;
  /** Number of the first migration. */
  readonly firstMigration: number;
}

/** All files for these tables: row types, projections and the SQL of the new tables. Throws `config_invalid` if the three-digit migration numbers run out. */
export function introspect(catalog: LegacyCatalog, options: IntrospectionOptions): Introspection {
  const taken = new Set<string>();
  const constants = new Set<string>();
  const files: NewFile[] = [];
  let number = options.firstMigration;
  const tables = catalog.tables.map((table): IntrospectedTable => {
    const name = toFreeName(table.name, taken, constants);
    const file = toFileName(name);
    const type = toTypeName(name);
    files.push({ path: `legacy/${file}.ts`, text: toRowTypeText(table, type, catalog) });
    if (!hasWholeKey(table, catalog))
      return { table: table.name, type, projection: null, notes: notesOf(table, catalog) };
    const target = planTarget(table, name, options.tenantColumn, catalog);
    files.push({ path: `projections/${file}.ts`, text: toProjectionText(table, target) });
    const { up, down } = toMigrationText(target, options.targetSchema, table.name, catalog.keywords);
    const migration = `migrations/${String(number++).padStart(3, '0')}_${name}`;
    files.push({ path: `${migration}.up.sql`, text: up }, { path: `${migration}.down.sql`, text: down });
    const renamed = target.renamed.map(({ from, to }) => `${JSON.stringify(from)} becomes ${to}`);
    return {
      table: table.name,
      type,
      projection: { constant: toConstantName(name), module: `./projections/${file}.ts` },
      notes: [
        ...notesOf(table, catalog),
        ...(target.tenant === null
          ? [
              `no column ${options.tenantColumn}: its rows are those of one tenant, main (--tenant names another column)`,
            ]
          : []),
        ...renamed,
        ...(target.computed.length === 0
          ? []
          : [
              `not copied, since they are computed: ${target.computed.map((column) => JSON.stringify(column)).join(', ')}`,
            ]),
      ],
    };
  });
  if (number > 1000)
    throw new CrosswalkError(
      'config_invalid.numbers_full',
      `Nothing is written: the last migration would be number ${number - 1}, and numbers have three digits`,
    );
  return { files, tables };
}

/** A free name, whose TypeScript names are free as well: `a_1` and `a1` would be the same constant. */
function toFreeName(legacyName: string, taken: Set<string>, constants: Set<string>): string {
  for (;;) {
    const name = toUnique(toTableName(legacyName), taken);
    // Compared in lower case: on some disks, file names that differ only in case are the same file.
    const constant = toTypeName(name).toLowerCase();
    if (constants.has(constant)) continue;
    constants.add(constant);
    return name;
  }
}

/** Whether the log can identify its rows. */
function hasWholeKey(table: LegacyTable, catalog: LegacyCatalog): boolean {
  const sent = new Set(table.columns.flatMap((column) => (isSent(column, catalog) ? [column.name] : [])));
  return table.key.length > 0 && table.key.every((column) => sent.has(column));
}

/** What prevents crosswalk from capturing a table as it is. */
function notesOf(table: LegacyTable, catalog: LegacyCatalog): string[] {
  const virtual = table.columns.filter(({ generated }) => generated === 'v').map(({ name }) => JSON.stringify(name));
  return [
    ...(table.key.length === 0 ? ['no primary key: it cannot be captured, and has a type only'] : []),
    ...(table.key.length > 0 && !hasWholeKey(table, catalog)
      ? ['its key is computed, and not in the log: it cannot be captured, and has a type only']
      : []),
    ...(/^[a-z0-9_]+$/.test(table.name)
      ? []
      : ['cannot be captured under its name: only lower-case letters, digits and _ can']),
    ...(virtual.length === 0 ? [] : [`cannot be captured while columns are computed when read: ${virtual.join(', ')}`]),
    ...(table.isUnlogged ? ['cannot be captured while it is UNLOGGED'] : []),
  ];
}
