import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { targetTables } from '../../../projectors/write/catalog.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createProjectorPool, crm, projections } from '../../support/crm.ts';
import { bareId, bareRow } from '../../support/legacy-shape.ts';
import { pollUntil } from '../../support/poll.ts';
import { contactRow, createScriptedLog, optionRow, quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { clearTarget, openTarget, PROJECTED_TABLES } from '../../support/target-database.ts';

const OURS = 'c0000000-0000-4000-8000-00000000000a';
const THEIRS = 'c0000000-0000-4000-8000-00000000000b';
const idAt = bareId;
/** Of these, rows are written by hand; of every other table that is projected there is a bare one. */
const WRITTEN = ['workspaces', 'status_options', 'contacts', 'quotes'];
/** Tables of which a row belongs to the tenant that its legacy row names. */
const OF_TENANTS = PROJECTED_TABLES.filter(
  (table) =>
    table !== crm.rejects &&
    !crm.foldedRejects?.includes(table) &&
    projections.some((projection) => projection.tenant !== undefined && targetTables(projection).includes(table)),
);

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;
let app: pg.Client;
const role = `projector_${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  databases = await createDatabases('access');
  owner = await openTarget(databases.targetUrl);
  // What each stage shows of it: test/integration/stages.
  await setStage(owner, null, 4);
  const password = randomBytes(12).toString('hex');
  await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}' IN ROLE crosswalk_projector`);
  const url = new URL(databases.targetUrl);
  url.username = role;
  url.password = password;
  pool = createProjectorPool(url.href, 'projector', 4);
  app = await connect(databases.targetUrl, 'app');
  await app.query('SET ROLE crosswalk_app');
});
beforeEach(async () => {
  await clearTarget(owner);
  log = await createScriptedLog(pool);
});
afterAll(async () => {
  await pool?.end();
  await app?.end();
  await owner?.end();
  await databases?.drop();
  const admin = await connect(new URL('/postgres', databases.targetUrl).href, 'test');
  await admin.query(`DROP ROLE IF EXISTS ${role}`).finally(() => admin.end());
});

const asTenant = (tenant: string | null) =>
  app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [tenant ?? '']);

async function deliverBoth(): Promise<void> {
  const month = (await owner.query<{ at: string }>(`SELECT date_trunc('month', now(), 'UTC')::text AS at`)).rows[0]!.at;
  for (const [n, company] of [OURS, THEIRS].entries()) {
    const cells = {
      company_id: company,
      lead_status: 'new',
      invoice_number: 'I',
      total: `${n + 1}0.00`,
      items: '[{}]',
      address: '1 Main St',
      phone: 'x',
      tax_rate: 'NaN',
    };
    await log.deliver('quotes', n, quoteRow(idAt(n), { ...cells, created_at: month, paid_at: month }));
    await log.deliver(
      'contacts',
      n,
      contactRow(idAt(n), { workspace_id: company, opted_out: 't', phone_number: `(201) 555-270${n}`, city: 'Y' }),
    );
    await log.deliver('status_options', n, { ...optionRow(String(n)), workspace_id: company });
    await log.deliver('workspaces', n, { id: company, name: 'W', settings: '{}' });
    const parents: Record<string, string> = { contacts: idAt(n), quotes: idAt(n) };
    const others = projections.filter((projection) => !WRITTEN.includes(projection.source));
    for (const [at, { source, tenant }] of others.entries()) {
      const items = source === 'orders' ? { items: '[{}, 7]' } : {};
      const cells = { ...items, ...(tenant && { [tenant.column]: company }) };
      // No two tables have rows of one id: leads of quotes and legacy leads would be one.
      const row = bareRow(source, 10 * (at + 1) + n, cells, parents);
      expect(await log.deliver(source, n, row), source).toMatchObject({ parked: 0, defects: [] });
      if (row.id != null) parents[source] = row.id;
    }
  }
}

describe('a login that is a member of crosswalk_projector and nothing else', () => {
  it('can do everything that a projector does', async () => {
    await deliverBoth();
    await log.deliver('quotes', 0, quoteRow(idAt(0), { company_id: OURS, email: 'moved@x.org' }));
    await log.deliver('quotes', 1, { deleted: idAt(1) });
    await log.deliver('contacts', 0, contactRow(idAt(9), { lead_status_id: '77' }));
    await log.deliver('status_options', 0, optionRow('77'));
    const retry = log.retryParked('contacts');
    await pollUntil(
      async () => (await owner.query('SELECT FROM crosswalk.parked_change')).rowCount,
      (count) => count === 0,
    );
    await retry.close();
    expect((await owner.query('SELECT FROM crosswalk.dead_letter')).rowCount).toBe(0);
    const { rows } = await owner.query(`SELECT count(*) AS n FROM crm.contacts WHERE deleted_at IS NULL`);
    expect(rows).toEqual([{ n: '3' }]);
  });

  it('can neither change the schema, the accounts, nor what migrations are applied', async () => {
    for (const sql of [
      'DROP TABLE crm.payments',
      'CREATE TABLE crm.x ()',
      `UPDATE crm.users SET email = 'x'`,
      'DELETE FROM crosswalk.migration',
    ]) {
      await expect(pool.query(sql), sql).rejects.toMatchObject({ code: '42501' });
    }
  });
});

