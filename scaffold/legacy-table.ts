// What the catalog of a legacy database says about a table, as far as the text that is made from it depends on it.

/** A type of the catalog. Oids are decimal texts. */
export interface CatalogType {
  readonly oid: string;
  /** As PostgreSQL prints it, with its schema unless that is pg_catalog. */
  readonly name: string;
  readonly schema: string;
  /** b: base, c: composite, d: domain, e: enum, p: pseudo, r: range, m: multirange. */
  readonly kind: 'b' | 'c' | 'd' | 'e' | 'p' | 'r' | 'm';
  /** What it is a domain over, and the modifier that the domain gives it. */
  readonly base: { readonly oid: string; readonly modifier: number; readonly name: string } | null;
  /** Of a true array, the type of its elements. */
  readonly element: string | null;
  /** What separates the elements of an array of this type. */
  readonly delimiter: string;
  /** Of an enum, in their order. */
  readonly labels: readonly string[];
  /** Of a domain: `CHECK (…)` as PostgreSQL prints it, about VALUE. */
  readonly checks: readonly string[];
}

export interface LegacyColumn {
  readonly name: string;
  readonly typeOid: string;
  readonly modifier: number;
  /** As PostgreSQL prints it, with its modifier. */
  readonly typeName: string;
  /** NOT NULL, and known to hold for every row. */
  readonly notNull: boolean;
  /** s: stored, v: computed when read; null: an ordinary column. */
  readonly generated: 's' | 'v' | null;
  /** Whether equal texts are the same bytes. */
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
  /** Words that are no name in SQL without quotes. */
  readonly keywords: ReadonlySet<string>;
  /** Whether the server can send stored computed columns: from PostgreSQL 18 on. */
  readonly sendsGenerated: boolean;
}

/** A column's type below its domains. `checks` are those of the domains, in any order. */
export interface ResolvedType {
  readonly type: CatalogType;
  readonly modifier: number;
  /** As PostgreSQL prints it, with its modifier. */
  readonly name: string;
  readonly domains: readonly string[];
  readonly checks: readonly string[];
}

/** Follows domains down to what they are made of. */
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
