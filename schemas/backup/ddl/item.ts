/** Kinds of statements, in the order in which they run unless dependencies require another. */
export const itemKinds = [
  'schema',
  'extension',
  'type',
  'sequence',
  'routine',
  'table',
  'partition',
  'view',
  'materialized view',
  'index',
  'constraint',
  'foreign key',
  'statistics',
  'sequence owner',
  'row security',
  'policy',
  'rule',
  'trigger',
  'replica identity',
  'materialized rows',
  'owner',
  'grant',
  'comment',
] as const;
export type ItemKind = (typeof itemKinds)[number];

/** Statements that create one object, or a property of one. */
export interface DdlItem {
  /** Catalog address, `class:oid`; a property has the address of its object and a suffix. */
  readonly id: string;
  readonly kind: ItemKind;
  /** Qualified, as PostgreSQL writes it. */
  readonly name: string;
  readonly sql: string;
  /** Other addresses that stand for it: a table's row type, a view's rule, a constraint's index. */
  readonly aliases: readonly string[];
  /** Addresses that must come before it, in addition to those in pg_depend. */
  readonly after: readonly string[];
  /** Roles that it names: it can only run if they exist. */
  readonly roles: readonly string[];
}
