// Views about leads: of one person, and how many come to something by where they come from.

import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { createLogin } from '../../support/application-login.ts';
import { createProjectorPool } from '../../support/crm.ts';
import { contactRow, createScriptedLog, quoteRow } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { openTarget } from '../../support/target-database.ts';

const OURS = 'c0000000-0000-4000-8000-00000000000a';
const THEIRS = 'c0000000-0000-4000-8000-00000000000b';
const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let pool: pg.Pool;
let login: Awaited<ReturnType<typeof createLogin>>;
let app: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('lead_views');
  owner = await openTarget(databases.targetUrl);
  await setStage(owner, null, 4);
  pool = createProjectorPool(databases.targetUrl, 'projector', 2);
  const log = await createScriptedLog(pool);
  const contact = (n: number, tenant: string, cells: Record<string, string>) =>
    log.deliver('contacts', 0, contactRow(idAt(n), { workspace_id: tenant, lead_source: 'web', ...cells }));
  const quote = (n: number, tenant: string, cells: Record<string, string>) =>
    log.deliver('quotes', 0, quoteRow(idAt(n), { company_id: tenant, lead_status: 'new', ...cells }));
  await contact(1, OURS, { phone_number: '(206) 555-0010', email: 'Ann@Example.org' });
  await quote(2, OURS, { phone: '+1 206 555 0010' });
  await quote(3, OURS, { email: 'ann@example.ORG ' });
  await contact(4, OURS, { email: 'ANN@example.org' });
  await quote(5, OURS, { phone: '206 555 0011', email: 'bob@example.org', lead_status: 'converted' });
  await contact(6, OURS, { email: ' ' });
  await quote(7, OURS, { email: '' });
  await contact(8, THEIRS, { phone_number: '206-555-0010', email: 'ann@example.org' });
  await quote(9, THEIRS, { phone: '(206) 555-0010' });
  await quote(10, OURS, { phone: '206 555 0010' });
  await log.deliver('quotes', 0, { deleted: idAt(10) });
  login = await createLogin(owner, databases.targetUrl, 'crosswalk_app');
  app = await connect(login.url, 'app');
  await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [OURS]);
});
afterAll(async () => {
  await pool?.end();
  await app?.end();
  await login?.drop();
  await owner?.end();
  await databases?.drop();
});

/** Legacy rows by the lead that they imply. */
async function names(): Promise<Map<string, number>> {
  const { rows } = await owner.query<{ id: string; legacy_key: string }>(
    'SELECT id, legacy_key FROM crm.leads WHERE legacy_key IS NOT NULL',
  );
  return new Map(rows.map(({ id, legacy_key }) => [id, Number(legacy_key.slice(-12))]));
}

it('leads that share a phone or an e-mail are pairs, of contacts and quotes, within one tenant', async () => {
  const of = await names();
  const read = async (client: pg.ClientBase) =>
    (
      await client.query<
        Record<'lead_id' | 'other_lead_id' | 'matched_by' | 'matched_value' | 'lead_from' | 'other_lead_from', string>
      >('SELECT * FROM crm.leads_of_one_person')
    ).rows
      .map(
        (row) =>
          `${of.get(row.lead_id)} ${row.lead_from} ${of.get(row.other_lead_id)} ${row.other_lead_from} ${row.matched_by} ${row.matched_value}`,
      )
      .sort();
  const ours = [
    '1 contact 2 quote phone +12065550010',
    '1 contact 3 quote email ann@example.org',
    '1 contact 4 contact email ann@example.org',
    '2 quote 1 contact phone +12065550010',
    '3 quote 1 contact email ann@example.org',
    '3 quote 4 contact email ann@example.org',
    '4 contact 1 contact email ann@example.org',
    '4 contact 3 quote email ann@example.org',
  ];
  const theirs = ['8 contact 9 quote phone +12065550010', '9 quote 8 contact phone +12065550010'];
  expect(await read(app)).toEqual(ours);
  expect(await read(owner)).toEqual([...ours, ...theirs].sort());
  // The function behind it answers nobody about another tenant.
  expect((await app.query(`SELECT FROM crm.leads_by_email($1, 'ann@example.org')`, [THEIRS])).rowCount).toBe(0);
  await setStage(owner, OURS, 0);
  try {
    expect(await read(app)).toEqual([]);
    expect((await app.query(`SELECT FROM crm.leads_by_email($1, 'ann@example.org')`, [OURS])).rowCount).toBe(0);
  } finally {
    await setStage(owner, OURS, 4);
  }
});

