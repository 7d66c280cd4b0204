// Catalogs as they would be read, for tests of what is made from them.
import type { CatalogType, LegacyCatalog, LegacyColumn, LegacyTable } from '../../../scaffold/legacy-table.ts';

const BUILT_IN = [
  'text',
  'character varying',
  'character',
  'integer',
  'bigint',
  'smallint',
  'uuid',
  'numeric',
  'jsonb',
  'boolean',
  'regclass',
];

export function typeOf(name: string, more: Partial<CatalogType> = {}): CatalogType {
  return {
    oid: name,
    name,
    schema: 'pg_catalog',
    kind: 'b',
    base: null,
    element: null,
    delimiter: ',',
    labels: [],
    checks: [],
    ...more,
  };
}

export function columnOf(name: string, typeOid = 'text', more: Partial<LegacyColumn> = {}): LegacyColumn {
  return {
    name,
    typeOid,
    modifier: -1,
    typeName: typeOid,
    notNull: false,
    generated: null,
    isDeterministic: true,
    ...more,
  };
}

/** Key columns are NOT NULL. */
export function tableOf(name: string, columns: readonly LegacyColumn[], more: Partial<LegacyTable> = {}): LegacyTable {
  const key = more.key ?? ['id'];
  return {
    ...{ schema: 'public', name, isPartitioned: false, isUnlogged: false, checks: [] },
    ...more,
    key,
    columns: columns.map((column) => (key.includes(column.name) ? { ...column, notNull: true } : column)),
  };
}

export function catalogOf(
  tables: readonly LegacyTable[],
  types: readonly CatalogType[] = [],
  more: Partial<LegacyCatalog> = {},
): LegacyCatalog {
  return {
    tables,
    types: new Map([...BUILT_IN.map((name) => typeOf(name)), ...types].map((type) => [type.oid, type])),
    keywords: new Set(['user', 'order', 'select']),
    sendsGenerated: true,
    ...more,
  };
}
