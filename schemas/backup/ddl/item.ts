/** Kinds of statements, in the order in which they are run as far as nothing else is asked for. */
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

/** Statements that make one object, or a property of one. */
export interface DdlItem {
  /** Address in the catalog, `class:oid`; what is no object of its own has the address of one and a suffix. */
  readonly id: string;
  readonly kind: ItemKind;
  /** Qualified, as PostgreSQL writes it. */
  readonly name: string;
  readonly sql: string;
  /** Other addresses that stand for it: a table's row type, the rule of a view, the index of a constraint. */
  readonly aliases: readonly string[];
  /** Addresses that must come before it, beside those that pg_depend knows. */
  readonly after: readonly string[];
  /** Roles that it names: it can only be run where they exist. */
  readonly roles: readonly string[];
}
