// A target database with both schemas, and what a test may want to see of it.

import type pg from 'pg';
import { targetTables } from '../../projectors/write/catalog.ts';
import { connect } from '../../runtime/postgres.ts';
import { histories, migrateUp, projections } from './crm.ts';

/** Tables whose rows depend on the legacy rows alone. */
export const PROJECTED_TABLES: readonly string[] = [...new Set(projections.flatMap(targetTables))];
/** Tables of histories. */
export const HISTORY_TABLES: readonly string[] = [...new Set(histories.flatMap(targetTables))];

const LINEAGE = '{legacy_table,legacy_key,source_lsn,source_xid,source_committed_at,mapping_version}';

/** Migrates an empty database, and adds a second user with a chatbot. The caller ends the connection. */
export async function openTarget(targetUrl: string): Promise<pg.Client> {
  const client = await connect(targetUrl, 'test');
  await migrateUp(client, () => undefined);
  await client.query(
    `INSERT INTO crm.users (id, email) VALUES (2, 'second@crosswalk.invalid'); INSERT INTO crm.chatbots (id, user_id, name) VALUES (2, 2, 'Second')`,
  );
  return client;
}

/** Empties everything that projections write, and what refers to it. */
export async function clearTarget(client: pg.Client): Promise<void> {
  await client.query(`TRUNCATE ${PROJECTED_TABLES.map((table) => `crm.${table}`).join(', ')}, crosswalk.consumer_offset, crosswalk.contribution,
    crosswalk.merge_key, crosswalk.parked_change, crosswalk.dead_letter CASCADE`);
}

/** Rows as JSON, by table and id. `live`: live projected rows without lineage; `app`: rows of the application; `all`: every row, and the projectors' state. */
export async function dumpTarget(client: pg.Client, what: 'live' | 'app' | 'all'): Promise<Record<string, string[]>> {
  const dump: Record<string, string[]> = {};
  for (const table of PROJECTED_TABLES) {
    const row = what === 'live' ? `to_jsonb(t) - '${LINEAGE}'::text[]` : 'to_jsonb(t)';
    const condition = {
      live: `origin = 'cdc' AND to_jsonb(t) ->> 'deleted_at' IS NULL`,
      app: `origin = 'app'`,
      all: 'true',
    }[what];
    const { rows } = await client.query<{ row: string }>(
      `SELECT (${row})::text AS row FROM crm.${table} t WHERE ${condition} ORDER BY id::text`,
    );
    dump[table] = rows.map((found) => found.row);
  }
  if (what !== 'all') return dump;
  for (const table of ['consumer_offset', 'contribution', 'merge_key', 'parked_change', 'dead_letter']) {
    const { rows } = await client.query<{ row: string }>(
      `SELECT to_jsonb(t)::text AS row FROM crosswalk.${table} t ORDER BY 1`,
    );
    dump[table] = rows.map((found) => found.row);
  }
  return dump;
}

/** Adds rows of the application that look like projected ones: they hold values that projected rows hold too, as where those came later. */
export async function insertAppRows(client: pg.Client): Promise<void> {
  await client.query(`SET LOCAL session_replication_role = replica;
    INSERT INTO crm.tenants (id, tenant_id, name) VALUES ('app', 'app', 'App');
    INSERT INTO crm.status_options (id, tenant_id, workspace_id, category, name) VALUES (900, 'app', 'ws-c', 'lead', 'New');
    INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id, phone_number, thread_id) VALUES ('90000000-0000-4000-8000-000000000001', 'ws-c', 1, 1, '2015552700', 't1');
    INSERT INTO crm.customers (id, tenant_id, customer_key, phone_e164) VALUES ('90000000-0000-4000-8000-000000000002', 'unassigned', 'p:+12015552700', '+12015552700');
    INSERT INTO crm.customer_addresses (tenant_id, customer_id, address, normalised_address, is_primary) VALUES ('unassigned', '90000000-0000-4000-8000-000000000002', '1 Main St', '1 main st', true);
    INSERT INTO crm.leads (id, tenant_id, customer_id) VALUES ('90000000-0000-4000-8000-000000000003', 'unassigned', '90000000-0000-4000-8000-000000000002');
    INSERT INTO crm.lead_custom_fields (tenant_id, lead_id, field_name) VALUES ('unassigned', '90000000-0000-4000-8000-000000000003', 'contact.city');
    INSERT INTO crm.dnc_list (tenant_id, identity, identity_kind) VALUES ('unassigned', '+12015552700', 'phone');
    INSERT INTO crm.quotes_new (id, tenant_id, customer_id) VALUES ('90000000-0000-4000-8000-000000000004', 'unassigned', '90000000-0000-4000-8000-000000000002');
    INSERT INTO crm.quote_items_new (tenant_id, quote_id) VALUES ('unassigned', '90000000-0000-4000-8000-000000000004');
    INSERT INTO crm.jobs_new (id, tenant_id, quote_id, customer_id, status) VALUES ('90000000-0000-4000-8000-000000000005', 'unassigned', '90000000-0000-4000-8000-000000000004', '90000000-0000-4000-8000-000000000002', 'scheduled');
    INSERT INTO crm.invoices_new (id, tenant_id, job_id, customer_id, amount_due, amount_paid, status) VALUES ('90000000-0000-4000-8000-000000000006', 'unassigned', '90000000-0000-4000-8000-000000000005', '90000000-0000-4000-8000-000000000002', 1, 0, 'sent');
    INSERT INTO crm.payments (tenant_id, invoice_id, amount, method, paid_at) VALUES ('unassigned', '90000000-0000-4000-8000-000000000006', 1, 'card', now())`);
}
