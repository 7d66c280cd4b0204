// Rows written by hand, legacy ones and the projected ones a person expects of them, for the tests of the oracle itself.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { readPhones, type TenantConfiguration } from '../../pipelines/crm/oracle/oracle.ts';
import type { Difference } from '../../projectors/verify/oracle/oracle.ts';
import { connect } from '../../runtime/postgres.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import { runOracle, sources } from '../support/crm.ts';
import { clearTarget, openTarget } from '../support/target-database.ts';

/** Column values as PostgreSQL text; numbers and booleans by their JavaScript text, null and missing as null. */
export type Row = Readonly<Record<string, string | number | boolean | null>>;

const T1 = '2024-03-01 10:00:00.000001+00';
/** Times of hand-written rows that are given none. */
export const TIMES = { created_at: T1, updated_at: T1 };
const LINEAGE = {
  origin: 'cdc',
  legacy_table: 'by hand',
  legacy_key: 'by hand',
  source_lsn: '0/1',
  source_xid: 1,
  source_committed_at: T1,
  mapping_version: 'by hand',
};

/** The usual times, where a table has them; and null for each column that would take a default: projectors name every column. */
async function projectedBlanks(client: pg.Client, table: string): Promise<Row> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND atthasdef AND NOT attnotnull AND NOT attisdropped`,
    [`crm.${quoteIdent(table)}`],
  );
  return { ...Object.fromEntries(rows.map(({ name }) => [name, null])), ...(await timesOf(client, 'crm', table)) };
}

/** Those of the usual times that a table has. */
async function timesOf(client: pg.Client, schema: string, table: string): Promise<Row> {
  const { rows } = await client.query<{ name: keyof typeof TIMES }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attname = ANY ($2) AND NOT attisdropped`,
    [`${schema}.${quoteIdent(table)}`, Object.keys(TIMES)],
  );
  return Object.fromEntries(rows.map(({ name }) => [name, TIMES[name]]));
}

/** UUID v5 of a name under the namespace of projected rows. */
export function idOf(name: string): string {
  const namespace = Buffer.from('3a9f6c528d0b5e0e9b1c6f0c1f7d2a10', 'hex');
  const hash = createHash('sha1').update(namespace).update(name, 'utf8').digest().subarray(0, 16);
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The id of the n-th hand-written row: greater n, greater id. */
export function idAt(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

export interface Bench {
  /** Adds a legacy row; its times are 2024-03-01 10:00:00.000001 UTC unless given. */
  legacy(table: string, row: Row): Promise<void>;
  /** Adds a live projected row, as a projector would have written it; same times. */
  projected(table: string, row: Row): Promise<void>;
  /** Adds what a contact once contributed to a do-not-call entry. */
  pastOptOut(mergeKey: string): Promise<void>;
  /** phones: E.164 by raw phone in the US; phones in rows that are not named here identify nobody. */
  differences(
    phones?: Readonly<Record<string, string>>,
    tenants?: readonly TenantConfiguration[],
  ): Promise<Difference[]>;
  /** Changes legacy tables: `ALTER TABLE … what`. */
  alter(tables: readonly string[], what: string): Promise<void>;
  /** Removes all rows. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** Lays out both schemas in two empty databases. */
export async function createBench(urls: { legacyUrl: string; targetUrl: string }): Promise<Bench> {
  const legacy = await connect(urls.legacyUrl, 'oracle-test');
  const target = await openTarget(urls.targetUrl);
  const sql = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  await legacy.query(sql('pipelines/crm/sample/legacy-schema.sql'));
  // Rows are written in the order a person thinks of them; foreign keys are not what is tested here.
  await target.query('SET session_replication_role = replica');

  const insert = (client: typeof legacy, table: string, row: Row) =>
    client.query(
      `INSERT INTO ${table} (${Object.keys(row).map(quoteIdent)}) VALUES (${Object.keys(row).map((_, i) => `$${i + 1}`)})`,
      Object.values(row),
    );
  return {
    legacy: async (table, row) => {
      await insert(legacy, quoteIdent(table), { ...(await timesOf(legacy, 'public', table)), ...row });
    },
    projected: async (table, row) => {
      await insert(target, `crm.${quoteIdent(table)}`, {
        ...LINEAGE,
        ...(await projectedBlanks(target, table)),
        ...row,
      });
    },
    pastOptOut: async (mergeKey) => {
      const { origin: _, ...lineage } = LINEAGE;
      const row = { ...lineage, aggregate: 'dnc_list', merge_key: mergeKey, live: false, data: '{"opted_out": "t"}' };
      await insert(target, 'crosswalk.contribution', row);
    },
    differences: async (known = {}, tenants = []) => {
      const raw = await readPhones(legacy, 'public');
      const phones = raw.map((phone) => ({ raw: phone, country: 'US', e164: known[phone] ?? null }));
      return runOracle({ ...urls, phones, tenants });
    },
    alter: async (tables, what) => {
      for (const table of tables) await legacy.query(`ALTER TABLE ${quoteIdent(table)} ${what}`);
    },
    clear: async () => {
      await legacy.query(`TRUNCATE ${sources.map(quoteIdent)} CASCADE`);
      await clearTarget(target);
    },
    close: async () => {
      await legacy.end();
      await target.end();
    },
  };
}
