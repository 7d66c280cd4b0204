import type pg from 'pg';
import { quoteIdent, quoteTable } from '../../schemas/quote.ts';

/** State of projectors besides the rows: without it they start at the beginning of the log. Tables of other versions need not exist. */
const PROGRESS = [
  ...['consumer_offset', 'contribution', 'merge_key', 'parked_change', 'dead_letter', 'history_state'],
  ...['log_position', 'verified', 'upkeep'],
];

/** The statements that remove every projected row, children first, and the projectors' state; empty if there is neither. Rows of the application stay. */
export async function planUnload(target: pg.ClientBase, schema: string): Promise<string[]> {
  const nameOf = (table: string) => quoteTable(schema, table);
  const tables = await readProjectedTables(target, schema);
  const { rows: progress } = await target.query<{ name: string }>(
    `SELECT p AS name FROM unnest($1::text[]) AS p WHERE to_regclass('crosswalk.' || p) IS NOT NULL`,
    [PROGRESS],
  );
  const has = async (table: string, condition: string) =>
    (await target.query(`SELECT FROM ${nameOf(table)} WHERE ${condition} LIMIT 1`)).rows.length > 0;
  const projected: string[] = [];
  const shared: string[] = [];
  for (const { name, isProjected } of tables) {
    if (isProjected && (await has(name, `origin = 'cdc'`))) projected.push(name);
    if (await has(name, isProjected ? `origin <> 'cdc'` : 'true')) shared.push(name);
  }
  // Without rows of the application, all tables are truncated together, so foreign keys do not matter.
  const filled =
    shared.length > 0
      ? projected.map((table) => `DELETE FROM ${nameOf(table)} WHERE origin = 'cdc'`)
      : projected.length > 0
        ? [`TRUNCATE ${tables.map(({ name }) => nameOf(name)).join(', ')}`]
        : [];
  for (const { name } of progress) {
    const { rows } = await target.query(`SELECT FROM crosswalk.${quoteIdent(name)} LIMIT 1`);
    if (rows.length > 0) filled.push(`DELETE FROM crosswalk.${quoteIdent(name)}`);
  }
  if (filled.length === 0) return [];
  const { rows: views } = await target.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, matviewname) AS name FROM pg_matviews WHERE schemaname = $1 AND ispopulated ORDER BY 1`,
    [schema],
  );
  return [...filled, ...views.map(({ name }) => `REFRESH MATERIALIZED VIEW ${name}`)];
}

/** Locks the projected tables, and those that reference them, exclusively until the transaction ends. */
export async function lockProjectedSql(target: pg.ClientBase, schema: string): Promise<string> {
  const tables = (await readProjectedTables(target, schema)).map(({ name }) => quoteTable(schema, name));
  return `LOCK TABLE ${tables.join(', ')} IN ACCESS EXCLUSIVE MODE`;
}

/**
 * Tables with projected rows, and tables of the application alone that reference them, which are emptied together with them or not at all. Referencing tables come first.
 * Each partition counts as a table of its own.
 */
async function readProjectedTables(
  target: pg.ClientBase,
  schema: string,
): Promise<{ readonly name: string; readonly isProjected: boolean }[]> {
  const { rows } = await target.query<{ name: string; refers: string; projected: string }>(
    `WITH RECURSIVE projected AS (
       SELECT c.oid FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind = 'r'
         AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'origin' AND NOT a.attisdropped)),
     concerned AS (
       SELECT oid FROM projected
       UNION SELECT k.conrelid FROM pg_constraint k JOIN concerned ON k.confrelid = concerned.oid JOIN pg_class c ON c.oid = k.conrelid
         WHERE k.contype = 'f' AND c.relnamespace = to_regnamespace(quote_ident($1)))
     SELECT c.relname AS name, (c.oid IN (SELECT oid FROM projected))::text AS projected,
       (SELECT coalesce(json_agg(DISTINCT f.relname), '[]') FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid WHERE k.conrelid = c.oid AND k.contype = 'f' AND f.oid <> c.oid)::text AS refers
     FROM pg_class c WHERE c.oid IN (SELECT oid FROM concerned) ORDER BY 1`,
    [schema],
  );
  const isProjected = new Map(rows.map(({ name, projected }) => [name, projected === 'true']));
  const waiting = new Map(rows.map(({ name, refers }) => [name, JSON.parse(refers) as string[]]));
  const ordered: string[] = [];
  while (waiting.size > 0) {
    const isReferred = (name: string) =>
      [...waiting].some(([other, refers]) => other !== name && refers.includes(name));
    const free = [...waiting.keys()].filter((name) => !isReferred(name));
    // Tables that reference each other in a cycle can only be emptied together; their constraints must then be deferrable.
    const next = free.length > 0 ? free : [...waiting.keys()];
    for (const name of next) waiting.delete(name);
    ordered.push(...next);
  }
  return ordered.map((name) => ({ name, isProjected: isProjected.get(name) === true }));
}
