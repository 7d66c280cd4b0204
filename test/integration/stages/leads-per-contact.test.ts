// Below stage 3 a contact has one lead, whichever way the application tries to give it another one.

import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { createProjectorPool } from '../../support/crm.ts';
import { contactRow, createScriptedLog } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { clearTarget, openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const TENANT = 'ws-a';
const PROJECTED = 'b0000000-0000-4000-8000-000000000001';
const OWN = 'a0000000-0000-4000-8000-000000000001';
const refused = (policy: string) => ({ code: '42501', message: expect.stringContaining(`"${policy}"`) });

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let pool: pg.Pool;
let app: pg.Client;
let other: pg.Client;

async function connectApp(): Promise<pg.Client> {
  const client = await connect(databases.targetUrl, 'app');
  await client.query(`SET ROLE crosswalk_app; SET crosswalk.tenant_id = '${TENANT}'`);
  return client;
}

const addLead = (client: pg.Client, contact: string | null, rest = '') =>
  client.query<{ id: string }>(`INSERT INTO crm.leads (tenant_id, contact_id) VALUES ($1, $2) ${rest} RETURNING id`, [
    TENANT,
    contact,
  ]);
const countLive = async (contact: string) =>
  (await owner.query('SELECT FROM crm.leads WHERE contact_id = $1 AND deleted_at IS NULL', [contact])).rowCount;

beforeAll(async () => {
  databases = await createDatabases('second_lead');
  owner = await openTarget(databases.targetUrl);
  pool = createProjectorPool(databases.targetUrl, 'projector', 2);
  app = await connectApp();
  other = await connectApp();
});
beforeEach(async () => {
  await clearTarget(owner);
  const log = await createScriptedLog(pool);
  await log.deliver('contacts', 0, contactRow(PROJECTED, { workspace_id: TENANT }));
  await app.query(`INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id) VALUES ($1, $2, 1, 1)`, [OWN, TENANT]);
  expect(await countLive(PROJECTED)).toBe(1);
  expect(await countLive(OWN)).toBe(0);
});
afterAll(async () => {
  await pool?.end();
  await app?.end();
  await other?.end();
  await owner?.end();
  await databases?.drop();
});

describe.each([1, 2])('at stage %i', (stage) => {
  beforeEach(() => setStage(owner, TENANT, stage));

  it('a contact with a projected lead gets none beside it, one without any gets its first', async () => {
    await expect(addLead(app, PROJECTED)).rejects.toMatchObject(refused('one_lead_per_contact'));
    await addLead(app, OWN);
    await expect(addLead(app, OWN)).rejects.toMatchObject(refused('one_lead_per_contact'));
    expect([await countLive(PROJECTED), await countLive(OWN)]).toEqual([1, 1]);
  });

  it('not by two leads in one statement either', async () => {
    await expect(
      app.query(`INSERT INTO crm.leads (tenant_id, contact_id) VALUES ($1, $2), ($1, $2)`, [TENANT, OWN]),
    ).rejects.toMatchObject(refused('one_lead_per_contact'));
    expect(await countLive(OWN)).toBe(0);
  });

  it('not by two sessions at once', async () => {
    await app.query('BEGIN');
    await addLead(app, OWN);
    const second = addLead(other, OWN).then(
      () => 'added',
      (error: { code: string }) => error.code,
    );
    await waitUntil('the second session waits', async () => {
      const { rows } = await owner.query<{ waiting: string }>(
        `SELECT count(*) AS waiting FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return rows[0]!.waiting === '1';
    });
    await app.query('COMMIT');
    expect(await second).toBe('42501');
    expect(await countLive(OWN)).toBe(1);
  });

  it('not by moving a lead there, or by bringing a deleted one back', async () => {
    const { rows } = await addLead(app, OWN);
    await expect(
      app.query('UPDATE crm.leads SET contact_id = $1 WHERE id = $2', [PROJECTED, rows[0]!.id]),
    ).rejects.toMatchObject(refused('no_further_lead_per_contact'));
    await app.query('UPDATE crm.leads SET deleted_at = now() WHERE id = $1', [rows[0]!.id]);
    await addLead(app, OWN);
    await expect(
      app.query('UPDATE crm.leads SET deleted_at = NULL WHERE id = $1', [rows[0]!.id]),
    ).rejects.toMatchObject(refused('no_further_lead_per_contact'));
    expect(await countLive(OWN)).toBe(1);
  });

  it('leads that were added at stage 3 stay, and can be changed and deleted', async () => {
    await setStage(owner, TENANT, 3);
    const { rows } = await addLead(app, PROJECTED);
    await setStage(owner, TENANT, stage);
    const { id } = rows[0]!;
    expect((await app.query(`UPDATE crm.leads SET status = 'won' WHERE id = $1`, [id])).rowCount).toBe(1);
    expect(await countLive(PROJECTED)).toBe(2);
    await expect(addLead(app, PROJECTED)).rejects.toMatchObject(refused('one_lead_per_contact'));
    expect((await app.query('UPDATE crm.leads SET deleted_at = now() WHERE id = $1', [id])).rowCount).toBe(1);
    expect(await countLive(PROJECTED)).toBe(1);
  });

  it('a deleted lead holds no place', async () => {
    await addLead(app, OWN);
    await app.query('UPDATE crm.leads SET deleted_at = now() WHERE contact_id = $1', [OWN]);
    await addLead(app, OWN);
    expect(await countLive(OWN)).toBe(1);
  });
});

describe.each([3, 4])('at stage %i', (stage) => {
  it('a contact gets as many as the application likes, from two sessions at once', async () => {
    await setStage(owner, TENANT, stage);
    await app.query('BEGIN');
    await addLead(app, PROJECTED);
    await addLead(other, PROJECTED);
    await app.query('COMMIT');
    await app.query('INSERT INTO crm.leads (tenant_id, contact_id) VALUES ($1, $2), ($1, $2)', [TENANT, OWN]);
    expect([await countLive(PROJECTED), await countLive(OWN)]).toEqual([3, 2]);
  });
});

describe('projectors', () => {
  it('write the lead of a contact at every stage, whatever leads the application has added to it', async () => {
    await setStage(owner, TENANT, 3);
    await addLead(app, PROJECTED);
    await setStage(owner, null, 0);
    const client = await pool.connect();
    try {
      await client.query('SET ROLE crosswalk_projector');
      await client.query(`UPDATE leads SET deleted_at = now() WHERE origin = 'cdc'`);
      expect((await client.query(`UPDATE leads SET deleted_at = NULL WHERE origin = 'cdc'`)).rowCount).toBe(1);
    } finally {
      await client.query('RESET ROLE');
      client.release();
    }
  });
});
