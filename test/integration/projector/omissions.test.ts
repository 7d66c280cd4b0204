// What makes a table a projected one, on a database that was just migrated: nothing is missing, and each thing that is taken away is named.

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { lockProjectedSql } from '../../../cli/phases/unload.ts';
import { wantedTables } from '../../../monitor/target-access.ts';
import { createLegacySchema } from '../../../pipelines/crm/sample/load.ts';
import { targetTables } from '../../../projectors/write/catalog.ts';
import {
  allProjections,
  fetchPhones,
  readTableAccess,
  readTargetChecks,
  runOracle,
  toOmissions,
} from '../../support/crm.ts';
import { createDatabases } from '../../support/stack.ts';
import { openTarget, PROJECTED_TABLES } from '../../support/target-database.ts';

const tables = [...new Set(allProjections.flatMap(targetTables))].sort();
let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('omissions');
  client = await openTarget(databases.targetUrl);
});
afterAll(async () => {
  await client?.end();
  await databases?.drop();
});

async function readOmissions() {
  return toOmissions(wantedTables(allProjections), await readTableAccess(client, tables));
}

/** What is missing once something is taken away, and once what is proposed was run. */
async function without(sql: string): Promise<{ named: string[]; checks: string[]; mended: string[] }> {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    const found = await readOmissions();
    const checks = (await readTargetChecks(client)).filter(({ state }) => state === 'failing');
    for (const repair of new Set(found.map((each) => each.repair)))
      await client.query(repair.replace('<stage>', '1').replaceAll('<type>', 'numeric'));
    const left = await readOmissions();
    return {
      named: found.map(({ table, kind }) => `${table}: ${kind}`),
      checks: checks.map(({ name, what, remedy }) => `${name}: ${what} -> ${remedy}`),
      mended: left.map(({ table, kind }) => `${table}: ${kind}`),
    };
  } finally {
    await client.query('ROLLBACK');
  }
}

test('nothing is missing', async () => {
  expect(await readOmissions()).toEqual([]);
  const access = async () => (await readTargetChecks(client)).filter(({ name }) => name === 'access');
  expect(await access()).toMatchObject([{ state: 'ok' }]);
  // doctor looks with the rights of the projectors.
  await client.query('SET ROLE crosswalk_projector');
  try {
    expect(await access()).toMatchObject([{ state: 'ok' }]);
  } finally {
    await client.query('RESET ROLE');
  }
});

test('every table with lineage is one of a projection, and the way back knows each', async () => {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'mapping_version' WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r' ORDER BY 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual(tables);
  const locked = await lockProjectedSql(client, 'crm');
  for (const table of tables) expect(locked).toContain(`"crm"."${table}"`);
});

describe('each thing that is taken away is named, with its table and what brings it back', () => {
  it.each([
    ['ALTER TABLE crm.payments DISABLE ROW LEVEL SECURITY', 'payments: row-level security'],
    ['DROP POLICY tenant ON crm.jobs_new', 'jobs_new: policy tenant'],
    ['DROP POLICY projector ON crm.contacts', 'contacts: policy projector'],
    ['DROP POLICY reader ON crm.lead_audit_log', 'lead_audit_log: policy reader'],
    ['ALTER POLICY tenant ON crm.leads TO crosswalk_reader', 'leads: policy tenant'],
    [
      `DROP POLICY tenant ON crm.leads; CREATE POLICY tenant ON crm.leads TO crosswalk_app USING (true) WITH CHECK (true)`,
      'leads: policy tenant',
    ],
    [
      `ALTER POLICY tenant ON crm.quote_items_new USING (tenant_id = current_setting('crosswalk.tenant_id', true)) WITH CHECK (tenant_id = current_setting('crosswalk.tenant_id', true))`,
      'quote_items_new: stage of policy tenant',
    ],
    ['DROP TRIGGER refuse_taking_over ON crm.invoices_new', 'invoices_new: trigger refuse_taking_over'],
    ['ALTER TABLE crm.rejects DISABLE TRIGGER refuse_taking_over', 'rejects: trigger refuse_taking_over'],
    ['REVOKE DELETE ON crm.leads FROM crosswalk_projector', 'leads: DELETE for crosswalk_projector'],
    ['REVOKE SELECT ON crm.dnc_list FROM crosswalk_reader', 'dnc_list: SELECT for crosswalk_reader'],
    ['REVOKE INSERT, UPDATE ON crm.customers FROM crosswalk_app', 'customers: INSERT, UPDATE for crosswalk_app'],
    ['REVOKE INSERT ON crm.lead_assignments FROM crosswalk_app', 'lead_assignments: INSERT for crosswalk_app'],
    ['ALTER TABLE crm.tenants DROP CONSTRAINT tenants_lineage', 'tenants: check of the lineage'],
    ['ALTER TABLE crm.lead_custom_fields ALTER origin DROP NOT NULL', 'lead_custom_fields: column origin'],
    ['ALTER TABLE crm.status_options DROP CONSTRAINT status_options_origin_check', 'status_options: column origin'],
    ['ALTER TABLE crm.quotes_new DROP COLUMN notes', 'quotes_new: column notes'],
    ['ALTER TABLE crm.payments DROP CONSTRAINT payments_pkey', 'payments: unique key of id'],
    ["DELETE FROM crosswalk.adopted WHERE table_name = 'payments'", 'payments: adoption'],
  ])('%s', async (sql, named) => {
    const found = await without(sql);
    expect(found.named).toEqual([named]);
    const [table, kind] = named.split(': ');
    expect(found.checks).toEqual([
      expect.stringContaining(
        `access: crm.${table} lacks ${kind} -> Run as the owner of the tables, or with the tool that makes them: `,
      ),
    ]);
    expect(found.mended).toEqual([]);
  });

  it('a column of the lineage, with the check that spoke of it', async () => {
    const found = await without('ALTER TABLE crm.payments DROP COLUMN source_xid');
    expect(found.named).toEqual(['payments: column source_xid', 'payments: check of the lineage']);
    expect(found.mended).toEqual([]);
  });

  it('the table itself', async () => {
    expect((await without('DROP TABLE crm.lead_score_history')).checks).toContainEqual(
      expect.stringContaining('access: crm.lead_score_history lacks the table'),
    );
  });
});

describe('the oracle', () => {
  beforeAll(async () => {
    const legacy = new pg.Client({ connectionString: databases.legacyUrl });
    await legacy.connect();
    await createLegacySchema(legacy).finally(() => legacy.end());
  });
  const compare = async (projected?: readonly string[]) =>
    runOracle({
      ...databases,
      phones: (await fetchPhones(databases.legacyUrl)).map((raw) => ({ raw, country: 'US', e164: null })),
      ...(projected === undefined ? {} : { projected }),
    });

  it('knows every projected table', async () => {
    expect(await compare()).toEqual([]);
  });

  it('says so where it does not know one, and where it knows one that nobody projects', async () => {
    await expect(compare([...PROJECTED_TABLES, 'lead_audit_log'])).rejects.toThrow(
      /lead_audit_log is projected and the oracle does not compute it/,
    );
    await expect(compare(PROJECTED_TABLES.filter((table) => table !== 'payments'))).rejects.toThrow(
      /the oracle computes crm\.payments, which no projection writes/,
    );
  });
});
