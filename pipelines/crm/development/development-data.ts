import type pg from 'pg';
import type { DevelopmentData } from '../../../projectors/pipeline.ts';
import { quoteIdent, quoteTable } from '../../../schemas/quote.ts';
import { type DevelopmentCell, type DevelopmentRow, toDevelopmentRows } from './rows.ts';

/** Accounts come from the migrations, and from the application. */
const ACCOUNTS = ['users', 'user_subscriptions', 'chatbots'];

/** Ten leads and their related application rows, to fill the application's screens during development. */
export const developmentData: DevelopmentData = {
  tenant: 'ws-development',

  async countRows(target) {
    const { rows: tables } = await target.query<{ name: string; shared: string }>(
      `SELECT c.relname AS name, EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'origin' AND NOT o.attisdropped)::text AS shared
       FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r' AND c.relname <> ALL ($1)
         AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped) ORDER BY 1`,
      [ACCOUNTS],
    );
    const counts: Record<string, number> = {};
    for (const { name, shared } of tables) {
      const { rows } = await target.query<{ n: string }>(
        `SELECT count(*)::text AS n FROM ${quoteTable('crm', name)}${shared === 'true' ? ` WHERE origin = 'app'` : ''}`,
      );
      if (rows[0]!.n !== '0') counts[name] = Number(rows[0]!.n);
    }
    return counts;
  },

  async insert(target, tenant) {
    const counts: Record<string, number> = {};
    for (const [table, rows] of toDevelopmentRows(tenant)) {
      let added = 0;
      for (const row of rows) added += await insertRow(target, table, { tenant_id: tenant, ...row });
      if (added > 0) counts[table] = added;
    }
    return counts;
  },
};

/** Returns the number of rows added: the tenant may already exist. */
async function insertRow(target: pg.ClientBase, table: string, row: DevelopmentRow): Promise<number> {
  const cells = Object.entries(row).map(([name, cell], at) => ({ name, ...toParameter(cell, `$${at + 1}`) }));
  const { rowCount } = await target.query(
    `INSERT INTO ${quoteTable('crm', table)} (${cells.map(({ name }) => quoteIdent(name)).join(', ')}) VALUES (${cells.map(({ sql }) => sql).join(', ')})${table === 'tenants' ? ' ON CONFLICT (id) DO NOTHING' : ''}`,
    cells.map(({ value }) => value),
  );
  return rowCount ?? 0;
}

/** The SQL expression of a cell around its parameter, and the parameter's value. */
function toParameter(cell: DevelopmentCell, parameter: string): { readonly sql: string; readonly value: unknown } {
  if (typeof cell !== 'object' || Array.isArray(cell)) return { sql: parameter, value: cell };
  if ('daysAgo' in cell) return { sql: `now() - make_interval(days => ${parameter}::int)`, value: cell.daysAgo };
  if ('monthsAgo' in cell)
    return {
      sql: `(date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => ${parameter}::int))::date`,
      value: cell.monthsAgo,
    };
  return { sql: parameter, value: cell };
}
