// Every stage against every table, as the application's role: what it reads, adds and changes, and what the others still do.

import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { addAppRow, addFirstAppRows } from '../../support/app-rows.ts';
import { OWN_TABLES } from '../../support/application-tables.ts';
import { createProjectorPool } from '../../support/crm.ts';
import { contactRow, createScriptedLog, optionRow, quoteRow } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { SHOWN_FROM, setStage } from '../../support/stages.ts';
import { HISTORY_TABLES, openTarget } from '../../support/target-database.ts';

const OURS = 'c0000000-0000-4000-8000-00000000000a';
const THEIRS = 'c0000000-0000-4000-8000-00000000000b';
const STAGES = [0, 1, 2, 3, 4];
const TABLES = Object.keys(SHOWN_FROM);
const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let pool: pg.Pool;
let app: pg.Client;
let next = 100;

beforeAll(async () => {
  databases = await createDatabases('stages');
  owner = await openTarget(databases.targetUrl);
  pool = createProjectorPool(databases.targetUrl, 'projector', 2);
  const log = await createScriptedLog(pool);
  const month = (await owner.query<{ at: string }>(`SELECT date_trunc('month', now(), 'UTC')::text AS at`)).rows[0]!.at;
  for (const [n, tenant] of [OURS, THEIRS].entries()) {
    const money = {
      lead_status: 'new',
      invoice_number: 'I',
      total: '10.00',
      items: '[{}]',
      paid_at: month,
      created_at: month,
    };
    await log.deliver('workspaces', n, { id: tenant, name: 'W', settings: '{}' });
    await log.deliver('status_options', n, { ...optionRow(String(n)), workspace_id: tenant });
    await log.deliver(
      'quotes',
      n,
      quoteRow(idAt(n), { ...money, company_id: tenant, phone: 'x', address: '1 Main St', tax_rate: 'NaN' }),
    );
    const contact = { workspace_id: tenant, opted_out: 't', phone_number: `(201) 555-270${n}`, city: 'Y' };
    await log.deliver('contacts', n, contactRow(idAt(n), contact));
  }
  await addFirstAppRows(owner, TABLES, OURS);
  await owner.query('SELECT crm.refresh_dashboard_stats()');
  app = await connect(databases.targetUrl, 'app');
  await app.query('SET ROLE crosswalk_app');
});
beforeEach(async () => {
  await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [OURS]);
  await setStage(owner, THEIRS, 4);
});
afterAll(async () => {
  await pool?.end();
  await app?.end();
  await owner?.end();
  await databases?.drop();
});

