import { type LegacyCatalog, type LegacyColumn, type LegacyTable, resolveType } from './legacy-table.ts';
import { toColumnName, toUnique } from './names.ts';
import { isSent } from './row-type-text.ts';

/** A column of a new table, copied from a legacy column. */
export interface CopiedColumn {
  readonly name: string;
  readonly from: LegacyColumn;
  /** As written in SQL. */
  readonly type: string;
  readonly notNull: boolean;
}

/** A new table with one row for each legacy row. */
export interface TargetTable {
  readonly name: string;
  /** `carriedFrom`: the legacy key column that is used as the id; null: the id is a UUID derived from the key. */
  readonly id: { readonly type: string; readonly carriedFrom: string | null };
  /** Legacy column with the tenant of a row; null: there is none. */
  readonly tenant: string | null;
  readonly copied: readonly CopiedColumn[];
  /** Legacy columns that are renamed. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** Computed legacy columns. They are not copied: a copy would not follow a change of the expression. */
  readonly computed: readonly string[];
}

/** Columns that crosswalk writes in every projected table. */
const OF_THE_ENGINE = [
  ...['id', 'tenant_id', 'deleted_at', 'origin', 'legacy_table', 'legacy_key', 'source_lsn', 'source_xid'],
  ...['source_committed_at', 'mapping_version'],
];
const CARRIED = new Set(['uuid', 'smallint', 'integer', 'bigint']);
/** Types whose texts name objects of the legacy database, or have a form that no other database reads. */
const LEFT_AS_TEXT = /^(reg[a-z]+|aclitem|refcursor|cstring|record|xid8?|cid|tid|pg_[a-z_]+|oidvector|int2vector)$/;

/** `tenantColumn`: the legacy column with the tenant, if the table has it. */
export function planTarget(
  table: LegacyTable,
  name: string,
  tenantColumn: string,
  catalog: LegacyCatalog,
): TargetTable {
  const sent = table.columns.filter((column) => isSent(column, catalog));
  const plain = sent.filter(({ generated }) => generated === null);
  const tenant = plain.some((column) => column.name === tenantColumn) ? tenantColumn : null;
  const keyColumn = table.key.length === 1 ? plain.find((column) => column.name === table.key[0]) : undefined;
  const keyType = keyColumn === undefined ? null : resolveType(keyColumn, catalog.types).type;
  const isCarried = keyType !== null && keyType.schema === 'pg_catalog' && CARRIED.has(keyType.name);
  const carriedFrom = isCarried ? keyColumn!.name : null;
  const taken = new Set(OF_THE_ENGINE);
  // Names that need no change are assigned first, so that they stay.
  const rest = plain.filter(
    (column) => column.name !== carriedFrom && !(column.name === tenant && tenant === 'tenant_id'),
  );
  const kept = new Set(
    rest.flatMap((column) =>
      toColumnName(column.name) === column.name && !taken.has(column.name) ? [column.name] : [],
    ),
  );
  for (const column of kept) taken.add(column);
  const copied = rest.map((column): CopiedColumn => {
    const plainName = toColumnName(column.name);
    const wanted = OF_THE_ENGINE.includes(plainName) ? `legacy_${plainName}` : plainName;
    return {
      name: kept.has(column.name) ? column.name : toUnique(wanted, taken),
      from: column,
      type: toTargetType(column, catalog.types),
      notNull: column.notNull,
    };
  });
  return {
    name,
    id: { type: isCarried ? keyType.name : 'uuid', carriedFrom },
    tenant,
    copied,
    renamed: copied.flatMap((column) =>
      column.name === column.from.name ? [] : [{ from: column.from.name, to: column.name }],
    ),
    computed: table.columns.flatMap((column) => (column.generated === null ? [] : [column.name])),
  };
}

/** The type of a copy: PostgreSQL's own types unchanged; text for types that the new database does not have. */
function toTargetType(column: LegacyColumn, types: LegacyCatalog['types']): string {
  const { type, name } = resolveType(column, types);
  if (type.element === null) return isPortable(type) ? name : 'text';
  const element = types.get(type.element)!;
  if (isPortable(element)) return name;
  return element.delimiter === ',' ? 'text[]' : 'text';
}

function isPortable({ schema, kind, name }: { schema: string; kind: string; name: string }): boolean {
  return schema === 'pg_catalog' && 'brm'.includes(kind) && !LEFT_AS_TEXT.test(name);
}
