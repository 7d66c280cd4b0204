// Accounts of the new application: who sees which, and the administrator that the migrations make.

import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { planUp } from '../../../schemas/migration-plan.ts';
import { labelOf } from '../../../schemas/migrations.ts';
import { createLogin } from '../../support/application-login.ts';
import { migrateDown, migrateUp, readMigrations } from '../../support/crm.ts';
import { createDatabases } from '../../support/stack.ts';

const NORTH = 'ws-north';
const SOUTH = 'ws-south';
const silent = () => undefined;

/** Migrations of the new schema from a number on. */
const since = (first: number) =>
  readMigrations()
    .filter(({ schema, number }) => schema === 'crm' && number >= first)
    .map(labelOf);

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('accounts');
  owner = await connect(databases.targetUrl, 'test');
});
afterAll(async () => {
  await owner?.end();
  await databases?.drop();
});

describe('an application', () => {
  let login: Awaited<ReturnType<typeof createLogin>>;
  let app: pg.Client;

  beforeAll(async () => {
    await migrateUp(owner, silent);
    await owner.query(`
      INSERT INTO crm.users (id, email, tenant_id) VALUES (10, 'north@example.org', '${NORTH}'), (20, 'south@example.org', '${SOUTH}'), (30, 'shared@example.org', NULL), (40, 'nobody@example.org', NULL);
      INSERT INTO crm.chatbots (id, user_id, name) SELECT id, id, email FROM crm.users WHERE id > 1;
      INSERT INTO crm.user_subscriptions (user_id, subscription_name, daily_message_limit, monthly_message_limit, daily_campaign_limit, monthly_campaign_limit, contract_start_date)
        SELECT id, email, 1, 1, 1, 1, CURRENT_DATE FROM crm.users WHERE id > 1;
      INSERT INTO crm.contacts (tenant_id, user_id, chatbot_id) VALUES ('${NORTH}', 30, 30), ('${SOUTH}', 30, 30), ('${SOUTH}', 1, 1)`);
    login = await createLogin(owner, databases.targetUrl, 'crosswalk_app');
    app = await connect(login.url, 'app');
  });
  afterAll(async () => {
    await app?.end();
    await login?.drop();
  });

  const asTenant = (tenant: string) => app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [tenant]);

  it.each([
    [NORTH, [10, 30]],
    [SOUTH, [1, 20, 30]],
    ['ws-west', []],
    ['', []],
  ])('of %j reads the accounts of its tenant, and those that its contacts belong to', async (tenant, expected) => {
    await asTenant(tenant);
    for (const [table, column] of [
      ['users', 'id'],
      ['user_subscriptions', 'user_id'],
      ['chatbots', 'user_id'],
    ]) {
      const { rows } = await app.query<{ id: string }>(`SELECT ${column} AS id FROM crm.${table} ORDER BY 1`);
      expect([table, rows.map(({ id }) => Number(id))]).toEqual([table, expected]);
    }
  });

  it('changes none of them', async () => {
    await asTenant(NORTH);
    for (const sql of [
      `UPDATE crm.users SET email = 'x'`,
      'DELETE FROM crm.chatbots',
      `INSERT INTO crm.users (email) VALUES ('x')`,
      'SELECT FROM crm.calling_code',
    ])
      await expect(app.query(sql), sql).rejects.toMatchObject({ code: '42501' });
  });

  it('gives no contact to the account of somebody else, which it would see from then on', async () => {
    await asTenant(NORTH);
    const add = (user: number) =>
      app.query('INSERT INTO crm.contacts (tenant_id, user_id, chatbot_id) VALUES ($1, $2, $2) RETURNING id', [
        NORTH,
        user,
      ]);
    for (const user of [20, 40]) await expect(add(user)).rejects.toMatchObject({ code: '42501' });
    const { rows } = await add(10);
    await add(30);
    await expect(app.query('UPDATE crm.contacts SET user_id = 20 WHERE id = $1', [rows[0]!.id])).rejects.toMatchObject({
      code: '42501',
    });
    await app.query('UPDATE crm.contacts SET user_id = 30 WHERE id = $1', [rows[0]!.id]);
  });

  it.each(['crosswalk_reader', 'crosswalk_projector'])('is not alone: %s sees every account', async (role) => {
    const client = await connect(databases.targetUrl, 'test');
    try {
      await client.query(`SET ROLE ${role}`);
      expect((await client.query('SELECT FROM crm.users')).rowCount).toBe(5);
      expect((await client.query('SELECT FROM crm.chatbots')).rowCount).toBe(5);
    } finally {
      await client.end();
    }
  });
});