it('the other leads of one person are found by indexes, for an application, too', async () => {
  await owner.query(`
    INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id, email, origin) SELECT gen_random_uuid(), '${OURS}', 1, 1, 'c' || n || '@example.org', 'app' FROM generate_series(1, 20000) n;
    INSERT INTO crm.leads (tenant_id, contact_id, phone) SELECT tenant_id, id, '+1206' || (3000000 + row_number() OVER ()) FROM crm.contacts WHERE origin = 'app';
    ANALYZE crm.leads; ANALYZE crm.contacts`);
  const [lead] = [...(await names())].find(([, n]) => n === 1)!;
  const { rows } = await app.query<Record<string, string>>(
    'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT other_lead_id FROM crm.leads_of_one_person WHERE lead_id = $1',
    [lead],
  );
  const plan = rows.map((row) => Object.values(row)[0]).join('\n');
  expect(plan).toContain('leads_phone_idx');
  expect(plan).not.toContain('Seq Scan on leads');
  const { rows: inner } = await owner.query<Record<string, string>>(
    `EXPLAIN (COSTS OFF) SELECT l.id FROM crm.contacts c JOIN crm.leads l ON l.contact_id = c.id WHERE c.tenant_id = '${OURS}' AND lower(btrim(c.email)) = 'c7@example.org' AND c.email IS NOT NULL AND l.deleted_at IS NULL`,
  );
  expect(inner.map((row) => Object.values(row)[0]).join('\n')).toContain('contacts_email_idx');
  expect((await app.query('SELECT FROM crm.leads_of_one_person WHERE lead_id = $1', [lead])).rowCount).toBe(3);
  await owner.query(`DELETE FROM crm.leads WHERE origin = 'app'; DELETE FROM crm.contacts WHERE origin = 'app'`);
});

it('conversions are counted by where leads come from', async () => {
  const { rows } = await app.query('SELECT * FROM crm.lead_conversion_by_source ORDER BY lead_from');
  expect(rows).toEqual([
    ...[{ tenant_id: OURS, lead_from: 'contact', lead_source: 'web', total_leads: '3', converted_leads: '0' }].map(
      (row) => ({
        ...row,
        conversion_rate_percent: '0.00',
      }),
    ),
    {
      tenant_id: OURS,
      lead_from: 'quote',
      lead_source: null,
      total_leads: '4',
      converted_leads: '1',
      conversion_rate_percent: '25.00',
    },
  ]);
  const reader = await connect(databases.targetUrl, 'reader');
  try {
    await reader.query('SET ROLE crosswalk_reader');
    expect((await reader.query('SELECT FROM crm.lead_conversion_by_source')).rowCount).toBe(4);
    expect((await reader.query('SELECT FROM crm.leads_of_one_person')).rowCount).toBe(10);
  } finally {
    await reader.end();
  }
});

it('the values of a column are told with their order', async () => {
  const { rows } = await app.query<{ value: string }>(
    `SELECT value FROM crm.lookup_values WHERE kind = 'job_status' ORDER BY sort_order`,
  );
  expect(rows.map(({ value }) => value)).toEqual(['scheduled', 'in_progress', 'completed']);
  // What a constraint allows is what is listed.
  for (const [kind, constraint] of [
    ['lead_status', 'leads_status_check'],
    ['job_status', 'jobs_new_status_check'],
    ['invoice_status', 'invoices_new_status_check'],
    ['field_type', 'lead_custom_fields_field_type_check'],
  ]) {
    const { rows: found } = await owner.query<{ definition: string }>(
      'SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conname = $1',
      [constraint],
    );
    const allowed = [...found[0]!.definition.matchAll(/'(\w+)'/g)].map(([, value]) => value!);
    const { rows: listed } = await owner.query<{ value: string }>(
      'SELECT value FROM crm.lookup_values WHERE kind = $1',
      [kind],
    );
    expect([kind, listed.map(({ value }) => value).sort()]).toEqual([kind, allowed.sort()]);
  }
});
