// Corrupts projected rows and contributions at random, within what the constraints of the new schema allow, and says what a verification must name.

import type pg from 'pg';
import type { Random } from '../../pipelines/crm/sample/random.ts';
import { inTransaction } from '../../runtime/postgres.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import { PROJECTED_TABLES } from './target-database.ts';

export interface Corruption {
  readonly what: string;
  /** `table id column`, or `table id missing`, or `table id extra`: each must be named. */
  readonly names: readonly string[];
}

const MERGED = new Set([
  ...['customers', 'customer_addresses', 'dnc_list'],
  ...['campaign_subscribers', 'orders', 'order_items', 'order_rejects'],
]);
/** Not compared: positions, whose row it is, what the projections do not write; of merged rows also whom they name. */
const ASIDE = ['origin', 'source_lsn', 'source_xid', 'source_committed_at', 'mapping_version'];

interface Column {
  readonly name: string;
  readonly type: string;
}

interface Row {
  readonly id: string;
  /** `merge <key>` of a merged row. */
  readonly merge: readonly string[];
  readonly values: Readonly<Record<string, string | null>>;
}

/** Corruptions of rows of these tenants, each of another row; `client` belongs to the owner of the tables. */
export async function corrupt(
  client: pg.Client,
  random: Random,
  tenants: readonly string[],
  count: number,
): Promise<Corruption[]> {
  const columns = await readColumns(client);
  const done: Corruption[] = [];
  const taken = await readShared(client, tenants);
  const kinds = [
    ...Array.from({ length: 10 }, () => corruptCell),
    ...[deleteRow, deleteRow, fabricate, fabricate, fabricate, revive],
    ...[changeContribution, changeContribution, deleteContribution, fabricateContribution, fabricateContribution],
  ];
  for (let tries = 0; done.length < count; tries += 1) {
    if (tries > 40 * count) throw new Error(`only ${done.length} corruptions are possible`);
    const attempt = random.pick(kinds);
    const made = await tryTo(client, () => attempt({ client, random, tenants, columns, taken }));
    if (made === null) continue;
    for (const name of made.touched) taken.add(name);
    done.push({ what: made.what, names: made.names });
  }
  return done;
}

/**
 * What other tenants' traffic writes: campaigns that their contacts subscribe to, or may, which are folded again, and messages and activities that belong to their contacts
 * and name another workspace, which are changed and removed together with the contact.
 */