const countAs = async (client: pg.ClientBase, relation: string, where = 'true') =>
  Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM crm.${relation} WHERE ${where}`)).rows[0]!.n);

describe.each(STAGES)('at stage %i the application', (stage) => {
  beforeEach(() => setStage(owner, OURS, stage));

  it.each(TABLES)('reads, adds and changes rows of %s, or sees none', async (table) => {
    const isShown = stage >= SHOWN_FROM[table]!;
    const ours = await countAs(owner, table, `tenant_id = '${OURS}'`);
    expect(ours).toBeGreaterThan(0);
    expect(await countAs(app, table)).toBe(isShown ? ours : 0);

    // A history is only ever added to.
    const update = app.query(`UPDATE crm.${table} SET tenant_id = tenant_id WHERE origin = 'app'`);
    if (table === 'tenants') {
      // A tenant is added by those who work for it, under its own id.
      await expect(update).rejects.toMatchObject({ code: '42501' });
      await expect(addAppRow(app, owner, table, OURS, next)).rejects.toMatchObject({ code: '42501' });
      const fresh = `fresh-${stage}`;
      await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [fresh]);
      const added = await app.query('INSERT INTO crm.tenants (id, tenant_id) VALUES ($1, $1)', [fresh]);
      expect([added.rowCount, await countAs(app, table)]).toEqual([1, 1]);
      return;
    }
    if (HISTORY_TABLES.includes(table)) await expect(update).rejects.toMatchObject({ code: '42501' });
    else expect((await update).rowCount! > 0).toBe(isShown);

    next += 1;
    if (isShown) expect((await addAppRow(app, owner, table, OURS, next)).rowCount).toBe(1);
    else
      await expect(addAppRow(app, owner, table, OURS, next)).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining(`"${table}"`),
      });
  });

  it('sees as much through the views', async () => {
    const shown = stage >= 1;
    expect((await countAs(app, 'active_leads')) > 0).toBe(shown);
    expect((await countAs(app, 'lead_conversion_summary')) > 0).toBe(shown);
    expect((await countAs(app, 'lead_time_in_stage')) > 0).toBe(stage >= 2);
    expect((await countAs(app, 'dashboard_stats')) > 0).toBe(shown);
    const leads = await owner.query(
      `UPDATE crm.leads SET is_converted = true, converted_to_client_id = customer_id WHERE tenant_id = $1 AND customer_id IS NOT NULL`,
      [OURS],
    );
    expect(leads.rowCount).toBeGreaterThan(0);
    expect((await countAs(app, 'client_lead_history')) > 0).toBe(shown);
  });

  it('is told whether a number is on the do-not-call list, or that it is not known', async () => {
    const ask = async (client: pg.ClientBase) =>
      (await client.query<{ listed: string | null }>(`SELECT crm.is_on_dnc_list('+12015552700', '${OURS}') AS listed`))
        .rows[0]!.listed;
    expect(await ask(app)).toBe(stage >= 1 ? 't' : null);
    expect(await ask(owner)).toBe('t');
  });

  it('is told its stage', async () => {
    expect((await app.query('SELECT crm.current_stage() AS stage')).rows).toEqual([{ stage: String(stage) }]);
  });

  it('sees nothing of another tenant, whatever that one may see', async () => {
    for (const table of TABLES) expect(await countAs(app, table, `tenant_id <> '${OURS}'`), table).toBe(0);
    await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, ['']);
    for (const table of [...TABLES, 'dashboard_stats']) expect(await countAs(app, table), table).toBe(0);
  });
});

describe.each(['crosswalk_reader', 'crosswalk_projector', null])('%s', (role) => {
  it('sees every row at stage 0', async () => {
    await setStage(owner, null, 0);
    const client = await connect(databases.targetUrl, 'test');
    try {
      if (role !== null) await client.query(`SET ROLE ${role}`);
      for (const table of TABLES) expect(await countAs(client, table), table).toBe(await countAs(owner, table));
      await client.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [OURS]);
      if (role !== 'crosswalk_projector') expect(await countAs(client, 'dashboard_stats')).toBe(1);
      const { rows } = await client.query(`SELECT crm.is_on_dnc_list('+12015552700', '${OURS}') AS listed`);
      expect(rows).toEqual([{ listed: 't' }]);
    } finally {
      await client.end();
    }
  });
});

describe('policies', () => {
  it('ask for the stage on every table that the application may read', async () => {
    const { rows } = await owner.query<{ table: string; condition: string | null }>(
      `SELECT c.relname AS table, string_agg(coalesce(p.qual, '') || ' / ' || coalesce(p.with_check, ''), '; ') FILTER (WHERE p.permissive = 'PERMISSIVE') AS condition
       FROM pg_class c LEFT JOIN pg_policies p ON p.schemaname = 'crm' AND p.tablename = c.relname AND 'crosswalk_app' = ANY (p.roles)
       WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p') AND has_table_privilege('crosswalk_app', c.oid, 'SELECT')
         AND c.relname NOT IN ('users', 'user_subscriptions', 'chatbots') GROUP BY 1`,
    );
    expect(rows.map(({ table }) => table).sort()).toEqual([...TABLES, ...Object.keys(OWN_TABLES)].sort());
    for (const { table, condition } of rows) {
      const needed = [...(condition ?? 'no policy').matchAll(/current_stage\) >= (\d)/g)].map(([, stage]) =>
        Number(stage),
      );
      const expected = SHOWN_FROM[table] ?? OWN_TABLES[table]!.stage;
      expect([table, needed]).toEqual([table, expected === 0 ? [] : [expected, expected]]);
    }
  });

  it('ask once a statement', async () => {
    await setStage(owner, OURS, 1);
    const { rows } = await app.query<Record<string, string>>(
      'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT count(*) FROM crm.customers JOIN crm.quotes_new ON customer_id = customers.id',
    );
    const plan = rows.map((row) => Object.values(row)[0]).join('\n');
    expect(plan).toContain('InitPlan');
    for (const [, loops] of plan.matchAll(/InitPlan[^\n]*\n[^\n]*loops=(\d+)/g)) expect(Number(loops)).toBe(1);
    expect(plan).not.toMatch(/Filter: [^\n]*current_stage\(/);
  });

  it('take a list: a table of a later migration is shown from the stage that it names', async () => {
    await owner.query(`CREATE TABLE crm.later (id serial, tenant_id text); GRANT USAGE ON SEQUENCE crm.later_id_seq TO crosswalk_app;
      SELECT crosswalk.adopt('crm.later', 2); INSERT INTO crm.later (tenant_id, origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version)
      VALUES ('${OURS}', 'cdc', 't', '1', '0/1', 1, now(), '1')`);
    try {
      for (const stage of STAGES) {
        await setStage(owner, OURS, stage);
        expect(await countAs(app, 'later', `origin = 'cdc'`)).toBe(stage >= 2 ? 1 : 0);
        const insert = app.query(`INSERT INTO crm.later (tenant_id) VALUES ('${OURS}')`);
        if (stage >= 2) expect((await insert).rowCount).toBe(1);
        else await expect(insert).rejects.toMatchObject({ code: '42501' });
      }
    } finally {
      await owner.query('DROP TABLE crm.later');
    }
  });
});
