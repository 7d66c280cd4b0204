// A contact's page: one row of one view, from changes of five legacy tables.

import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createLogin } from '../../support/application-login.ts';
import { allProjections, createProjectorPool } from '../../support/crm.ts';
import { contactRow, createScriptedLog } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { openTarget } from '../../support/target-database.ts';

const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const [ANN, BOB, THEIRS] = [idAt(1), idAt(2), idAt(3)];
const dayAt = (n: number) => `2024-02-${String(n).padStart(2, '0')} 10:00:00+00`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let pool: pg.Pool;
let login: Awaited<ReturnType<typeof createLogin>>;
let app: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('contact_page');
  owner = await openTarget(databases.targetUrl);
  pool = createProjectorPool(databases.targetUrl, 'projector', 2);
  const log = await createScriptedLog(pool, createTenants({}), allProjections);
  const of = { workspace_id: 'ws-ours' };
  await log.deliver('contacts', 0, contactRow(ANN, { ...of, name: 'Ann', lead_status: 'new' }));
  await log.deliver('contacts', 0, contactRow(ANN, { ...of, name: 'Ann', lead_status: 'qualified' }));
  await log.deliver('contacts', 0, contactRow(BOB, { ...of, name: 'Bob' }));
  await log.deliver('contacts', 0, contactRow(THEIRS, { workspace_id: 'ws-theirs', name: 'Cleo' }));
  for (let n = 1; n <= 3; n++) {
    const message = { ...of, contact_id: ANN, direction: 'inbound', channel: 'sms', sent_at: dayAt(n) };
    await log.deliver('messages', 0, { id: idAt(10 + n), ...message, body: `text ${n}` });
  }
  await log.deliver('messages', 0, { deleted: idAt(12) });
  await log.deliver('messages', 0, {
    ...{
      id: idAt(14),
      ...of,
      contact_id: BOB,
      direction: 'inbound',
      channel: 'sms',
      body: 'of Bob',
      sent_at: dayAt(9),
    },
  });
  await log.deliver('appointments', 0, {
    ...{ id: idAt(20), ...of, contact_id: ANN, title: 'Visit', starts_at: dayAt(4), notes: 'bring a ladder' },
    ...{ created_at: dayAt(1), updated_at: dayAt(1) },
  });
  await log.deliver('opportunities', 0, {
    ...{ id: idAt(30), ...of, contact_id: ANN, name: 'Roof', stage: 'offer', amount: '1200.50' },
    ...{ created_at: dayAt(2), updated_at: dayAt(2) },
  });
  for (const [id, contact] of [
    ['7', ANN],
    ['8', BOB],
  ] as const)
    await log.deliver('orders', 0, {
      ...{ id, contact_id: contact, order_number: `O-${id}`, status: 'open', total: '20.00', currency: 'USD' },
      ...{ items: '[{"name": "Gutter", "qty": 2, "price": "10.00", "total": "20.00"}]' },
      ...{ placed_at: dayAt(5), updated_at: dayAt(5) },
    });
  login = await createLogin(owner, databases.targetUrl, 'crosswalk_app');
  app = await connect(login.url, 'app');
});
beforeEach(async () => {
  await app.query(`SELECT set_config('crosswalk.tenant_id', 'ws-ours', false)`);
  await setStage(owner, null, 4);
});
afterAll(async () => {
  await pool?.end();
  await app?.end();
  await login?.drop();
  await owner?.end();
  await databases?.drop();
});

type Entry = Record<string, unknown>;
type Page = Record<'leads' | 'messages' | 'appointments' | 'activities' | 'orders' | 'history', Entry[]> & {
  readonly name: string;
};
const LISTS = ['leads', 'messages', 'appointments', 'activities', 'orders', 'history'] as const;

async function readPage(contact: string): Promise<Page[]> {
  const { rows } = await app.query<{ page: string }>(
    'SELECT to_jsonb(p)::text AS page FROM crm.contact_pages p WHERE contact_id = $1',
    [contact],
  );
  return rows.map(({ page }) => JSON.parse(page) as Page);
}

it('shows the messages, appointments, orders and history of one contact, newest first', async () => {
  const [page, ...others] = await readPage(ANN);
  expect(others).toEqual([]);
  expect(page).toMatchObject({ contact_id: ANN, tenant_id: 'ws-ours', name: 'Ann' });
  expect(page!.leads).toMatchObject([{ status: 'qualified', is_converted: false }]);
  expect(page!.messages.map(({ id, body }) => [id, body])).toEqual([
    [idAt(13), 'text 3'],
    [idAt(11), 'text 1'],
  ]);
  expect(page!.appointments).toMatchObject([{ notes: 'bring a ladder', data: { title: 'Visit' } }]);
  expect(page!.activities).toMatchObject([
    { activity_type: 'opportunity', data: { name: 'Roof', stage: 'offer', amount: '1200.50' } },
  ]);
  expect(page!.orders).toMatchObject([
    { order_number: 'O-7', total: 20, items: [{ name: 'Gutter', quantity: 2, unit_price: 10, total: 20 }] },
  ]);
  const statuses = page!.history.filter(({ field_name }) => field_name === 'status');
  expect(statuses).toMatchObject([{ old_value: 'new', new_value: 'qualified', actor: null }]);
});

it('of another tenant is not there', async () => {
  expect(await readPage(THEIRS)).toEqual([]);
  await app.query(`SELECT set_config('crosswalk.tenant_id', 'ws-theirs', false)`);
  expect(await readPage(ANN)).toEqual([]);
  expect(await readPage(THEIRS)).toMatchObject([{ name: 'Cleo', messages: [], orders: [] }]);
});

it('shows what the stage of the tenant shows', async () => {
  const filled = async () => {
    const [page] = await readPage(ANN);
    return LISTS.filter((list) => page![list].length > 0);
  };
  await setStage(owner, null, 2);
  expect(await filled()).toEqual([...LISTS]);
  await setStage(owner, null, 1);
  expect(await filled()).toEqual(['leads']);
  await setStage(owner, null, 0);
  expect(await filled()).toEqual([]);
});

it('holds a hundred of each at most, the newest', async () => {
  await app.query(
    `INSERT INTO crm.lead_activities (tenant_id, lead_id, activity_type, performed_at, notes)
     SELECT 'ws-ours', l.id, 'call', timestamptz '2024-03-01 00:00Z' + n * interval '1 hour', n::text FROM crm.leads l, generate_series(1, 120) n WHERE l.contact_id = $1`,
    [BOB],
  );
  const [page] = await readPage(BOB);
  expect(page!.activities.map(({ notes }) => notes)).toEqual(Array.from({ length: 100 }, (_, n) => String(120 - n)));
});