describe('the administrator', () => {
  const before = readMigrations().filter(({ schema, number }) => schema === 'crosswalk' || number < 13);
  const named = {
    email: 'admin@swiftreplies.ai',
    full_name: 'Admin User',
    company_name: 'SwiftReplies Admin',
    subscription_name: 'Admin Unlimited Plan',
    name: 'Default Admin Bot',
    general_instructions: 'Admin testing bot',
  };
  const read = async () =>
    (
      await owner.query(
        `SELECT email, full_name, company_name, subscription_name, name, general_instructions FROM crm.users u JOIN crm.user_subscriptions s ON s.user_id = u.id JOIN crm.chatbots c ON c.user_id = u.id WHERE u.id = 1`,
      )
    ).rows;
  const fresh = () => owner.query('DROP SCHEMA IF EXISTS crm CASCADE; DROP SCHEMA IF EXISTS crosswalk CASCADE');

  it('is the one of the plan, in a new database and in one that was migrated before', async () => {
    await fresh();
    await migrateUp(owner, silent);
    expect(await read()).toEqual([named]);
    await fresh();
    await migrateUp(owner, silent, { migrations: before });
    expect(await read()).toMatchObject([
      { full_name: 'Administrator', subscription_name: 'Unlimited', name: 'Default' },
    ]);
    await migrateUp(owner, silent);
    expect(await read()).toEqual([named]);
  });

  it('keeps what somebody has written there', async () => {
    await fresh();
    await migrateUp(owner, silent, { migrations: before });
    await owner.query(
      `UPDATE crm.users SET email = 'ann@example.org' WHERE id = 1; UPDATE crm.chatbots SET name = 'Helper' WHERE id = 1`,
    );
    await migrateUp(owner, silent);
    expect(await read()).toMatchObject([
      {
        email: 'ann@example.org',
        full_name: 'Administrator',
        subscription_name: 'Admin Unlimited Plan',
        name: 'Helper',
      },
    ]);
  });

  it('has the address that the migrator is told, as its plan does', async () => {
    await fresh();
    await owner.query(`SELECT set_config('crosswalk.admin_email', $1, false)`, ["o'hara@example.org"]);
    try {
      const [first] = await planUp(owner, { migrations: readMigrations() });
      expect(first).toEqual({ title: 'settings', sql: `SET crosswalk.admin_email = 'o''hara@example.org';` });
      await migrateUp(owner, silent);
      expect(await read()).toEqual([{ ...named, email: "o'hara@example.org" }]);
      expect((await planUp(owner, { migrations: readMigrations() })).length).toBe(0);
      // Undone and applied again it stays as it is.
      await migrateDown(owner, since(13).length, silent);
      await owner.query('RESET crosswalk.admin_email');
      await migrateUp(owner, silent);
      expect(await read()).toEqual([{ ...named, email: "o'hara@example.org" }]);
    } finally {
      await owner.query('RESET crosswalk.admin_email');
    }
  });
});

it('a migration that finds values twice among rows of the application says which, and goes on once they are settled', async () => {
  await owner.query('DROP SCHEMA IF EXISTS crm CASCADE; DROP SCHEMA IF EXISTS crosswalk CASCADE');
  const before = readMigrations().filter(({ schema, number }) => schema === 'crosswalk' || number < 13);
  await migrateUp(owner, silent, { migrations: before });
  await owner.query(
    `INSERT INTO crm.contacts (tenant_id, user_id, chatbot_id, phone_number) VALUES ('a', 1, 1, '1'), ('a', 1, 1, '1')`,
  );
  await expect(migrateUp(owner, silent)).rejects.toMatchObject({
    code: 'migration_failed',
    message: expect.stringContaining('crm.value_collisions'),
  });
  await owner.query(`DELETE FROM crm.contacts WHERE id = (SELECT row_id FROM crm.value_collisions LIMIT 1)`);
  expect(await migrateUp(owner, silent)).toEqual(since(14));
});