describe('the application', () => {
  beforeEach(deliverBoth);

  it.each(OF_TENANTS)('sees its own tenant in %s and nothing else', async (table) => {
    const all = await owner.query<{ tenant_id: string }>(`SELECT tenant_id FROM crm.${table} ORDER BY 1`);
    expect(new Set(all.rows.map((row) => row.tenant_id))).toEqual(new Set([OURS, THEIRS]));
    await asTenant(OURS);
    const seen = await app.query<{ tenant_id: string }>(`SELECT tenant_id FROM crm.${table}`);
    expect(seen.rows).toEqual(all.rows.filter((row) => row.tenant_id === OURS));
    await asTenant(null);
    expect((await app.query(`SELECT FROM crm.${table}`)).rowCount).toBe(0);
  });

  it('sees its own tenant through the views', async () => {
    await asTenant(OURS);
    const { rows } = await app.query(
      `SELECT DISTINCT tenant_id FROM crm.active_leads UNION ALL SELECT tenant_id FROM crm.lead_conversion_summary`,
    );
    expect(rows).toEqual([{ tenant_id: OURS }, { tenant_id: OURS }]);
  });

  it('writes rows of its own tenant and origin alone', async () => {
    await asTenant(OURS);
    const insert = (tenant: string, origin: string) =>
      app.query(
        `INSERT INTO crm.customers (tenant_id, origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version) VALUES ($1, $2, 't', 'k', '0/1', 1, now(), '1')`,
        [tenant, origin],
      );
    await expect(insert(OURS, 'cdc')).rejects.toMatchObject({ code: '42501' });
    await expect(insert(THEIRS, 'app')).rejects.toMatchObject({ code: '42501' });
    expect((await insert(OURS, 'app')).rowCount).toBe(1);
    await expect(app.query(`UPDATE crm.customers SET origin = 'cdc'`)).rejects.toMatchObject({ code: '42501' });
    await expect(
      app.query(`UPDATE crm.customers SET tenant_id = $1 WHERE origin = 'app'`, [THEIRS]),
    ).rejects.toMatchObject({ code: '42501' });
    expect((await app.query(`UPDATE crm.customers SET name = 'x' WHERE tenant_id = $1`, [THEIRS])).rowCount).toBe(0);
    for (const sql of [
      'SELECT FROM crosswalk.contribution',
      'SELECT FROM crm.rejects',
      'SELECT FROM crm.dashboard_stats_data',
      'DELETE FROM crm.customers',
    ]) {
      await expect(app.query(sql), sql).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('takes no projected row over, nor the id of one', async () => {
    await setStage(owner, OURS, 4);
    await asTenant(OURS);
    const { rows: tables } = await owner.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r' AND has_table_privilege('crosswalk_app', c.oid, 'UPDATE')
         AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'origin')`,
    );
    const projected: string[] = [];
    for (const { name } of tables) {
      const { rowCount } = await app.query(`SELECT FROM crm.${name} WHERE origin = 'cdc'`);
      if (rowCount === 0) continue;
      projected.push(name);
      for (const set of [`origin = 'app'`, `tenant_id = tenant_id`])
        await expect(app.query(`UPDATE crm.${name} SET ${set} WHERE origin = 'cdc'`), name).rejects.toMatchObject({
          code: '42501',
        });
    }
    expect(projected).toEqual(expect.arrayContaining(['tenants', 'contacts', 'leads', 'quotes_new', 'payments']));
    // Locking a projected row is nobody's harm.
    await app.query(`SELECT FROM crm.contacts WHERE origin = 'cdc' FOR UPDATE`);
    await expect(
      app.query(`INSERT INTO crm.tenants (id, tenant_id) VALUES ('not-ours', $1)`, [OURS]),
    ).rejects.toMatchObject({ code: '42501' });
  });

  it('reads the figures of its own tenant, refreshed while others read them', async () => {
    await asTenant(OURS);
    await app.query('SELECT crm.refresh_dashboard_stats()');
    const { rows } = await app.query(`SELECT * FROM crm.dashboard_stats`);
    expect(rows).toEqual([
      {
        tenant_id: OURS,
        company_id: OURS,
        // That of the contact has no status yet; the legacy one is converted.
        pending_leads: '2',
        qualified_leads: '0',
        // That of the quote, and the client.
        total_customers: '2',
        monthly_quoted: '10.00',
        monthly_revenue: '10.00',
      },
    ]);
    // A reader in an open transaction does not hold a refresh up.
    await owner.query('BEGIN; SELECT * FROM crm.dashboard_stats_data');
    try {
      await app.query(`SET statement_timeout = '5s'; SELECT crm.refresh_dashboard_stats()`);
    } finally {
      await owner.query('COMMIT');
      await app.query('RESET statement_timeout');
    }
    await asTenant(null);
    expect((await app.query('SELECT FROM crm.dashboard_stats')).rowCount).toBe(0);
  });

  it('asks whether a number is on the do-not-call list of its organisation', async () => {
    await asTenant(OURS);
    const ask = async (phone: string, organisation: string) =>
      (await app.query<{ listed: string }>('SELECT crm.is_on_dnc_list($1, $2) AS listed', [phone, organisation]))
        .rows[0]!.listed;
    expect(await ask('+12015552700', OURS)).toBe('t');
    expect(await ask('+12015552701', OURS)).toBe('f');
    expect(await ask('+12015552701', THEIRS)).toBe('f');
    await log.deliver(
      'contacts',
      0,
      contactRow(idAt(0), { workspace_id: OURS, opted_out: 'f', phone_number: '(201) 555-2700' }),
    );
    expect(await ask('+12015552700', OURS)).toBe('f');
    await log.deliver(
      'contacts',
      0,
      contactRow(idAt(5), { workspace_id: OURS, opted_out: 't', phone_number: '123-45' }),
    );
    expect(await ask('123 45', OURS)).toBe('t');
  });
});
