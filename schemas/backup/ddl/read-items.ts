import type { DdlItem, ItemKind } from './item.ts';

/** A row of the queries in this folder; arrays in PostgreSQL's text form. */
export interface ItemRow {
  readonly id: string;
  readonly kind: ItemKind;
  readonly name: string;
  readonly sql: string;
  readonly aliases?: string | null;
  readonly after?: string | null;
  readonly roles?: string | null;
}

export function toItem(row: ItemRow): DdlItem {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    sql: row.sql,
    aliases: parseNames(row.aliases),
    after: parseNames(row.after),
    roles: parseNames(row.roles),
  };
}

/** The elements of an array of addresses or role names. */
function parseNames(text: string | null | undefined): string[] {
  if (text == null) return [];
  const elements = [...text.matchAll(/"((?:[^"\\]|\\.)*)"|([^,{}]+)/g)];
  return elements
    .map(([, quoted, bare]) => (quoted === undefined ? bare! : quoted.replaceAll(/\\(.)/g, '$1')))
    .filter((name, at) => !(name === 'NULL' && elements[at]![1] === undefined));
}

/** Condition that excludes objects created by an extension, which come with it. */
export function notOfExtension(catalog: string, oid: string): string {
  return `NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '${catalog}'::regclass AND x.objid = ${oid} AND x.deptype = 'e')`;
}

/**
 * ` WITH (…)` of a relation, including the options of its TOAST table; values are quoted, so that any value can be
 * written.
 */
export function withOptions(relation: string, withToast: boolean): string {
  const option = (prefix: string) => `format('${prefix}%s=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1))`;
  const own = `SELECT ${option('')} AS w FROM unnest(${relation}.reloptions) AS o`;
  const toast = `SELECT ${option('toast.')} FROM pg_class h CROSS JOIN unnest(h.reloptions) AS o WHERE h.oid = ${relation}.reltoastrelid`;
  return `(SELECT coalesce(' WITH (' || string_agg(w, ', ' ORDER BY w) || ')', '') FROM (${withToast ? `${own} UNION ALL ${toast}` : own}) AS options)`;
}
