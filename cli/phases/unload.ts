import type pg from 'pg';
import { quoteIdent, quoteTable } from '../../schemas/quote.ts';

/** What projectors keep beside the rows: without it they begin at the beginning of the log. Tables of other versions need not exist. */
const PROGRESS = [
  ...['consumer_offset', 'contribution', 'merge_key', 'parked_change', 'dead_letter', 'history_state'],
  ...['log_position', 'verified', 'upkeep'],
];

/** The statements that remove every projected row, children first, and the projectors' progress; empty where there is neither. Rows of the application stay. */
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
  for (const table of tables) {
    if (await has(table, `origin = 'cdc'`)) projected.push(table);
    if (await has(table, `origin <> 'cdc'`)) shared.push(table);
  }
  // Without rows of the application all tables are emptied together, which no foreign key hinders.
  const filled =
    shared.length > 0
      ? projected.map((table) => `DELETE FROM ${nameOf(table)} WHERE origin = 'cdc'`)
      : projected.length > 0
        ? [`TRUNCATE ${tables.map((table) => `${nameOf(table)}`).join(', ')}`]
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

/** Keeps everybody else from the projected tables until the transaction ends. */
export async function lockProjectedSql(target: pg.ClientBase, schema: string): Promise<string> {
  const tables = (await readProjectedTables(target, schema)).map((table) => quoteTable(schema, table));
  return `LOCK TABLE ${tables.join(', ')} IN ACCESS EXCLUSIVE MODE`;
}

/** Tables with projected rows, those first that refer to others. */
async function readProjectedTables(target: pg.ClientBase, schema: string): Promise<string[]> {
  const { rows } = await target.query<{ name: string; refers: string }>(
    `SELECT c.relname AS name, (SELECT coalesce(json_agg(DISTINCT f.relname), '[]') FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid WHERE k.conrelid = c.oid AND k.contype = 'f' AND f.oid <> c.oid)::text AS refers
     FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'origin' AND NOT a.attisdropped) ORDER BY 1`,
    [schema],
  );
  const waiting = new Map(rows.map(({ name, refers }) => [name, JSON.parse(refers) as string[]]));
  const ordered: string[] = [];
  while (waiting.size > 0) {
    const isReferred = (name: string) =>
      [...waiting].some(([other, refers]) => other !== name && refers.includes(name));
    const free = [...waiting.keys()].filter((name) => !isReferred(name));
    // Tables in a circle can only be emptied together: their constraints must then be deferrable.
    const next = free.length > 0 ? free : [...waiting.keys()];
    for (const name of next) waiting.delete(name);
    ordered.push(...next);
  }
  return ordered;
}
