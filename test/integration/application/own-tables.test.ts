// Tables of the application alone: two tenants, every stage, what rows may refer to, what they may hold, and their migrations there and back.

import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { createLogin } from '../../support/application-login.ts';
import { insertOwn, OWN_TABLES } from '../../support/application-tables.ts';
import { migrateDown, migrateUp, readMigrations } from '../../support/crm.ts';
import { describeCatalog } from '../../support/describe-catalog.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';

const silent = () => undefined;
const TABLES = Object.keys(OWN_TABLES);
const OURS = { tenant: 'ws-ours', row: 'a0000000-0000-4000-8000-000000000001', account: 10 };
const THEIRS = { tenant: 'ws-theirs', row: 'a0000000-0000-4000-8000-000000000002', account: 20 };

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let app: pg.Client;
let login: Awaited<ReturnType<typeof createLogin>>;

beforeAll(async () => {
  databases = await createDatabases('own_tables');
  owner = await connect(databases.targetUrl, 'test');
  await migrateUp(owner, silent);
  for (const whose of [OURS, THEIRS]) {
    const { tenant, row, account } = whose;
    await owner.query(`INSERT INTO crm.users (id, email, tenant_id) VALUES (${account}, '${tenant}@example.org', '${tenant}');
      INSERT INTO crm.chatbots (id, user_id, name) VALUES (${account}, ${account}, 'x');
      INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id) VALUES ('${row}', '${tenant}', ${account}, ${account});
      INSERT INTO crm.leads (id, tenant_id, contact_id) VALUES ('${row}', '${tenant}', '${row}')`);
    for (const table of TABLES) await owner.query(insertOwn(table, { ...whose, id: row }));
  }
  login = await createLogin(owner, databases.targetUrl, 'crosswalk_app');
  app = await connect(login.url, 'app');
});
beforeEach(async () => {
  await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [OURS.tenant]);
  await setStage(owner, null, 4);
});
afterAll(async () => {
  await app?.end();
  await login?.drop();
  await owner?.end();
  await databases?.drop();
});

const countAs = async (client: pg.ClientBase, table: string, where = 'true') =>
  Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM crm.${table} WHERE ${where}`)).rows[0]!.n);

it('are all that the application may read beside projected tables and accounts', async () => {
  const { rows } = await owner.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p') AND has_table_privilege('crosswalk_app', c.oid, 'SELECT')
       AND c.relname NOT IN ('users', 'user_subscriptions', 'chatbots') AND NOT EXISTS (SELECT FROM crosswalk.adopted a WHERE a.table_schema = 'crm' AND a.table_name = c.relname)`,
  );
  expect(rows.map(({ name }) => name).sort()).toEqual(TABLES.toSorted());
});

