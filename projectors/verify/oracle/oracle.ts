// Runs the mapping oracle: copies legacy tables and projected rows into a scratch database, computes there in SQL what the
// projected rows should be, and returns where they differ.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { connect, inTransaction } from '../../../runtime/postgres.ts';
import { quoteIdent } from '../../../schemas/quote.ts';
import placeholders from '../../placeholders.json' with { type: 'json' };
import { projections } from '../../projections/all.ts';
import { targetTables } from '../../write/catalog.ts';
import { copyTable } from './copy-table.ts';

export interface PhoneIdentity {
  /** The phone as a legacy row spells it. */
  readonly raw: string;
  readonly country: string;
  readonly e164: string | null;
}

export interface TenantConfiguration {
  /** '' stands for every tenant that is not listed. */
  readonly tenantId: string;
  readonly country: string;
  readonly userId: string;
  readonly chatbotId: string;
  /** What identifies nobody; those of '' where left out. */
  readonly placeholders?: { readonly mailboxes: Iterable<string>; readonly names: Iterable<string> };
}

export interface Difference {
  readonly table: string;
  readonly id: string;
  readonly kind: 'missing' | 'extra' | 'differs';
  /** The column that differs; null for a missing or extra row, whose whole row is then in expected or actual, as JSON. */
  readonly column: string | null;
  readonly expected: string | null;
  readonly actual: string | null;
}

export interface OracleOptions {
  readonly legacyUrl: string;
  /** The database with the schemas crm and crosswalk, by a role that may create databases; PostgreSQL 18 or later. */
  readonly targetUrl: string;
  /** Every raw phone of the legacy rows, with the country of its tenant: for several countries, several times. */
  readonly phones: readonly PhoneIdentity[];
  /** Tenants with a configuration of their own; without an entry '', the others have US, 1 and 1. */
  readonly tenants?: readonly TenantConfiguration[];
  readonly legacySchema?: string;
  /** Tables whose rows depend on the legacy rows alone: those of the tree, unless a test says otherwise. */
  readonly projected?: readonly string[];
}

const DEFAULT_TENANT: TenantConfiguration = { tenantId: '', country: 'US', userId: '1', chatbotId: '1', placeholders };
/** What the legacy rows are copied from. */
const LEGACY_TABLES = [...new Set(projections.map(({ source }) => source))];

const readSql = (file: string) => readFileSync(new URL(file, import.meta.url), 'utf8');

const isLiveAndProjected = (columns: readonly string[]) =>
  columns.includes('deleted_at') ? `origin = 'cdc' AND deleted_at IS NULL` : `origin = 'cdc'`;

// With row_security off, a role that row-level security hides rows from gets an error instead of fewer rows.
const connectSeeingAll = (url: string) => connect(url, 'oracle', '-c row_security=off');

async function withSnapshot<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectSeeingAll(url);
  try {
    return await inTransaction(client, () => work(client), 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  } finally {
    await client.end();
  }
}

async function insertInputs(scratch: pg.Client, options: OracleOptions, projected: readonly string[]): Promise<void> {
  const { phones, tenants = [] } = options;
  const all = tenants.some((tenant) => tenant.tenantId === '') ? tenants : [DEFAULT_TENANT, ...tenants];
  const lists = all.map(({ placeholders: own }) => own && { mailboxes: [...own.mailboxes], names: [...own.names] });
  await scratch.query(
    `CREATE UNLOGGED TABLE oracle_input.phone (raw text NOT NULL, country text NOT NULL, e164 text);
     CREATE UNLOGGED TABLE oracle_input.projected (name text PRIMARY KEY, place bigint NOT NULL);
     CREATE UNLOGGED TABLE oracle_input.tenant (tenant_id text PRIMARY KEY, country text NOT NULL, user_id text NOT NULL, chatbot_id text NOT NULL, mailboxes text[], names text[])`,
  );
  await scratch.query('INSERT INTO oracle_input.projected SELECT * FROM unnest($1::text[]) WITH ORDINALITY', [
    projected,
  ]);
  await scratch.query(
    `INSERT INTO oracle_input.phone SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[])`,
    [phones.map((p) => p.raw), phones.map((p) => p.country), phones.map((p) => p.e164)],
  );
  // Two answers for one phone would double the rows that show it.
  await scratch.query(`ALTER TABLE oracle_input.phone ADD CONSTRAINT phone_key EXCLUDE USING hash ((raw || ' ' || country) WITH =);
    ANALYZE oracle_input.phone`);
  await scratch.query(
    `INSERT INTO oracle_input.tenant SELECT tenant_id, country, user_id, chatbot_id,
       CASE WHEN lists IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(lists -> 'mailboxes')) END,
       CASE WHEN lists IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(lists -> 'names')) END
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[]) r (tenant_id, country, user_id, chatbot_id, lists)`,
    [
      ...[all.map((t) => t.tenantId), all.map((t) => t.country), all.map((t) => t.userId), all.map((t) => t.chatbotId)],
      lists.map((list) => (list ? JSON.stringify(list) : null)),
    ],
  );
}