async function readShared(client: pg.Client, tenants: readonly string[]): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT 'merge ' || s.campaign_id AS name FROM crm.campaign_subscribers s LEFT JOIN crm.contacts c ON c.id = s.contact_id WHERE c.tenant_id = ANY ($1) IS NOT TRUE
     UNION SELECT 'merge ' || id FROM crm.campaigns WHERE tenant_id <> ALL ($1)
     UNION SELECT 'messages ' || m.id FROM crm.messages m JOIN crm.contacts c ON c.id = m.contact_id WHERE c.tenant_id <> ALL ($1)
     UNION SELECT 'lead_activities ' || a.id FROM crm.lead_activities a JOIN crm.leads l ON l.id = a.lead_id JOIN crm.contacts c ON c.id = l.contact_id WHERE c.tenant_id <> ALL ($1)`,
    [tenants],
  );
  return new Set(rows.map(({ name }) => name));
}

interface Setting {
  readonly client: pg.Client;
  readonly random: Random;
  readonly tenants: readonly string[];
  readonly columns: ReadonlyMap<string, readonly Column[]>;
  readonly taken: ReadonlySet<string>;
}

/** `touched`: `table id` of rows that no other corruption may use. */
type Made = Corruption & { readonly touched: readonly string[] };

/** Undone where a constraint refuses it, or where it turns out to be none. */
async function tryTo(client: pg.Client, work: () => Promise<Made | null>): Promise<Made | null> {
  let made: Made | null = null;
  try {
    await inTransaction(client, async () => {
      await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      made = await work();
      if (made === null) throw new Error('nothing');
    });
    return made;
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    if (message === 'nothing' || code?.startsWith('23') || code?.startsWith('22')) return null;
    throw error;
  }
}

async function readColumns(client: pg.Client): Promise<Map<string, Column[]>> {
  const { rows } = await client.query<{ table: string; name: string; type: string }>(
    `SELECT c.relname AS "table", a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'crm'::regnamespace AND c.relname = ANY ($1) ORDER BY 1, a.attnum`,
    [PROJECTED_TABLES],
  );
  const byTable = Map.groupBy(rows, ({ table }) => table);
  return new Map([...byTable].map(([table, list]) => [table, list.map(({ name, type }) => ({ name, type }))]));
}

/** Merged rows and contributions of one merge key depend on each other: only one of them is corrupted. */
const MERGE_KEY: Readonly<Record<string, string>> = {
  customers: 'id',
  customer_addresses: 'customer_id',
  dnc_list: 'id',
  campaign_subscribers: 'campaign_id',
  ...{ orders: 'merge_key', order_items: 'merge_key', order_rejects: 'merge_key' },
  // Of legacy leads; those of contacts and quotes are owned.
  leads: `CASE WHEN legacy_table IN ('leads', 'clients') THEN id END`,
};
const isFolded = (table: string, { values }: Row) =>
  MERGED.has(table) || (table === 'leads' && ['leads', 'clients'].includes(values.legacy_table!));

/** Rows of every tenant refer to these: without one of them, rows under traffic could not be applied any more. */
const SHARED = 'status_options';

const hasDeletedAt = ({ columns }: Setting, table: string) =>
  columns.get(table)!.some(({ name }) => name === 'deleted_at');

/** A row of a table at random that nothing has touched yet. */
async function pickRow(of: Setting, table: string, isLive = true): Promise<Row | null> {
  const deleted = hasDeletedAt(of, table) ? ` AND deleted_at IS ${isLive ? '' : 'NOT '}NULL` : '';
  const { rows } = await of.client.query<{ id: string; key: string }>(
    `SELECT id::text, (${MERGE_KEY[table] ?? 'NULL'})::text AS key FROM crm.${quoteIdent(table)} WHERE origin = 'cdc' AND tenant_id = ANY ($1)${deleted} ORDER BY id::text`,
    [of.tenants],
  );
  const free = rows.filter(({ id, key }) => !of.taken.has(`${table} ${id}`) && !of.taken.has(`merge ${key}`));
  if (free.length === 0) return null;
  const { id, key } = of.random.pick(free);
  const { rows: found } = await of.client.query<Record<string, string | null>>(
    `SELECT * FROM crm.${quoteIdent(table)} WHERE id::text = $1`,
    [id],
  );
  return { id, merge: key === null ? [] : [`merge ${key}`], values: found[0]! };
}

const pickTable = ({ random }: Setting) => random.pick(PROJECTED_TABLES as readonly string[]);

async function corruptCell(of: Setting): Promise<Made | null> {
  const { client, random } = of;
  const table = pickTable(of);
  const row = await pickRow(of, table);
  if (row === null) return null;
  const aside = new Set([
    ...ASIDE,
    ...(isFolded(table, row) ? ['legacy_table', 'legacy_key', 'expires_at', 'source', 'reason'] : []),
  ]);
  const column = random.pick(of.columns.get(table)!.filter(({ name }) => !aside.has(name)));
  const name = quoteIdent(column.name);
  for (const value of candidates(of, table, column)) {
    await client.query('SAVEPOINT cell');
    try {
      const { rows } = await client.query<{ id: string; isSame: string }>(
        `UPDATE crm.${quoteIdent(table)} t SET ${name} = ${value} WHERE id::text = $1 RETURNING id::text, (${name}::text IS NOT DISTINCT FROM $2)::text AS "isSame"`,
        [row.id, toText(column, row.values[column.name] ?? null)],
      );
      await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      const { id, isSame } = rows[0]!;
      if (isSame === 'true') {
        await client.query('ROLLBACK TO cell');
        continue;
      }
      const names =
        column.name === 'id'
          ? [`${table} ${row.id} missing`, `${table} ${id} extra`]
          : [`${table} ${row.id} ${column.name}`];
      return {
        what: `${table}.${column.name} of ${row.id}`,
        names,
        touched: [`${table} ${row.id}`, `${table} ${id}`, ...row.merge],
      };
    } catch (error) {
      if (!/^2[23]/.test((error as { code?: string }).code ?? '')) throw error;
      await client.query('ROLLBACK TO cell');
    }
  }
  return null;
}

/** The text of a value as a cast gives it. */
function toText({ type }: Column, cell: string | null): string | null {
  return type === 'boolean' && cell !== null ? (cell === 't' ? 'true' : 'false') : cell;
}

/** SQL expressions for another value, the likelier ones first. */
function candidates({ random, tenants }: Setting, table: string, { name, type }: Column): string[] {
  // Of a row under traffic, the row would be the projectors' business.
  const ofTenants = `o.tenant_id IN (${tenants.map((tenant) => `'${tenant}'`).join(', ')})`;
  const column = `t.${quoteIdent(name)}`;
  const other = `(SELECT o.${quoteIdent(name)} FROM crm.${quoteIdent(table)} o WHERE o.${quoteIdent(name)}::text IS DISTINCT FROM ${column}::text AND o.origin = 'cdc' AND ${ofTenants}
    ORDER BY md5(o.id::text || '${random.int(0, 1_000_000)}') LIMIT 1)`;
  const made: Record<string, string[]> = {
    text: [`coalesce(${column}, '') || 'x'`, `'x'`],
    numeric: [`coalesce(${column}, 0) + 0.01`, `trim_scale(${column})`, `${column} + 1`],
    integer: [`coalesce(${column}, 0) + 1`, '7'],
    bigint: ['2', '1'],
    boolean: [`NOT coalesce(${column}, false)`],
    date: [`coalesce(${column}, '2020-01-01') + 1`],
    jsonb: [`coalesce(${column}, '{}') || '{"corrupt": 1}'`, `'[1]'`],
    'text[]': [`array_append(${column}, 'x')`],
    uuid: ['gen_random_uuid()'],
    'timestamp with time zone': [`coalesce(${column}, '2020-01-01') + interval '1 microsecond'`],
  };
  const fitting = made[type] ?? [];
  // A tenant under traffic has constraints that its own rows must keep to.
  if (name === 'tenant_id') return [`'nowhere'`];
  if (name === 'id') return table === SHARED ? [] : fitting;
  if (name === 'legacy_table') return [`CASE ${column} WHEN 'quotes' THEN 'contacts' ELSE 'quotes' END`];
  return random.chance(0.6) ? [other, ...fitting, 'NULL'] : [...fitting, other, 'NULL'];
}

/** Removes a row together with the rows that refer to it. */
async function deleteRow(of: Setting): Promise<Made | null> {
  const table = pickTable(of);
  if (table === SHARED) return null;
  const row = await pickRow(of, table);
  if (row === null) return null;
  const removed = new Map<string, boolean>();
  if (!(await remove(of, table, row.id, removed)) || removed.size > 25) return null;
  const names = [...removed].filter(([, wasLive]) => wasLive).map(([name]) => `${name} missing`);
  return { what: `${removed.size} rows removed with ${table} ${row.id}`, names, touched: [...removed.keys()] };
}

async function remove(of: Setting, table: string, id: string, removed: Map<string, boolean>): Promise<boolean> {
  const name = `${table} ${id}`;
  if (removed.has(name)) return true;
  const mergeKey = MERGE_KEY[table];
  const { rows: keys } = await of.client.query<{ key: string | null }>(
    `SELECT 'merge ' || (${mergeKey ?? 'NULL'}) AS key FROM crm.${quoteIdent(table)} WHERE id::text = $1`,
    [id],
  );
  const merge = keys.flatMap(({ key }) => key ?? []);
  if ([name, ...merge].some((item) => of.taken.has(item)) || removed.size > 25) return false;
  for (const key of merge) removed.set(key, false);
  removed.set(name, false);
  const { rows: references } = await of.client.query<{ table: string; column: string }>(
    `SELECT r.relname AS "table", a.attname AS "column" FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.contype = 'f' AND c.confrelid = $1::regclass`,
    [`crm.${quoteIdent(table)}`],
  );
  for (const reference of references) {
    const { rows } = await of.client.query<{ id: string }>(
      `SELECT id::text FROM crm.${quoteIdent(reference.table)} WHERE ${quoteIdent(reference.column)}::text = $1`,
      [id],
    );
    for (const child of rows) if (!(await remove(of, reference.table, child.id, removed))) return false;
  }
  const live = hasDeletedAt(of, table) ? 'deleted_at IS NULL' : 'true';
  const { rows } = await of.client.query<{ tenant: string; live: string }>(
    `DELETE FROM crm.${quoteIdent(table)} WHERE id::text = $1 RETURNING tenant_id AS tenant, (origin = 'cdc' AND ${live})::text AS live`,
    [id],
  );
  // A row of a tenant under traffic comes back by itself.
  if (!of.tenants.includes(rows[0]!.tenant)) return false;
  removed.set(name, rows[0]?.live === 'true');
  return true;
}

/** A legacy key that exists, or one that does not; never what another corruption has made of one, which no legacy table could have. */
async function pickLegacyKey(of: Setting, table: string, tenants: readonly string[]): Promise<string> {
  const { client, random } = of;
  const { rows } = await client.query<{ id: string; key: string }>(
    `SELECT id::text, legacy_key AS key FROM crm.${quoteIdent(table)} WHERE origin = 'cdc' AND tenant_id = ANY ($1) AND legacy_key IS NOT NULL ORDER BY 2, 1`,
    [tenants],
  );
  const known = random.pick(rows.filter(({ id }) => !of.taken.has(`${table} ${id}`))).key;
  if (random.chance(0.5)) return known;
  if (/^\d+$/.test(known)) return String(random.int(500_000, 900_000));
  return /^[0-9a-f-]{36}$/.test(known) ? toUuid(random) : `nobody-${random.int(0, 1_000_000)}`;
}

function toUuid(random: Random): string {
  const hex = Array.from({ length: 32 }, () => random.int(0, 15).toString(16)).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** A copy of a row under another id, which names some legacy row. */
async function fabricate(of: Setting): Promise<Made | null> {
  const { client, random } = of;
  const table = pickTable(of);
  const row = await pickRow(of, table);
  if (row === null) return null;
  const type = of.columns.get(table)!.find(({ name }) => name === 'id')!.type;
  const unique = `fabricated ${random.int(0, 1_000_000_000)}`;
  const number = String(random.int(900_000, 999_999));
  const id = { uuid: toUuid(random), integer: number, bigint: number, text: unique }[type]!;
  const overrides = {
    id,
    legacy_key: await pickLegacyKey(of, table, of.tenants),
    phone_number: unique,
    phone_e164: null,
    thread_id: unique,
    ...(table === 'status_options' ? { name: unique } : {}),
    field_name: unique,
  };
  await client.query(
    `INSERT INTO crm.${quoteIdent(table)} SELECT (jsonb_populate_record(t, $2::jsonb)).* FROM crm.${quoteIdent(table)} t WHERE id::text = $1`,
    [row.id, JSON.stringify(overrides)],
  );
  return { what: `${table} ${id} fabricated`, names: [`${table} ${id} extra`], touched: [`${table} ${id}`] };
}

/** A retracted row that lives again. */
async function revive(of: Setting): Promise<Made | null> {
  const table = pickTable(of);
  if (!hasDeletedAt(of, table)) return null;
  const row = await pickRow(of, table, false);
  if (row === null) return null;
  await of.client.query(`UPDATE crm.${quoteIdent(table)} SET deleted_at = NULL WHERE id::text = $1`, [row.id]);
  return {
    what: `${table} ${row.id} revived`,
    names: [`${table} ${row.id} extra`],
    touched: [`${table} ${row.id}`, ...row.merge],
  };
}

interface Contribution {
  readonly aggregate: string;
  readonly merge_key: string;
  readonly legacy_table: string;
  readonly legacy_key: string;
  readonly data: string;
}

const nameOf = ({ aggregate, merge_key, legacy_table, legacy_key }: Contribution) =>
  `contribution ${aggregate} ${merge_key} ${legacy_table} ${legacy_key}`;

async function pickContribution(of: Setting): Promise<Contribution | null> {
  const { rows } = await of.client.query<Contribution>(
    `SELECT aggregate, merge_key, legacy_table, legacy_key, data FROM crosswalk.contribution WHERE live AND data ->> 'tenant_id' = ANY ($1) ORDER BY 1, 2, 4`,
    [of.tenants],
  );
  const free = rows.filter((row) => !of.taken.has(nameOf(row)) && !of.taken.has(`merge ${row.merge_key}`));
  return free.length === 0 ? null : of.random.pick(free);
}

const touchedOf = (row: Contribution) => [nameOf(row), `merge ${row.merge_key}`];
const IS_ROW = 'aggregate = $1 AND merge_key = $2 AND legacy_table = $3 AND legacy_key = $4';
const keyOf = ({ aggregate, merge_key, legacy_table, legacy_key }: Contribution) => [
  ...[aggregate, merge_key, legacy_table, legacy_key],
];

/** Another value in a field, taken from another contribution. */
async function changeContribution(of: Setting): Promise<Made | null> {
  const row = await pickContribution(of);
  if (row === null) return null;
  const data = JSON.parse(row.data) as Record<string, string | null>;
  const fields = Object.keys(data).filter((name) => name !== 'tenant_id');
  // Some tell the tenant alone.
  if (fields.length === 0) return null;
  const field = of.random.pick(fields);
  if (of.random.chance(0.2)) {
    await of.client.query(`UPDATE crosswalk.contribution SET live = false WHERE ${IS_ROW}`, keyOf(row));
    return { what: `${nameOf(row)} retired`, names: [`${nameOf(row)} live`], touched: touchedOf(row) };
  }
  const { rows } = await of.client.query<{ value: string | null }>(
    `SELECT DISTINCT data ->> $1 AS value FROM crosswalk.contribution WHERE aggregate = $2 AND data ->> $1 IS DISTINCT FROM $3 ORDER BY 1`,
    [field, row.aggregate, data[field]],
  );
  if (rows.length === 0) return null;
  const changed = JSON.stringify({ ...data, [field]: of.random.pick(rows).value });
  await of.client.query(`UPDATE crosswalk.contribution SET data = $5::jsonb WHERE ${IS_ROW}`, [...keyOf(row), changed]);
  return { what: `${field} of ${nameOf(row)}`, names: [`${nameOf(row)} data.${field}`], touched: touchedOf(row) };
}

async function deleteContribution(of: Setting): Promise<Made | null> {
  const row = await pickContribution(of);
  if (row === null) return null;
  await of.client.query(`DELETE FROM crosswalk.contribution WHERE ${IS_ROW}`, keyOf(row));
  return { what: `${nameOf(row)} removed`, names: [`${nameOf(row)} missing`], touched: touchedOf(row) };
}

async function fabricateContribution(of: Setting): Promise<Made | null> {
  const row = await pickContribution(of);
  if (row === null) return null;
  // Of these two a new row has the legacy key for its id.
  if (row.aggregate !== 'customers' && row.aggregate !== 'dnc_list') return null;
  const table = row.aggregate === 'customers' ? 'quotes_new' : 'contacts';
  const key = await pickLegacyKey(of, table, of.tenants);
  const fabricated = {
    ...row,
    merge_key: of.random.chance(0.5) ? toUuid(of.random) : ((await pickContribution(of))?.merge_key ?? row.merge_key),
    // Another corruption may have left a row with a key of another form: for a contribution of such a key nothing can be sent.
    legacy_key: /^[0-9a-f-]{36}$/.test(key) ? key : toUuid(of.random),
  };
  const { rowCount } = await of.client.query(
    `INSERT INTO crosswalk.contribution SELECT $1, $5::uuid, legacy_table, $6, true, NULL, data, source_lsn, source_xid, source_committed_at, mapping_version
     FROM crosswalk.contribution WHERE ${IS_ROW} ON CONFLICT DO NOTHING`,
    [...keyOf(row), fabricated.merge_key, fabricated.legacy_key],
  );
  if (rowCount === 0) return null;
  return {
    what: `${nameOf(fabricated)} fabricated`,
    names: [`${nameOf(fabricated)} extra`],
    touched: touchedOf(fabricated),
  };
}
