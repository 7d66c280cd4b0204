import type { LegacyTable } from './legacy-table.ts';
import { toAccess, toCommentText, toConstantName, toFileName, toProperty, toTsText, toTypeName } from './names.ts';
import type { TargetTable } from './target-table.ts';

const MAX_LINE = 110;

/** A list of texts in TypeScript, on one line if it fits, indented by `indent` blanks. */
function toList(texts: readonly string[], indent: number, before: string): string {
  const line = `${before}[${texts.join(', ')}],`;
  if (indent + line.length <= MAX_LINE) return `${' '.repeat(indent)}${line}`;
  const blanks = ' '.repeat(indent + 2);
  return `${' '.repeat(indent)}${before}[\n${texts.map((text) => `${blanks}${text},`).join('\n')}\n${' '.repeat(indent)}],`;
}

/** Module with a projection that copies a table row by row and cell by cell, as a starting point. */
export function toProjectionText(table: LegacyTable, target: TargetTable): string {
  const { id, tenant, copied, name } = target;
  const reads = [
    ...new Set([...table.key, ...(tenant === null ? [] : [tenant]), ...copied.map(({ from }) => from.name)]),
  ];
  const columnsOf = new Map(table.columns.map((column) => [column.name, column]));
  // A column with a non-null type must not become null if it is dropped.
  const requires = reads.filter(
    (column) => table.key.includes(column) || column === tenant || columnsOf.get(column)?.notNull,
  );
  const typeName = toTypeName(name);
  const constant = toConstantName(name);
  const imports = [
    'defineProjection',
    ...(tenant === null ? [] : ['toTenantId']),
    ...(id.carriedFrom === null ? ['uuid5'] : []),
  ];
  const keyText =
    table.key.length === 1
      ? toAccess('row', table.key[0]!)
      : `JSON.stringify([${table.key.map((column) => toAccess('row', column)).join(', ')}])`;
  const cells = [
    `id: ${id.carriedFrom === null ? `toId(${keyText})` : toAccess('row', id.carriedFrom)},`,
    ...(tenant === null
      ? ["tenant_id: 'main', // Whose row it is: no column of the legacy table says so."]
      : [`tenant_id: toTenantId(${toAccess('row', tenant)}),`]),
    ...copied.map((column) => `${toProperty(column.name)}: ${toAccess('row', column.from.name)},`),
  ];
  return [
    `import { ${imports.join(', ')} } from 'crosswalk';`,
    `import type { ${typeName} } from '../legacy/${toFileName(name)}.ts';`,
    '',
    ...(id.carriedFrom === null
      ? [
          '/** Id of the row that a legacy key becomes; of several columns the key is a JSON array. */',
          `const toId = (legacyKey: string) => uuid5(\`${name}:\${legacyKey}\`);`,
          '',
        ]
      : []),
    `/** ${toCommentText(JSON.stringify(table.name))} → ${name}: a copy. Raise \`version\` with every change of \`map\`. */`,
    `export const ${constant} = defineProjection({`,
    `  name: ${toTsText(name)},`,
    "  version: '1',",
    `  source: ${toTsText(table.name)},`,
    ...(tenant === null ? [] : [`  tenant: { column: ${toTsText(tenant)} },`]),
    toList(requires.map(toTsText), 2, 'requires: '),
    toList(reads.map(toTsText), 2, 'reads: '),
    '  owned: [',
    '    {',
    `      table: ${toTsText(name)},`,
    toList(['id', 'tenant_id', ...copied.map((column) => column.name)].map(toTsText), 6, 'columns: '),
    "      retract: 'soft-delete',",
    `      scope: { column: 'id', of: ${id.carriedFrom === null ? 'toId' : '(legacyKey) => legacyKey'} },`,
    '    },',
    '  ],',
    '  aggregates: [],',
    '  map: (legacy) => {',
    `    const row = legacy as ${typeName};`,
    '    return {',
    '      rows: {',
    `        ${name}: [`,
    '          {',
    ...cells.map((cell) => `            ${cell}`),
    '          },',
    '        ],',
    '      },',
    '      contributions: [],',
    '    };',
    '  },',
    '});',
    '',
  ].join('\n');
}
