import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { type ColumnTypes, insertRows, quoteIdentifier, readColumnTypes } from './insert-rows.ts';
import { orderIdAt, ordersOf } from './planted-rejects.ts';
import { appointmentRow, campaignRow, messageRow, opportunityRow, orderRow, subscriberRow } from './rows/activity.ts';
import {
  clientId,
  clientOfLead,
  clientRow,
  clientsOf,
  leadId,
  leadOfClient,
  leadRow,
  leadsOf,
} from './rows/clients.ts';
import { contactId, contactRow } from './rows/contacts.ts';
import { quoteRow } from './rows/quotes.ts';
import type { Row } from './rows/row.ts';
import { STATUS_OPTIONS_PER_WORKSPACE, statusOptionRows, workspaceRow } from './rows/workspaces.ts';
import { sampleSetting } from './sample-setting.ts';

const BATCH_ROWS = 1000;

/** Size of a sample database, and how it is loaded. */
export interface SampleSize {
  readonly seed: string | number;
  readonly contacts: number;
  readonly quotes: number;
  /** Number of workspaces, 6 by default. */
  readonly workspaces?: number;
  /** Commit after each batch instead of once, to load while a connector is running. */
  readonly commitEachBatch?: boolean;
  /** Called after each batch. */
  readonly onProgress?: (progress: { table: string; rows: number; rowsOfTable: number }) => void;
}

interface Part {
  readonly table: string;
  readonly rows: number;
  readonly rowAt: (index: number) => Row;
}

/** Creates the legacy tables in schema public. Does nothing and returns false if `contacts` already exists. */
export async function createLegacySchema(client: pg.Client | pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(
    `SELECT to_regclass('public.contacts') IS NOT NULL AS exists`,
  );
  if (rows[0]?.exists) return false;
  await client.query(await readFile(new URL('./legacy-schema.sql', import.meta.url), 'utf8'));
  return true;
}

/**
 * Fills a legacy database with sample rows and returns the number of rows by table. The same seed and size give the same rows. The schema must exist,
 * without rows of the same ids. Unless `commitEachBatch` is set, the load is one transaction, so that a failed load leaves nothing behind.
 */
export async function loadSample(
  target: pg.Client | pg.PoolClient | string,
  size: SampleSize,
): Promise<Record<string, number>> {
  if (typeof target !== 'string') return await load(target, size);
  const client = new pg.Client({ connectionString: target });
  await client.connect();
  try {
    return await load(client, size);
  } finally {
    await client.end();
  }
}

async function load(client: pg.Client | pg.PoolClient, size: SampleSize): Promise<Record<string, number>> {
  const parts = sampleParts(size);
  const types = await readColumnTypes(
    client,
    parts.map((part) => part.table),
  );
  const counts: Record<string, number> = {};
  const atOnce = size.commitEachBatch !== true;
  if (atOnce) await client.query('BEGIN');
  try {
    for (const part of parts)
      counts[part.table] = await loadPart(client, part, types.get(part.table)!, size.onProgress);
    await closeCircle(client, size, counts.clients ?? 0);
    for (const table of ['status_options', 'orders']) await moveSequence(client, table);
    if (atOnce) await client.query('COMMIT');
  } catch (error) {
    // Report the first error; a lost connection has nothing to roll back.
    if (atOnce) await client.query('ROLLBACK').catch(() => undefined);
    if (error instanceof pg.DatabaseError && error.code === '23505') {
      throw new Error(
        `table ${error.table} already holds sample rows (${error.constraint}): load the sample into an empty database`,
        { cause: error },
      );
    }
    throw error;
  }
  for (const part of parts) await client.query(`ANALYZE public.${quoteIdentifier(part.table)}`);
  return counts;
}

async function loadPart(
  client: pg.Client | pg.PoolClient,
  { table, rows, rowAt }: Part,
  types: ColumnTypes,
  onProgress: SampleSize['onProgress'],
): Promise<number> {
  let inserted = 0;
  for (let from = 0; from < rows; from += BATCH_ROWS) {
    const batch = Array.from({ length: Math.min(BATCH_ROWS, rows - from) }, (_, i) => rowAt(from + i));
    inserted += await insertRows(client, table, types, batch);
    onProgress?.({ table, rows: inserted, rowsOfTable: rows });
  }
  return inserted;
}

