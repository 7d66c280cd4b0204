// Rows of the application for any table of the new schema, with what the table demands and nothing else.
import type pg from 'pg';
import { quoteIdent, quoteLiteral } from '../../schemas/quote.ts';
import { crm } from './crm.ts';

interface Column {
  readonly name: string;
  readonly type: string;
  /** The table that it refers to; null: it refers to none. */
  readonly parent: string | null;
  /** `CHECK (…)` of the column alone. */
  readonly check: string | null;
}

/** What a check of several columns demands. */
const DEMANDED = ['leads.customer_id'];

/** The id of the n-th of these rows. */
export const appId = (n: number) => `a0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const idAs = (type: string, n: number) =>
  quoteLiteral(type === 'integer' || type === 'bigint' ? String(1000 + n) : appId(n));

const fillers: Readonly<Record<string, string>> = {
  ...{ 'timestamp with time zone': 'now()', date: 'now()', boolean: 'false', jsonb: `'{}'`, 'text[]': `'{}'` },
  ...{ integer: '0', bigint: '0', numeric: '0' },
};

async function readRequired(client: pg.ClientBase, table: string): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type,
       (SELECT f.confrelid::regclass::text FROM pg_constraint f WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]) AS parent,
       (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] LIMIT 1) AS check
     FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
       AND (a.attname = 'id' OR $2 || '.' || a.attname = ANY ($3) OR a.attnotnull AND NOT a.atthasdef AND a.attidentity = '') AND a.attname <> 'tenant_id' ORDER BY a.attnum`,
    [`${crm.targetSchema}.${table}`, table, DEMANDED],
  );
  return rows;
}

function fillerOf({ name, type, parent, check }: Column, n: number): string {
  if (name === 'id') return idAs(type, n);
  // Accounts are made by the migrations; of other tables there is a first row of these.
  if (parent !== null) return /\b(users|chatbots)$/.test(parent) ? '1' : idAs(type, 1);
  return /'([^']+)'::text/.exec(check ?? '')?.[0] ?? fillers[type] ?? quoteLiteral(appId(n));
}

/** Adds the n-th row of the application to a table, for a tenant, by whoever `client` is; what it refers to are the first rows. `owner` may read the catalog. */
export async function addAppRow(
  client: pg.ClientBase,
  owner: pg.ClientBase,
  table: string,
  tenant: string,
  n: number,
): Promise<pg.QueryResult> {
  const columns = await readRequired(owner, table);
  const names = ['tenant_id', ...columns.map(({ name }) => name)].map(quoteIdent).join(', ');
  const values = [quoteLiteral(tenant), ...columns.map((column) => fillerOf(column, n))].join(', ');
  return await client.query(
    `INSERT INTO ${quoteIdent(crm.targetSchema)}.${quoteIdent(table)} (${names}) VALUES (${values})`,
  );
}

/** Adds the first row of each table, those that others refer to before these. */
export async function addFirstAppRows(owner: pg.ClientBase, tables: readonly string[], tenant: string): Promise<void> {
  let left = tables;
  while (left.length > 0) {
    const waiting: string[] = [];
    for (const table of left)
      await addAppRow(owner, owner, table, tenant, 1).catch((error: { code?: string }) => {
        if (error.code !== '23503') throw error;
        waiting.push(table);
      });
    if (waiting.length === left.length) throw new Error(`rows of ${waiting.join(', ')} refer to each other`);
    left = waiting;
  }
}