/** What the oracle computes for a table of the new schema, and nobody projects, would be compared with nothing. */
async function assertNoOther(options: OracleOptions, scratch: pg.Client): Promise<void> {
  const { rows: known } = await scratch.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'oracle'::regnamespace AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM oracle_input.projected p WHERE p.name = c.relname)`,
  );
  const { rows } = await withSnapshot(options.targetUrl, (target) =>
    target.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'origin' WHERE c.relnamespace = 'crm'::regnamespace AND c.relname = ANY ($1) ORDER BY 1`,
      [known.map(({ name }) => name)],
    ),
  );
  if (rows.length > 0)
    throw new Error(
      `the oracle computes ${rows.map(({ name }) => `crm.${name}`).join(', ')}, which no projection writes: declare it in projectors/projections/, or take it out of projectors/verify/oracle/oracle.sql`,
    );
}

async function compareInside(scratch: pg.Client, options: OracleOptions): Promise<Difference[]> {
  const projected = options.projected ?? [...new Set(projections.flatMap(targetTables))];
  await scratch.query('CREATE SCHEMA legacy; CREATE SCHEMA crm; CREATE SCHEMA crosswalk; CREATE SCHEMA oracle_input');
  await withSnapshot(options.legacyUrl, async (source) => {
    for (const table of LEGACY_TABLES) {
      const sourceSchema = options.legacySchema ?? 'public';
      await copyTable({ source, sourceSchema, target: scratch, targetSchema: 'legacy', table });
    }
  });
  await withSnapshot(options.targetUrl, async (source) => {
    for (const table of projected) {
      const condition = isLiveAndProjected;
      await copyTable({ source, sourceSchema: 'crm', target: scratch, targetSchema: 'crm', table, condition });
    }
    await copyTable({
      source,
      sourceSchema: 'crosswalk',
      target: scratch,
      targetSchema: 'crosswalk',
      table: 'contribution',
      condition: () => `aggregate = 'dnc_list'`,
    });
  });
  await insertInputs(scratch, options, projected);
  await scratch.query(readSql('./values.sql'));
  await scratch.query(readSql('./oracle.sql'));
  await scratch.query(readSql('./compare.sql'));
  await assertNoOther(options, scratch);
  const result = await scratch.query<Difference>(
    `SELECT table_name AS "table", id, kind, column_name AS "column", expected, actual FROM oracle.compare()`,
  );
  return result.rows;
}

/**
 * Where the live projected rows of the target differ from what the legacy rows imply; empty when they agree. Both databases
 * should be at rest: each is read in one snapshot, but not in the same one. Creates a scratch database beside the target and
 * drops it. Errors: a server older than PostgreSQL 18, a role that may not create databases, a phone without an answer.
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

/** The distinct phones of the legacy contacts and quotes, as they are spelled there. */
export async function fetchPhones(legacyUrl: string, legacySchema = 'public'): Promise<string[]> {
  const schema = quoteIdent(legacySchema);
  return withSnapshot(legacyUrl, async (client) => {
    const result = await client.query<{ raw: string }>(
      `SELECT phone_number AS raw FROM ${schema}.contacts WHERE phone_number IS NOT NULL
       UNION SELECT phone FROM ${schema}.quotes WHERE phone IS NOT NULL ORDER BY raw`,
    );
    return result.rows.map((row) => row.raw);
  });
}
