// The catalog data of a legacy database that the generated text depends on.

/** A type of the catalog. Oids are decimal texts. */
export interface CatalogType {
  readonly oid: string;
  /** As PostgreSQL prints it, with its schema unless that is pg_catalog. */
  readonly name: string;
  readonly schema: string;
  /** b: base, c: composite, d: domain, e: enum, p: pseudo, r: range, m: multirange. */
  readonly kind: 'b' | 'c' | 'd' | 'e' | 'p' | 'r' | 'm';
  /** Of a domain: its base type, with the domain's modifier. */
  readonly base: { readonly oid: string; readonly modifier: number; readonly name: string } | null;
  /** Of a true array: its element type. */
  readonly element: string | null;
  /** Delimiter of the elements in an array of this type. */
  readonly delimiter: string;
  /** Of an enum: its labels in order. */
  readonly labels: readonly string[];
  /** Of a domain: its `CHECK (…)` as PostgreSQL prints it, about VALUE. */
  readonly checks: readonly string[];
}

export interface LegacyColumn {
  readonly name: string;
  readonly typeOid: string;
  readonly modifier: number;
  /** As PostgreSQL prints it, with its modifier. */
  readonly typeName: string;
  /** NOT NULL, and validated for every row. */
  readonly notNull: boolean;
  /** s: stored, v: computed when read; null: an ordinary column. */
  readonly generated: 's' | 'v' | null;
  /** Whether equal texts are always the same bytes. */
  readonly isDeterministic: boolean;
}

export interface LegacyTable {
  readonly schema: string;
  readonly name: string;
  readonly isPartitioned: boolean;
  readonly isUnlogged: boolean;
  /** In the order of the table. */
  readonly columns: readonly LegacyColumn[];
  /** Columns of the primary key, in key order; empty without one. */
  readonly key: readonly string[];
  /** Valid and enforced CHECK constraints, as PostgreSQL prints them. */
  readonly checks: readonly string[];
}

export interface LegacyCatalog {
  readonly tables: readonly LegacyTable[];
  readonly types: ReadonlyMap<string, CatalogType>;
  /** Words that need quotes as names in SQL. */
  readonly keywords: ReadonlySet<string>;
  /** Whether the server can send stored computed columns: since PostgreSQL 18. */
  readonly sendsGenerated: boolean;
}

/** A column's type with its domains resolved. `checks`: those of the domains, in any order. */
export interface ResolvedType {
  readonly type: CatalogType;
  readonly modifier: number;
  /** As PostgreSQL prints it, with its modifier. */
  readonly name: string;
  readonly domains: readonly string[];
  readonly checks: readonly string[];
}

/** Resolves domains to their base type. */
export function resolveType(column: LegacyColumn, types: LegacyCatalog['types']): ResolvedType {
  let type = types.get(column.typeOid)!;
  let { modifier, typeName: name } = column;
  const domains: string[] = [];
  const checks: string[] = [];
  while (type.base !== null) {
    domains.push(type.name);
    checks.push(...type.checks);
    ({ modifier, name } = type.base);
    type = types.get(type.base.oid)!;
  }
  return { type, modifier, name, domains, checks };
}