describe.each(TABLES)('%s', (table) => {
  const { may, stage } = OWN_TABLES[table]!;

  it('shows a tenant its own rows alone', async () => {
    expect(await countAs(owner, table, `tenant_id = '${THEIRS.tenant}'`)).toBeGreaterThan(0);
    expect(await countAs(app, table, `tenant_id = '${OURS.tenant}'`)).toBeGreaterThan(0);
    expect(await countAs(app, table, `tenant_id <> '${OURS.tenant}'`)).toBe(0);
    await app.query(`SELECT set_config('crosswalk.tenant_id', '', false)`);
    expect(await countAs(app, table)).toBe(0);
  });

  it('takes no row of another tenant, and lets none be changed', async () => {
    await expect(app.query(insertOwn(table, { ...THEIRS, id: randomUUID() }))).rejects.toMatchObject({ code: '42501' });
    for (const [right, sql] of [
      ['UPDATE', `UPDATE crm.${table} SET tenant_id = '${OURS.tenant}' WHERE id = '${THEIRS.row}'`],
      ['DELETE', `DELETE FROM crm.${table} WHERE id = '${THEIRS.row}'`],
    ] as const) {
      if (may.includes(right)) expect((await app.query(sql)).rowCount).toBe(0);
      else await expect(app.query(sql)).rejects.toMatchObject({ code: '42501' });
    }
    // Nor are rows of its own given away.
    if (may.includes('UPDATE'))
      await expect(
        app.query(`UPDATE crm.${table} SET tenant_id = '${THEIRS.tenant}' WHERE id = '${OURS.row}'`),
      ).rejects.toMatchObject({ code: '42501' });
    expect(await countAs(owner, table, `id = '${THEIRS.row}' AND tenant_id = '${THEIRS.tenant}'`)).toBe(1);
  });

  it('takes rows of its own, and lets them be changed as far as that is meant', async () => {
    const id = randomUUID();
    const add = app.query(insertOwn(table, { ...OURS, id }));
    if (!may.includes('INSERT')) {
      await expect(add).rejects.toMatchObject({ code: '42501' });
      return;
    }
    expect((await add).rowCount).toBe(1);
    for (const [right, sql] of [
      ['UPDATE', `UPDATE crm.${table} SET tenant_id = tenant_id WHERE id = '${id}'`],
      ['DELETE', `DELETE FROM crm.${table} WHERE id = '${id}'`],
    ] as const) {
      if (may.includes(right)) expect((await app.query(sql)).rowCount).toBe(1);
      else await expect(app.query(sql)).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('is shown from its stage on', async () => {
    for (const at of [0, 1, 2, 3, 4]) {
      await setStage(owner, OURS.tenant, at);
      expect((await countAs(app, table)) > 0, `at stage ${at}`).toBe(at >= stage);
      if (at < stage && may.includes('INSERT'))
        await expect(app.query(insertOwn(table, { ...OURS, id: randomUUID() }))).rejects.toMatchObject({
          code: '42501',
        });
    }
    const reader = await connect(databases.targetUrl, 'test');
    try {
      await reader.query('SET ROLE crosswalk_reader');
      await setStage(owner, null, 0);
      expect(await countAs(reader, table)).toBe(await countAs(owner, table));
      await reader.query('RESET ROLE; SET ROLE crosswalk_projector');
      await expect(countAs(reader, table)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await reader.end();
    }
  });
});

describe('a row', () => {
  it.each([
    ['lead_sequence_enrollments', { row: THEIRS.row }],
    ['consents', { row: THEIRS.row }],
    ['actions', { row: THEIRS.row }],
    ['segments', { account: THEIRS.account }],
    ['actions', { account: THEIRS.account }],
    ['usage_tracking', { account: THEIRS.account }],
    ['api_keys', { account: THEIRS.account }],
    ['webhooks', { account: THEIRS.account }],
    ['bot_knowledge_base', { account: THEIRS.account }],
    ['conversation_instructions', { account: THEIRS.account }],
    ['analytics_events', { account: THEIRS.account }],
  ])('of %s refers to nothing of another tenant', async (table, other) => {
    await expect(app.query(insertOwn(table, { ...OURS, ...other, id: randomUUID() }))).rejects.toMatchObject({
      code: '42501',
    });
  });

  it.each([
    [
      `INSERT INTO crm.lead_source_costs (tenant_id, lead_source, month, cost) VALUES ('ws-ours', 'x', '2026-01-01', -1)`,
      'lead_source_costs_cost_check',
    ],
    [
      `INSERT INTO crm.lead_source_costs (tenant_id, lead_source, month, cost) VALUES ('ws-ours', 'x', '2026-01-01', 'NaN')`,
      'lead_source_costs_cost_check',
    ],
    [
      `INSERT INTO crm.lead_source_costs (tenant_id, lead_source, month, cost) VALUES ('ws-ours', 'x', '2026-01-02', 1)`,
      'lead_source_costs_month_check',
    ],
    [
      `INSERT INTO crm.lead_source_costs (tenant_id, lead_source, month, cost, currency) VALUES ('ws-ours', 'x', '2026-01-01', 1, 'usd')`,
      'lead_source_costs_currency_check',
    ],
    [
      `INSERT INTO crm.nurture_sequences (tenant_id, name, steps, channels) VALUES ('ws-ours', 'x', '[]', '{sms}')`,
      'nurture_sequences_steps_check',
    ],
    [
      `INSERT INTO crm.nurture_sequences (tenant_id, name, steps, channels) VALUES ('ws-ours', 'x', '{}', '{sms}')`,
      'nurture_sequences_steps_check',
    ],
    [
      `INSERT INTO crm.nurture_sequences (tenant_id, name, steps, channels) VALUES ('ws-ours', 'x', '[1]', '{fax}')`,
      'nurture_sequences_channels_check',
    ],
    [`INSERT INTO crm.segments (tenant_id, name, filter) VALUES ('ws-ours', 'x', '[]')`, 'segments_filter_check'],
    [
      `INSERT INTO crm.consents (tenant_id, channel, is_given, method) VALUES ('ws-ours', 'sms', true, 'form')`,
      'consents_subject_check',
    ],
    [
      `INSERT INTO crm.dnc_list (tenant_id, identity, identity_kind, source) VALUES ('ws-ours', '1', 'digits', 'rumour')`,
      'dnc_list_source_check',
    ],
    [
      `INSERT INTO crm.actions (tenant_id, user_id, action_type, title, status) VALUES ('ws-ours', 10, 'x', 'x', 'approved')`,
      'actions_decided_check',
    ],
    [`INSERT INTO crm.products (tenant_id, name, price) VALUES ('ws-ours', 'x', -0.01)`, 'products_price_check'],
    [
      `INSERT INTO crm.api_keys (tenant_id, user_id, name, key_hash, key_start) VALUES ('ws-ours', 10, 'x', 'cw_plain', 'cw_')`,
      'api_keys_hash_check',
    ],
    [
      `INSERT INTO crm.webhooks (tenant_id, user_id, name, url, events) VALUES ('ws-ours', 10, 'x', 'http://example.com', '{a}')`,
      'webhooks_url_check',
    ],
  ])('that makes no sense is refused: %s', async (sql, constraint) => {
    await expect(app.query(sql)).rejects.toMatchObject({ code: '23514', constraint });
  });

  it('that another needs goes as docs/application.md says', async () => {
    // A sequence takes its enrolments along; a lead stays while there are any.
    const id = randomUUID();
    await app.query(insertOwn('nurture_sequences', { ...OURS, id }));
    await app.query(
      `INSERT INTO crm.lead_sequence_enrollments (tenant_id, lead_id, sequence_id) VALUES ('${OURS.tenant}', '${OURS.row}', '${id}')`,
    );
    await expect(
      app.query(
        `INSERT INTO crm.lead_sequence_enrollments (tenant_id, lead_id, sequence_id) VALUES ('${OURS.tenant}', '${OURS.row}', '${id}')`,
      ),
    ).rejects.toMatchObject({ code: '23505' });
    await expect(owner.query(`DELETE FROM crm.leads WHERE id = '${OURS.row}'`)).rejects.toMatchObject({
      code: '23503',
    });
    await app.query(`DELETE FROM crm.nurture_sequences WHERE id = '${id}'`);
    expect(await countAs(owner, 'lead_sequence_enrollments', `sequence_id = '${id}'`)).toBe(0);

    await owner.query(
      `INSERT INTO crm.users (id, email, tenant_id) VALUES (30, 'x@example.org', '${OURS.tenant}'); INSERT INTO crm.chatbots (id, user_id, name) VALUES (30, 30, 'x')`,
    );
    const account = { ...OURS, account: 30 };
    for (const table of ['api_keys', 'webhooks', 'bot_knowledge_base', 'conversation_instructions', 'analytics_events'])
      await app.query(insertOwn(table, { ...account, id: randomUUID() }));
    const event = `event_type = 'x' AND user_id IS NULL`;
    const before = await countAs(owner, 'analytics_events', event);
    await owner.query('DELETE FROM crm.chatbots WHERE id = 30; DELETE FROM crm.users WHERE id = 30');
    for (const table of ['api_keys', 'webhooks']) expect(await countAs(owner, table, 'user_id = 30')).toBe(0);
    for (const table of ['bot_knowledge_base', 'conversation_instructions'])
      expect(await countAs(owner, table, 'chatbot_id = 30')).toBe(0);
    expect(await countAs(owner, 'analytics_events', event)).toBe(before + 1);
    // Usage is billed: its account stays.
    await expect(owner.query(`DELETE FROM crm.users WHERE id = ${OURS.account}`)).rejects.toMatchObject({
      code: '23503',
    });
  });

  it('is dated anew when it changes', async () => {
    const id = randomUUID();
    await app.query(insertOwn('products', { ...OURS, id }));
    const { rows } = await app.query<{ newer: string }>(
      `UPDATE crm.products SET name = 'y' WHERE id = '${id}' RETURNING (updated_at > created_at)::text AS newer`,
    );
    expect(rows).toEqual([{ newer: 'true' }]);
  });
});

it('a consent counts until it is taken back or expires', async () => {
  const add = (given: boolean, expires: string) =>
    app.query(
      `INSERT INTO crm.consents (tenant_id, lead_id, channel, is_given, method, expires_at) VALUES ('${OURS.tenant}', '${OURS.row}', 'call', ${given}, 'person', ${expires})`,
    );
  const isGiven = async () =>
    (await app.query(`SELECT is_given FROM crm.current_consents WHERE lead_id = '${OURS.row}' AND channel = 'call'`))
      .rows;
  expect(await isGiven()).toEqual([]);
  await add(true, 'NULL');
  expect(await isGiven()).toEqual([{ is_given: 't' }]);
  await add(false, 'NULL');
  expect(await isGiven()).toEqual([{ is_given: 'f' }]);
  await add(true, `now() - interval '1 second'`);
  expect(await isGiven()).toEqual([{ is_given: 'f' }]);
});

it('a number is on the do-not-call list until its entry expires, whoever has put it there', async () => {
  const ask = async () =>
    (await app.query(`SELECT crm.is_on_dnc_list('(206) 555-0199', '${OURS.tenant}') AS listed`)).rows;
  await app.query(
    `INSERT INTO crm.dnc_list (tenant_id, identity, identity_kind, source, reason, expires_at) VALUES ('${OURS.tenant}', '+12065550199', 'phone', 'ai', 'wrote stop', now() - interval '1 second')`,
  );
  expect(await ask()).toEqual([{ listed: 'f' }]);
  await app.query(`UPDATE crm.dnc_list SET expires_at = now() + interval '1 day' WHERE identity = '+12065550199'`);
  expect(await ask()).toEqual([{ listed: 't' }]);
});

it('what leads of a source cost is told by month and currency', async () => {
  await app.query(
    `INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id) VALUES ('${randomUUID()}', '${OURS.tenant}', 10, 10)`,
  );
  for (const [at, converted] of [
    ['2026-02-01 00:00:00+00', false],
    ['2026-02-28 23:59:59+00', true],
    ['2026-03-01 00:00:00+00', true],
  ] as const)
    await owner.query(
      `INSERT INTO crm.leads (tenant_id, contact_id, lead_source, created_at, is_converted) VALUES ('${OURS.tenant}', '${OURS.row}', 'fair', '${at}', ${converted})`,
    );
  await app.query(
    `INSERT INTO crm.lead_source_costs (tenant_id, lead_source, month, cost, currency) VALUES ('${OURS.tenant}', 'fair', '2026-02-01', 100, 'USD'), ('${OURS.tenant}', 'fair', '2026-01-01', 7, 'EUR')`,
  );
  const { rows } = await app.query(
    `SELECT month::text, currency, leads, converted, cost_per_lead, cost_per_conversion FROM crm.lead_source_roi WHERE lead_source = 'fair' ORDER BY month`,
  );
  expect(rows).toEqual([
    {
      month: '2026-01-01',
      currency: 'EUR',
      leads: '0',
      converted: '0',
      cost_per_lead: null,
      cost_per_conversion: null,
    },
    {
      month: '2026-02-01',
      currency: 'USD',
      leads: '2',
      converted: '1',
      cost_per_lead: '50.00',
      cost_per_conversion: '100.00',
    },
  ]);
});

it('usage of a month is the sum of its days, however often it is asked for', async () => {
  await app.query(
    `INSERT INTO crm.usage_tracking (tenant_id, user_id, tracking_date, messages_sent) VALUES ('${OURS.tenant}', 10, '2025-05-01', 3), ('${OURS.tenant}', 10, '2025-05-31', 4), ('${OURS.tenant}', 10, '2025-06-01', 9)`,
  );
  for (let time = 0; time < 2; time++)
    expect((await app.query(`SELECT crm.summarise_usage('2025-05-17') AS n`)).rows).toEqual([{ n: '1' }]);
  expect(
    (await app.query(`SELECT messages_sent FROM crm.monthly_usage_summary WHERE month = '2025-05-01'`)).rows,
  ).toEqual([{ messages_sent: '7' }]);
});

describe('a key for the API', () => {
  const check = async (key: string) =>
    (
      await app.query<{ tenant_id: string; user_id: string }>(
        'SELECT tenant_id, user_id, scopes FROM crm.check_api_key($1)',
        [key],
      )
    ).rows;
  const create = async () =>
    (await app.query<{ key: string }>(`SELECT crm.create_api_key(10, 'x', '{leads.read}') AS key`)).rows[0]!.key;

  it('is shown once, and found by its hash, whatever the session works for', async () => {
    const key = await create();
    expect(key).toMatch(/^cw_[0-9a-f]{64}$/);
    const { rows } = await owner.query<{ row: string }>(
      `SELECT to_jsonb(k)::text AS row FROM crm.api_keys k WHERE k.key_start = $1`,
      [key.slice(0, 9)],
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]!.row).not.toContain(key);
    await app.query(`SELECT set_config('crosswalk.tenant_id', '', false)`);
    expect(await check(key)).toEqual([{ tenant_id: OURS.tenant, user_id: '10', scopes: '{leads.read}' }]);
    expect(await check(`${key}0`)).toEqual([]);
  });

  it('is none once it is revoked, has expired, or its tenant went back', async () => {
    for (const [there, back] of [
      ['UPDATE crm.api_keys SET revoked_at = now()', 'UPDATE crm.api_keys SET revoked_at = NULL'],
      [`UPDATE crm.api_keys SET expires_at = now() - interval '1 second'`, 'UPDATE crm.api_keys SET expires_at = NULL'],
      [`INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by) VALUES ('${OURS.tenant}', 0, 'test')`, ''],
    ] as const) {
      const key = await create();
      expect(await check(key)).toHaveLength(1);
      await owner.query(there);
      expect(await check(key)).toEqual([]);
      if (back !== '') await owner.query(back);
    }
  });

  it('is made for accounts of the tenant alone', async () => {
    await expect(app.query(`SELECT crm.create_api_key(${THEIRS.account}, 'x')`)).rejects.toMatchObject({
      code: '42501',
    });
  });
});

describe('searches', () => {
  const search = async (part: string, tenant = OURS.tenant) =>
    (await app.query<{ n: string }>('SELECT count(*) AS n FROM crm.search_leads($1, $2)', [tenant, part])).rows[0]!.n;
  const tagged = async (...tags: string[]) =>
    (await app.query<{ n: string }>('SELECT count(*) AS n FROM crm.leads_with_tags($1, $2)', [OURS.tenant, tags]))
      .rows[0]!.n;

  it('find leads by part of a name and by tags, of their tenant alone', async () => {
    for (const { tenant, account } of [OURS, THEIRS]) {
      const [contact, customer] = [randomUUID(), randomUUID()];
      await owner.query(`INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id, firstname, lastname) VALUES ('${contact}', '${tenant}', ${account}, ${account}, 'Zoë', 'Quill_worth');
        INSERT INTO crm.customers (id, tenant_id) VALUES ('${customer}', '${tenant}');
        INSERT INTO crm.leads (tenant_id, contact_id, tags) VALUES ('${tenant}', '${contact}', '{hot,new}');
        INSERT INTO crm.leads (tenant_id, customer_id, name, tags) VALUES ('${tenant}', '${customer}', 'QUILLS & co', '{hot}')`);
    }
    expect([
      await search('quill'),
      await search('ë quill_w'),
      await search('quill%w'),
      await search('qu'),
      await search('nobody'),
    ]).toEqual(['2', '1', '0', '0', '0']);
    expect(await search('quill', THEIRS.tenant)).toBe('0');
    expect([await tagged('hot'), await tagged('new', 'hot'), await tagged('cold'), await tagged()]).toEqual([
      '2',
      '1',
      '0',
      '0',
    ]);
    await setStage(owner, OURS.tenant, 0);
    expect([await search('quill'), await tagged('hot')]).toEqual(['0', '0']);
  });

  // As the functions ask, which read past the policies; the last two as the application itself.
  it.each([
    [
      `SELECT FROM crm.leads l WHERE l.tenant_id = 'many' AND l.name ILIKE '%28dd2c7955%' AND l.name IS NOT NULL AND l.deleted_at IS NULL`,
      'leads_name_trgm_idx',
    ],
    [
      `SELECT FROM crm.contacts c WHERE c.tenant_id = 'many' AND (coalesce(c.name, '') || ' ' || coalesce(c.firstname, '') || ' ' || coalesce(c.lastname, '')) ILIKE '%28dd2c7955%' AND c.deleted_at IS NULL`,
      'contacts_name_trgm_idx',
    ],
    [
      `SELECT FROM crm.leads l WHERE crm.tenant_tags(l.tenant_id, l.tags) @> crm.tenant_tags('many', '{tag77}') AND l.tenant_id = 'many' AND l.tags IS NOT NULL AND l.deleted_at IS NULL`,
      'leads_tenant_tags_idx',
    ],
    [
      `SELECT FROM crm.contacts WHERE user_id = 10 AND phone_number = '77' AND deleted_at IS NULL`,
      'contacts_user_phone_idx',
    ],
    [
      `SELECT FROM crm.contacts WHERE user_id = 10 AND thread_id = '77' AND deleted_at IS NULL`,
      'contacts_user_thread_idx',
    ],
  ])('use their index: %s', async (sql, index) => {
    await owner.query('BEGIN');
    try {
      await owner.query(`INSERT INTO crm.contacts (tenant_id, user_id, chatbot_id, name, phone_number, thread_id) SELECT 'many', 10, 10, md5(n::text), n::text, n::text FROM generate_series(1, 5000) n;
        INSERT INTO crm.customers (id, tenant_id) VALUES ('${OURS.row}', 'many');
        INSERT INTO crm.leads (tenant_id, customer_id, name, tags) SELECT 'many', '${OURS.row}', md5(n::text), ARRAY['tag' || n, 'all'] FROM generate_series(1, 5000) n;
        SELECT gin_clean_pending_list('crm.leads_name_trgm_idx'), gin_clean_pending_list('crm.contacts_name_trgm_idx'), gin_clean_pending_list('crm.leads_tenant_tags_idx');
        ANALYZE crm.contacts; ANALYZE crm.leads`);
      if (index.startsWith('contacts_user'))
        await owner.query(`SET LOCAL ROLE crosswalk_app; SET LOCAL crosswalk.tenant_id = 'many'`);
      const { rows } = await owner.query<Record<string, string>>(`EXPLAIN (COSTS OFF) ${sql}`);
      expect(rows.map((row) => Object.values(row)[0]).join('\n')).toContain(index);
    } finally {
      await owner.query('ROLLBACK');
    }
  });

  it('each index of these tables says which query needs it', async () => {
    const { rows } = await owner.query<{ name: string }>(
      `SELECT x.relname AS name FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
       WHERE c.relnamespace = 'crm'::regnamespace AND (c.relname = ANY ($1) OR x.relname = ANY ($2)) AND NOT i.indisprimary AND obj_description(x.oid) IS NULL AND x.relname NOT LIKE 'nurture_sequences_tenant_key'`,
      [
        TABLES,
        [
          'leads_name_trgm_idx',
          'contacts_name_trgm_idx',
          'leads_tenant_tags_idx',
          'contacts_user_phone_idx',
          'contacts_user_thread_idx',
        ],
      ],
    );
    expect(rows).toEqual([]);
  });
});

it('extensions are there, and the migrations of these tables go down and up again to the same, as a plain owner runs them', async () => {
  const own = await createDatabases('own_migrations');
  const admin = await connect(own.targetUrl, 'test');
  const { rows: names } = await admin.query<{ name: string }>('SELECT current_database()::text AS name');
  const plain = await createLogin(admin, own.targetUrl, 'crosswalk_reader');
  let client: pg.Client | undefined;
  try {
    await admin.query(`ALTER ROLE ${plain.name} CREATEROLE; ALTER DATABASE "${names[0]!.name}" OWNER TO ${plain.name}`);
    client = await connect(plain.url, 'owner');
    const before = readMigrations().filter(({ schema, number }) => schema === 'crosswalk' || number < 20);
    const later = readMigrations().length - before.length;
    await migrateUp(client, silent, { migrations: before });
    const first = await describeCatalog(client, ['crm', 'crosswalk']);
    expect(await migrateUp(client, silent)).toHaveLength(later);
    const { rows } = await client.query(
      `SELECT extname AS name FROM pg_extension WHERE extnamespace = 'crm'::regnamespace ORDER BY 1`,
    );
    expect(rows).toEqual([{ name: 'pg_trgm' }, { name: 'pgcrypto' }, { name: 'uuid-ossp' }]);
    const second = await describeCatalog(client, ['crm', 'crosswalk']);
    await migrateDown(client, later, silent);
    expect(await describeCatalog(client, ['crm', 'crosswalk'])).toEqual(first);
    await migrateUp(client, silent);
    expect(await describeCatalog(client, ['crm', 'crosswalk'])).toEqual(second);
    // Those that somebody has put elsewhere are used there, and stay.
    await migrateDown(client, later, silent);
    await client.query('CREATE SCHEMA elsewhere; CREATE EXTENSION pg_trgm SCHEMA elsewhere');
    await migrateUp(client, silent);
    await migrateDown(client, later, silent);
    expect((await client.query(`SELECT FROM pg_extension WHERE extname = 'pg_trgm'`)).rowCount).toBe(1);
  } finally {
    await client?.end();
    await admin.query(`ALTER DATABASE "${names[0]!.name}" OWNER TO CURRENT_USER`);
    await admin.end();
    await own.drop();
    await owner.query(`DROP ROLE IF EXISTS ${plain.name}`);
  }
});
