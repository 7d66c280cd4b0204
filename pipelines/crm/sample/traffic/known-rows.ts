import type { Random } from '../random.ts';
import type { Row, Setting } from '../rows/row.ts';
import type { Action, Change } from './change.ts';
import { createRowPool, type RowPool } from './row-pool.ts';

/** Stage of a quote. */
export type Stage =
  | 'other'
  | 'lead'
  | 'contacted'
  | 'qualified'
  | 'draft'
  | 'sent'
  | 'accepted'
  | 'scheduled'
  | 'completed'
  | 'invoiced'
  | 'paid';
const STAGES: readonly Stage[] = [
  'other',
  'lead',
  'contacted',
  'qualified',
  'draft',
  'sent',
  'accepted',
  'scheduled',
  'completed',
  'invoiced',
  'paid',
];

export type KnownRow = Row & { id: string };

/** The columns of contacts and quotes that the application remembers. */
export const KNOWN_CONTACT_COLUMNS = ['id', 'workspace_id', 'phone_number', 'opted_out'] as const;
export const KNOWN_QUOTE_COLUMNS = [
  'id',
  'company_id',
  'customer_name',
  'email',
  'phone',
  'address',
  'status',
  'lead_status',
  'invoice_number',
  'paid_at',
] as const;

/** Rows known to one connection of the legacy application. No two connections know the same contact or quote. */
export interface KnownRows {
  /** Input of the row generators. Its lists of ids grow with the rows. */
  setting: Setting;
  readonly contacts: RowPool<KnownRow>;
  readonly quotes: Readonly<Record<Stage, RowPool<KnownRow>>>;
  readonly campaigns: string[];
  /** Rows with an id and a contact_id, by table. Some may be gone with their contact. Under `campaigns`: the campaigns that this connection created. */
  readonly belongings: Map<string, RowPool<KnownRow>>;
  /** Legacy leads and clients: id and workspace_id. */
  readonly leads: RowPool<KnownRow>;
  readonly clients: RowPool<KnownRow>;
  /** Number of rows generated so far. */
  made: number;
  /** The application's clock, in microseconds since 1970. */
  clockUs: number;
  /** Maximum number of rows that one statement may change. */
  largestTransaction: number;
}

/** Initial knowledge of a connection: only the setting. */
export function createKnownRows(setting: Setting, options: { clockUs: number; largestTransaction: number }): KnownRows {
  return {
    ...options,
    setting,
    contacts: createRowPool(),
    quotes: Object.fromEntries(STAGES.map((stage) => [stage, createRowPool<KnownRow>()])) as KnownRows['quotes'],
    campaigns: [],
    belongings: new Map(),
    leads: createRowPool(),
    clients: createRowPool(),
    made: 0,
  };
}

/** Stage of a quote, from its status, lead status and invoice. */
export function stageOf(quote: Row): Stage {
  const has = (column: string) => (quote[column] ?? '').trim() !== '';
  if (has('invoice_number')) return has('paid_at') ? 'paid' : 'invoiced';
  const status = (quote.status ?? '').trim().toLowerCase();
  if (STAGES.indexOf(status as Stage) >= STAGES.indexOf('draft')) return status as Stage;
  const leadStatus = (quote.lead_status ?? '').trim().toLowerCase();
  if (status === '' && (leadStatus === 'contacted' || leadStatus === 'qualified')) return leadStatus;
  return status === '' && leadStatus !== '' ? 'lead' : 'other';
}

/** Adds a contact or quote to the known rows. */
export function learn(known: KnownRows, table: 'contacts' | 'quotes', row: Row): void {
  const columns = table === 'contacts' ? KNOWN_CONTACT_COLUMNS : KNOWN_QUOTE_COLUMNS;
  const kept = Object.fromEntries(columns.map((column) => [column, row[column] ?? null])) as KnownRow;
  (table === 'contacts' ? known.contacts : known.quotes[stageOf(kept)]).add(kept);
}

/** Known rows of a table whose rows belong to contacts. */
export function belongingsOf(known: KnownRows, table: string): RowPool<KnownRow> {
  const pool = known.belongings.get(table) ?? createRowPool<KnownRow>();
  known.belongings.set(table, pool);
  return pool;
}

/** Applies a committed change to the known rows. */
export function observe(known: KnownRows, change: Change): void {
  const { table } = change;
  if (change.op === 'insert') {
    for (const row of change.rows) observeInsert(known, table, row);
    return;
  }
  if (change.op === 'touch' || change.by !== 'id') return;
  if (change.op === 'delete') for (const key of change.keys) known.belongings.get(table)?.remove(key);
  if (change.op === 'delete' && (table === 'clients' || table === 'leads'))
    for (const key of change.keys) known[table].remove(key);
  if (change.op === 'delete' && table === 'campaigns')
    known.campaigns.splice(0, Infinity, ...known.campaigns.filter((id) => !change.keys.includes(id)));
  if (table !== 'contacts' && table !== 'quotes') return;
  for (const key of change.keys) {
    const row = forget(known, table, key);
    if (row !== undefined && change.op === 'update') learn(known, table, { ...row, ...change.set });
  }
}

/** Advances after an action, whether or not its transactions committed: no row is generated twice. */
export function moveOn(known: KnownRows, action: Action): void {
  known.made += action.made;
  known.clockUs += 1_003_007;
}

/** A quote in one of the stages; undefined if none is known. */
export function pickQuote(known: KnownRows, random: Random, stages: readonly Stage[] = STAGES): KnownRow | undefined {
  const pools = stages.map((stage) => known.quotes[stage]).filter((pool) => pool.size() > 0);
  if (pools.length === 0) return undefined;
  return random.weighted(pools.map((pool) => [pool, pool.size()])).pick(random);
}

function observeInsert(known: KnownRows, table: string, row: Row): void {
  if (table === 'contacts' || table === 'quotes') learn(known, table, row);
  const id = row.id ?? '';
  if (id !== '' && row.contact_id != null) belongingsOf(known, table).add({ id });
  if (table === 'clients' || table === 'leads') known[table].add({ id, workspace_id: row.workspace_id ?? null });
  if (table === 'campaigns') {
    known.campaigns.push(id);
    belongingsOf(known, table).add({ id });
  }
  if (table === 'status_options') {
    known.setting = { ...known.setting, statusOptions: [...known.setting.statusOptions, id] };
  }
  if (table === 'workspaces') {
    const { workspaces, companies } = known.setting;
    known.setting = {
      ...known.setting,
      workspaces: [...workspaces, id],
      companies: id.length === 36 ? [...companies, id] : companies,
    };
  }
}

function forget(known: KnownRows, table: 'contacts' | 'quotes', id: string): KnownRow | undefined {
  if (table === 'contacts') return known.contacts.remove(id);
  for (const stage of STAGES) {
    const row = known.quotes[stage].remove(id);
    if (row !== undefined) return row;
  }
  return undefined;
}
