import type { Client } from 'pg';
import { quoteIdentifier } from '../insert-rows.ts';
import { hashText } from '../random.ts';
import type { Row } from '../rows/row.ts';
import {
  belongingsOf,
  createKnownRows,
  KNOWN_CONTACT_COLUMNS,
  KNOWN_QUOTE_COLUMNS,
  type KnownRow,
  type KnownRows,
  learn,
} from './known-rows.ts';

const MOST_ROWS = 10_000;
const FIRST_TRAFFIC_PHONE = 4_000_000;
const TRAFFIC_PHONES = 3_000_000;
const DAY_US = 86_400_000_000;

/** Tables whose rows have an id and belong to a contact. */
const BELONGING_TABLES = `SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('id', 'contact_id') AND NOT a.attisdropped) = 2 ORDER BY 1`;

/** Limits of the application. */
export interface KnowledgeOptions {
  readonly seed: string;
  /** Name of this run, so that two runs of one seed generate different rows. */
  readonly run: string;
  readonly connections: number;
  readonly tenants: readonly string[] | null;
  readonly plantRejects: boolean;
  readonly largestTransaction: number;
  readonly clockUs: number;
}

/**
 * Reads some of the existing rows and distributes them among the connections. Each has its own contacts and quotes, so that connections never wait for
 * each other's rows, and the actions of each follow from the seed alone.
 */
export async function readKnownRows(client: Client, options: KnowledgeOptions): Promise<KnownRows[]> {
  const { tenants, connections } = options;
  const read = async (text: string, values: readonly unknown[] = [tenants, MOST_ROWS]): Promise<Row[]> =>
    (await client.query<Row>(text, [...values])).rows;
  const columns = (names: readonly string[]) => names.map((name) => `"${name}"::text`).join(', ');
  const contacts = await read(
    `SELECT ${columns(KNOWN_CONTACT_COLUMNS)} FROM public.contacts
      WHERE $1::text[] IS NULL OR workspace_id = ANY ($1) ORDER BY contacts.id LIMIT $2`,
  );
  const quotes = await read(
    `SELECT ${columns(KNOWN_QUOTE_COLUMNS)} FROM public.quotes
      WHERE $1::text[] IS NULL OR company_id::text = ANY ($1) ORDER BY quotes.id LIMIT $2`,
  );
  const idsOf = async (table: 'workspaces' | 'status_options') =>
    (await read(`SELECT id::text FROM public.${table} ORDER BY ${table}.id LIMIT 1000`, [])).map((row) => row.id!);
  const workspaces = tenants ?? (await idsOf('workspaces'));
  const statusOptions = await idsOf('status_options');
  const pairs = async (table: 'clients' | 'leads' | 'campaigns') =>
    await read(
      `SELECT id::text, workspace_id FROM public.${table} WHERE $1::text[] IS NULL OR workspace_id = ANY ($1) ORDER BY ${table}.id LIMIT $2`,
    );
  const [clients, leads] = [await pairs('clients'), await pairs('leads')];
  const campaigns = (await pairs('campaigns')).map((row) => row.id!);
  const laneOf = new Map(contacts.map(({ id }, i) => [id, i % connections]));
  const belongings: { table: string; rows: Row[] }[] = [];
  for (const { name } of await read(BELONGING_TABLES, [])) {
    const table = quoteIdentifier(name!);
    // Some name a workspace of their own, which need not be that of their contact.
    const rows = await read(
      `SELECT id::text, contact_id::text FROM public.${table} WHERE contact_id IS NOT NULL
        AND ($1::text[] IS NULL OR NOT to_jsonb(${table}) ? 'workspace_id' OR to_jsonb(${table})->>'workspace_id' = ANY ($1)) ORDER BY ${table}.id LIMIT $2`,
    );
    belongings.push({ table: name!, rows });
  }

  return Array.from({ length: connections }, (_, lane) => {
    const seed = `${options.seed}/${options.run}/${lane}`;
    const setting = {
      seed,
      workspaces,
      anyWorkspace: tenants === null,
      companies: workspaces.filter(isUuid),
      statusOptions,
      plantRejects: options.plantRejects,
      firstPhone: FIRST_TRAFFIC_PHONE + (hashText(`${seed}/phones`) % TRAFFIC_PHONES),
      firstDay: Math.floor(options.clockUs / DAY_US) - 700,
    };
    const known = createKnownRows(setting, options);
    for (const [i, row] of contacts.entries()) if (i % connections === lane) learn(known, 'contacts', row);
    for (const [i, row] of quotes.entries()) if (i % connections === lane) learn(known, 'quotes', row);
    known.campaigns.push(...campaigns);
    // Clients and leads of one workspace go to the same connection, so that they may refer to each other.
    const ofLane = (rows: readonly Row[]) =>
      rows.filter((row) => hashText(row.workspace_id ?? '') % connections === lane) as KnownRow[];
    for (const row of ofLane(clients)) known.clients.add(row);
    for (const row of ofLane(leads)) known.leads.add(row);
    for (const { table, rows } of belongings)
      for (const row of rows) if (laneOf.get(row.contact_id!) === lane) belongingsOf(known, table).add({ id: row.id! });
    return known;
  });
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
