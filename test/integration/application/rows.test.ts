// Rows of the application beside projected ones: their defaults, their times, their unique values; and none of it in a projected row.

import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { allProjections, createProjectorPool } from '../../support/crm.ts';
import { contactRow, createScriptedLog, quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { clearTarget, openTarget } from '../../support/target-database.ts';

const OURS = 'c0000000-0000-4000-8000-00000000000a';
const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let app: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;

beforeAll(async () => {
  databases = await createDatabases('app_rows');
  owner = await openTarget(databases.targetUrl);
  await setStage(owner, null, 4);
  pool = createProjectorPool(databases.targetUrl, 'projector', 2);
  app = await connect(databases.targetUrl, 'app');
  await app.query(`SET ROLE crosswalk_app; SET crosswalk.tenant_id = '${OURS}'`);
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
});

async function one<T extends pg.QueryResultRow>(
  client: pg.ClientBase,
  sql: string,
  values: unknown[] = [],
): Promise<T> {
  return (await client.query<T>(sql, values)).rows[0]!;
}

const addCustomer = (cells: Readonly<Record<string, string>> = {}) => {
  const all: Record<string, string> = { id: randomUUID(), tenant_id: OURS, ...cells };
  const names = Object.keys(all);
  const values = names.map((_, at) => `$${at + 1}`).join(', ');
  return one<{ id: string; created_at: string; updated_at: string }>(
    app,
    `INSERT INTO crm.customers (${names.join(', ')}) VALUES (${values}) RETURNING id, created_at, updated_at`,
    Object.values(all),
  );
};
const addContact = (cells: Readonly<Record<string, string>> = {}) => {
  const all: Record<string, string> = { id: randomUUID(), tenant_id: OURS, user_id: '1', chatbot_id: '1', ...cells };
  const names = Object.keys(all);
  return one<{ id: string }>(
    app,
    `INSERT INTO crm.contacts (${names.join(', ')}) VALUES (${names.map((_, at) => `$${at + 1}`).join(', ')}) RETURNING id`,
    Object.values(all),
  );
};

describe('a row of the application', () => {
  it('has the defaults of the plans, and the time of its own', async () => {
    const customer = await addCustomer();
    const lead = await one(
      app,
      `INSERT INTO crm.leads (tenant_id, customer_id) VALUES ($1, $2)
       RETURNING id, priority, lead_score, qualification_status, is_converted, created_at = now() AS created, updated_at = now() AS updated`,
      [OURS, customer.id],
    );
    expect(lead).toMatchObject({
      ...{ priority: 'medium', lead_score: '0', qualification_status: 'unqualified' },
      ...{ is_converted: 'f', created: 't', updated: 't' },
    });
    const quote = await one<{ id: string }>(
      app,
      `INSERT INTO crm.quotes_new (tenant_id, customer_id) VALUES ($1, $2) RETURNING id, status, created_at = now() AS created`,
      [OURS, customer.id],
    );
    expect(quote).toMatchObject({ status: 'draft', created: 't' });
    expect(
      await one(
        app,
        `INSERT INTO crm.quote_items_new (tenant_id, quote_id) VALUES ($1, $2) RETURNING quantity, is_upsell, is_discount`,
        [OURS, quote.id],
      ),
    ).toEqual({ quantity: '1', is_upsell: 'f', is_discount: 'f' });
    const job = await one<{ id: string }>(
      app,
      `INSERT INTO crm.jobs_new (tenant_id, quote_id, customer_id) VALUES ($1, $2, $3) RETURNING id, status`,
      [OURS, quote.id, customer.id],
    );
    expect(job).toMatchObject({ status: 'scheduled' });
    const invoice = await one<{ id: string }>(
      app,
      `INSERT INTO crm.invoices_new (tenant_id, job_id, customer_id, amount_due) VALUES ($1, $2, $3, 5) RETURNING id, status, amount_paid`,
      [OURS, job.id, customer.id],
    );
    expect(invoice).toMatchObject({ status: 'pending', amount_paid: '0' });
    expect(
      await one(
        app,
        `INSERT INTO crm.payments (tenant_id, invoice_id, amount, paid_at) VALUES ($1, $2, 5, now()) RETURNING method, created_at = now() AS created`,
        [OURS, invoice.id],
      ),
    ).toEqual({ method: 'unknown', created: 't' });
  });

  it('is dated anew when it changes, and only then', async () => {
    const { id, updated_at: before } = await addCustomer();
    const update = (set: string) =>
      one<{ updated_at: string; created_at: string }>(
        app,
        `UPDATE crm.customers SET ${set} WHERE id = $1 RETURNING updated_at, created_at`,
        [id],
      );
    expect((await update('name = name')).updated_at).toBe(before);
    const changed = await update(`name = 'x'`);
    expect(changed.updated_at > before).toBe(true);
    expect(changed.created_at).toBe(before);
  });
});

describe('a projected row', () => {
  it('has none of the defaults, and keeps the times of its legacy row', async () => {
    await log.deliver('quotes', 0, quoteRow(idAt(1), { company_id: OURS, lead_status: 'new' }));
    await log.deliver('contacts', 0, contactRow(idAt(2), { workspace_id: OURS }));
    await log.deliver('contacts', 0, {
      ...contactRow(idAt(3)),
      created_at: null,
      updated_at: null,
      workspace_id: OURS,
    });
    const { rows } = await owner.query(
      `SELECT id, priority, lead_score, qualification_status, created_at::text AS created, updated_at::text AS updated FROM crm.leads ORDER BY contact_id NULLS FIRST`,
    );
    const time = '2024-03-01 10:00:00+00';
    expect(rows).toEqual([
      { id: idAt(1), priority: null, lead_score: null, qualification_status: null, created: time, updated: time },
      expect.objectContaining({ priority: 'medium', lead_score: null, created: time, updated: time }),
      expect.objectContaining({ priority: 'medium', lead_score: null, created: null, updated: null }),
    ]);
    // Changed by its projector, it has the time of its legacy row again.
    await log.deliver('quotes', 0, quoteRow(idAt(1), { company_id: OURS, lead_status: 'won' }));
    expect(
      await one(owner, 'SELECT status, updated_at::text AS updated, priority FROM crm.leads WHERE id = $1', [idAt(1)]),
    ).toEqual({ status: 'won', updated: time, priority: null });
  });

  it('names every column that has a default, so that a new default never comes into one', async () => {
    const { rows } = await owner.query<{ table: string; column: string }>(
      `SELECT c.relname AS table, a.attname AS column FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atthasdef AND a.attgenerated = ''
       WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind = 'r'`,
    );
    const targets = allProjections.flatMap(({ name, owned, aggregates, history }) => [
      ...owned.map(({ table, columns, blank = [] }) => ({ name, table, named: [...columns, ...blank] })),
      ...aggregates.flatMap((one) => one.targets.map(({ table, columns }) => ({ name, table, named: [...columns] }))),
      ...(history?.targets.map(({ table, columns }) => ({ name, table, named: [...columns] })) ?? []),
    ]);
    const unnamed = targets.flatMap(({ name, table, named }) =>
      rows
        .filter((row) => row.table === table && row.column !== 'origin' && !named.includes(row.column))
        .map(({ column }) => `${name}: ${table}.${column}`),
    );
    expect(unnamed).toEqual([]);
  });
});

describe('a unique value', () => {
  const projected = { phone_number: '(206) 555-0010', thread_id: 't-1', workspace_id: OURS };

  it('that a projected row holds is refused to the application, with a line that says so', async () => {
    await log.deliver('contacts', 0, contactRow(idAt(1), projected));
    await log.deliver('quotes', 0, quoteRow(idAt(2), { company_id: OURS, phone: '206 555 0010' }));
    for (const [add, constraint, column] of [
      [() => addContact({ phone_number: '(206) 555-0010' }), 'unique_contact_per_user', 'phone_number'],
      [() => addContact({ thread_id: 't-1' }), 'unique_thread_per_user', 'thread_id'],
      [() => addCustomer({ phone_e164: '+12065550010' }), 'unique_customer_phone', 'phone_e164'],
    ] as const) {
      await expect(add()).rejects.toMatchObject({
        ...{ code: '23505', constraint, column, schema: 'crm' },
        message: expect.stringMatching(/^a projected row of crm\.(contacts|customers) holds this \w+ already$/),
      });
    }
    // Of another account, and of another organisation, it is another one.
    await owner.query(`UPDATE crm.users SET tenant_id = $1 WHERE id = 2`, [OURS]);
    await addContact({ user_id: '2', chatbot_id: '2', phone_number: '(206) 555-0010', thread_id: 't-1' });
    await owner.query(`INSERT INTO crm.customers (tenant_id, phone_e164) VALUES ('other', '+12065550010')`);
    // By an update, too; what does not touch it is no business of it.
    const { id } = await addContact({ phone_number: 'other' });
    await expect(
      app.query(`UPDATE crm.contacts SET phone_number = '(206) 555-0010' WHERE id = $1`, [id]),
    ).rejects.toMatchObject({ constraint: 'unique_contact_per_user' });
    // Once the projected row is gone it is free.
    await log.deliver('contacts', 0, { deleted: idAt(1) });
    await app.query(`UPDATE crm.contacts SET phone_number = '(206) 555-0010' WHERE id = $1`, [id]);
  });

  it('is unique among live rows of the application', async () => {
    const { id } = await addContact({ phone_number: '1', thread_id: '1' });
    await addCustomer({ phone_e164: '+12065550010' });
    await expect(addContact({ phone_number: '1' })).rejects.toMatchObject({ constraint: 'unique_contact_per_user' });
    await expect(addContact({ thread_id: '1' })).rejects.toMatchObject({ constraint: 'unique_thread_per_user' });
    await expect(addCustomer({ phone_e164: '+12065550010' })).rejects.toMatchObject({
      constraint: 'unique_customer_phone',
    });
    await app.query('UPDATE crm.contacts SET deleted_at = now() WHERE id = $1', [id]);
    await addContact({ phone_number: '1', thread_id: '1' });
    await addContact();
    await addContact();
  });

  it('of a row of the application never keeps a projected row from being written, and both are shown', async () => {
    const contact = await addContact({ phone_number: '(206) 555-0010', thread_id: 't-1' });
    const customer = await addCustomer({ phone_e164: '+12065550010' });
    const outcomes = [
      await log.deliver('contacts', 0, contactRow(idAt(1), projected)),
      await log.deliver('quotes', 0, quoteRow(idAt(2), { company_id: OURS, phone: '206 555 0010' })),
      // Together with one that is refused, so that each is looked at.
      await log.deliver(
        'contacts',
        0,
        contactRow(idAt(1), { ...projected, name: 'x' }),
        contactRow(idAt(3), { ...projected, name: 'y' }),
      ),
    ];
    expect(outcomes.map(({ applied, blocked, defects }) => [applied.length, blocked.length, defects.length])).toEqual([
      [1, 0, 0],
      [1, 0, 0],
      [1, 1, 0],
    ]);
    const { rows } = await app.query(
      'SELECT table_name, constraint_name, row_id, other_origin FROM crm.value_collisions ORDER BY 2',
    );
    expect(rows).toEqual([
      { table_name: 'contacts', constraint_name: 'unique_contact_per_user', row_id: contact.id, other_origin: 'cdc' },
      { table_name: 'customers', constraint_name: 'unique_customer_phone', row_id: customer.id, other_origin: 'cdc' },
      { table_name: 'contacts', constraint_name: 'unique_thread_per_user', row_id: contact.id, other_origin: 'cdc' },
    ]);
    // Both may still be changed, each by its own.
    await app.query(`UPDATE crm.contacts SET name = 'mine', phone_number = phone_number WHERE id = $1`, [contact.id]);
    await log.deliver('contacts', 0, contactRow(idAt(1), { ...projected, name: 'z' }));
    expect(await one(owner, 'SELECT name FROM crm.contacts WHERE id = $1', [idAt(1)])).toEqual({ name: 'z' });
    await app.query(`SET crosswalk.tenant_id = 'other'`);
    try {
      expect((await app.query('SELECT FROM crm.value_collisions')).rowCount).toBe(0);
    } finally {
      await app.query(`SET crosswalk.tenant_id = '${OURS}'`);
    }
  });
});