/** The tables in an order in which all references resolve. */
function sampleParts(size: SampleSize): Part[] {
  const workspaces = size.workspaces ?? 6;
  const setting = sampleSetting(size.seed, workspaces);
  const { seed, firstDay } = setting;
  const { contacts } = size;
  const campaigns = contacts === 0 ? 0 : Math.max(1, Math.min(10, workspaces));
  const someContact = (index: number) => contactId(seed, (index * 7) % contacts);
  // Rows get their contact's workspace: an application limited to one workspace touches no rows of another.
  const inWorkspace = (row: Row, index: number): Row => ({
    ...row,
    workspace_id: contactRow(setting, (index * 7) % contacts).row.workspace_id ?? null,
  });
  return [
    { table: 'workspaces', rows: workspaces, rowAt: (i) => workspaceRow(seed, i, firstDay) },
    {
      table: 'status_options',
      rows: workspaces * STATUS_OPTIONS_PER_WORKSPACE,
      rowAt: (i) =>
        statusOptionRows(seed, Math.floor(i / STATUS_OPTIONS_PER_WORKSPACE), firstDay)[
          i % STATUS_OPTIONS_PER_WORKSPACE
        ]!,
    },
    { table: 'contacts', rows: contacts, rowAt: (i) => contactRow(setting, i).row },
    { table: 'quotes', rows: size.quotes, rowAt: (i) => quoteRow(setting, i).row },
    {
      table: 'messages',
      rows: Math.floor(contacts / 2),
      rowAt: (i) => inWorkspace(messageRow(setting, i, someContact(i)), i),
    },
    {
      table: 'appointments',
      rows: Math.floor(contacts / 20),
      rowAt: (i) => inWorkspace(appointmentRow(setting, i, someContact(i)), i),
    },
    {
      table: 'opportunities',
      rows: Math.floor(contacts / 20),
      rowAt: (i) => inWorkspace(opportunityRow(setting, i, someContact(i)), i),
    },
    {
      table: 'orders',
      rows: ordersOf(contacts),
      rowAt: (i) => orderRow(setting, i, i % 25 === 0 ? null : someContact(i), orderIdAt(i)).row,
    },
    { table: 'campaigns', rows: campaigns, rowAt: (i) => campaignRow({ ...setting, plantRejects: false }, i).row },
    {
      table: 'campaign_subscribers',
      rows: Math.floor(contacts / 10),
      rowAt: (i) => subscriberRow(setting, i, campaigns),
    },
    { table: 'clients', rows: clientsOf(contacts), rowAt: (i) => clientRow(setting, i) },
    {
      table: 'leads',
      rows: leadsOf(contacts),
      rowAt: (i) => {
        const client = clientOfLead(i, clientsOf(contacts));
        return leadRow(setting, i, client === null ? null : clientId(setting, client)).row;
      },
    },
  ];
}

/** Clients name the lead that they came from, which may name a client. This cycle can only be closed afterwards. */
async function closeCircle(client: pg.Client | pg.PoolClient, size: SampleSize, clients: number): Promise<void> {
  const setting = sampleSetting(size.seed, 0);
  const pairs = Array.from({ length: clients }, (_, i) => [i, leadOfClient(i)] as const).filter(
    (pair): pair is readonly [number, number] => pair[1] !== null,
  );
  await client.query(
    `UPDATE public.clients c SET converted_from_lead_id = v.lead
       FROM unnest($1::uuid[], $2::uuid[]) AS v(client, lead) WHERE c.id = v.client`,
    [pairs.map(([i]) => clientId(setting, i)), pairs.map(([, lead]) => leadId(setting, lead))],
  );
}

/** The ids were explicit: the sequence continues after the greatest. */
async function moveSequence(client: pg.Client | pg.PoolClient, table: string): Promise<void> {
  const name = quoteIdentifier(table);
  await client.query(
    `SELECT setval(pg_get_serial_sequence($1, 'id'), (SELECT coalesce(max(id), 0) + 1 FROM public.${name}), false)`,
    [`public.${table}`],
  );
}
