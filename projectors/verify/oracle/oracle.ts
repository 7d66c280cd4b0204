// Runs a pipeline's oracle: copies legacy tables and projected rows into a scratch database, computes the expected rows there in SQL, and returns the
// differences.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { connect, inTransaction } from '../../../runtime/postgres.ts';
import { quoteIdent } from '../../../schemas/quote.ts';
import { copyTable } from './copy-table.ts';

export interface Difference {
  readonly table: string;
  readonly id: string;
  readonly kind: 'missing' | 'extra' | 'differs';
  /** The column that differs. Null for a missing or extra row: expected or actual then holds the whole row as JSON. */
  readonly column: string | null;
  readonly expected: string | null;
  readonly actual: string | null;
}

export interface OracleOptions {
  readonly legacyUrl: string;
  readonly legacySchema: string;
  /** URL of the database with the new tables, for a role that may create databases. PostgreSQL 18 or later. */
  readonly targetUrl: string;
  readonly targetSchema: string;
  /** Legacy tables to copy. */
  readonly sources: readonly string[];
  /** Tables whose rows depend only on the legacy rows. */
  readonly projected: readonly string[];
  /** Aggregates whose contributions are copied. */
  readonly aggregates: readonly string[];
  /** Absolute paths of the SQL files that create a table `oracle.<table>` for each projected table, in this order. */
  readonly sql: readonly string[];
  /** Fills the schema oracle_input with what SQL cannot compute itself. The legacy tables are in the schema legacy. */
  readonly prepare: (scratch: pg.ClientBase) => Promise<void>;
}

const isLiveAndProjected = (columns: readonly string[]) =>
  columns.includes('deleted_at') ? `origin = 'cdc' AND deleted_at IS NULL` : `origin = 'cdc'`;

// With row_security off, a role subject to row-level security gets an error instead of fewer rows.
const connectSeeingAll = (url: string) => connect(url, 'oracle', '-c row_security=off');

async function withSnapshot<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectSeeingAll(url);
  try {
    return await inTransaction(client, () => work(client), 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  } finally {
    await client.end();
  }
}

/** Throws if the oracle computes a table of the new schema that no projection writes: it would be compared with nothing. */
async function assertNoOther({ targetUrl, targetSchema }: OracleOptions, scratch: pg.Client): Promise<void> {
  const { rows: known } = await scratch.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'oracle'::regnamespace AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM oracle_input.projected p WHERE p.name = c.relname)`,
  );
  const { rows } = await withSnapshot(targetUrl, (target) =>
    target.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'origin' WHERE c.relnamespace = to_regnamespace($2) AND c.relname = ANY ($1) ORDER BY 1`,
      [known.map(({ name }) => name), quoteIdent(targetSchema)],
    ),
  );
  if (rows.length > 0)
    throw new Error(
      `the oracle computes ${rows.map(({ name }) => `${targetSchema}.${name}`).join(', ')}, which no projection writes: declare it in a projection, or take it out of the oracle`,
    );
}

async function compareInside(scratch: pg.Client, options: OracleOptions): Promise<Difference[]> {
  const { projected, targetSchema, legacySchema: sourceSchema } = options;
  await scratch.query(
    `CREATE SCHEMA legacy; CREATE SCHEMA ${quoteIdent(targetSchema)}; CREATE SCHEMA crosswalk; CREATE SCHEMA oracle_input; CREATE SCHEMA oracle`,
  );
  await withSnapshot(options.legacyUrl, async (source) => {
    for (const table of options.sources)
      await copyTable({ source, sourceSchema, target: scratch, targetSchema: 'legacy', table });
  });
  await withSnapshot(options.targetUrl, async (source) => {
    for (const table of projected) {
      const condition = isLiveAndProjected;
      await copyTable({ source, sourceSchema: targetSchema, target: scratch, targetSchema, table, condition });
    }
    const named = options.aggregates.map((name) => `'${name.replaceAll("'", "''")}'`).join(', ');
    await copyTable({
      ...{ source, sourceSchema: 'crosswalk', target: scratch, targetSchema: 'crosswalk', table: 'contribution' },
      condition: () => (named === '' ? 'false' : `aggregate IN (${named})`),
    });
  });
  await scratch.query('CREATE UNLOGGED TABLE oracle_input.projected (name text PRIMARY KEY, place bigint NOT NULL)');
  await scratch.query('INSERT INTO oracle_input.projected SELECT * FROM unnest($1::text[]) WITH ORDINALITY', [
    projected,
  ]);
  await options.prepare(scratch);
  for (const file of options.sql) await scratch.query(readFileSync(file, 'utf8'));
  await scratch.query(readFileSync(new URL('./compare.sql', import.meta.url), 'utf8'));
  await assertNoOther(options, scratch);
  const result = await scratch.query<Difference>(
    `SELECT table_name AS "table", id, kind, column_name AS "column", expected, actual FROM oracle.compare($1)`,
    [targetSchema],
  );
  return result.rows;
}

/**
 * Differences between the live projected rows of the target and what the legacy rows imply; empty if they agree. Both databases should be at rest: each
 * is read in one snapshot, but not in the same one. Creates a scratch database beside the target and drops it. Errors: a server older than PostgreSQL
 * 18, a role that may not create databases, and any error of the pipeline's SQL.
 */
export async function runOracle(options: OracleOptions): Promise<Difference[]> {
  const name = `crosswalk_oracle_${randomBytes(6).toString('hex')}`;
  const admin = await connectSeeingAll(options.targetUrl);
  try {
    const { rows } = await admin.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`);
    if (Number(rows[0]!.version) < 180000) {
      throw new Error('the oracle needs PostgreSQL 18 or later for its Unicode collations: upgrade the target server');
    }
    await admin.query(
      `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'`,
    );
    try {
      const url = new URL(options.targetUrl);
      url.pathname = `/${name}`;
      const scratch = await connectSeeingAll(url.href);
      try {
        return await compareInside(scratch, options);
      } finally {
        await scratch.end();
      }
    } finally {
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    }
  } finally {
    await admin.end();
  }
}
