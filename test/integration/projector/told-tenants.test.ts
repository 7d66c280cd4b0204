// Rows whose tenant another row tells: subscribers of a campaign, orders of a contact.
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { subscribersAggregate } from '../../../pipelines/crm/projections/campaigns/subscriber-fold.ts';
import { ordersAggregate } from '../../../pipelines/crm/projections/orders/order-fold.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import type { Aggregate, LegacyRow } from '../../../projectors/projection.ts';
import { toCells } from '../../../projectors/source-change.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import { readContributions } from '../../../projectors/write/contributions.ts';
import { withClient } from '../../../projectors/write/with-client.ts';
import { contactRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
const CAMPAIGN = 'c1000000-0000-4000-8000-000000000001';
const contactAt = (n: number) => `a0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

let client: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;

useScriptedTarget('told_tenants', 2, (target) => {
  ({ client, pool, log } = target);
});

const read = async (sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows;
const campaignOf = (workspace: string | null): LegacyRow => ({ id: CAMPAIGN, workspace_id: workspace, name: 'Spring' });
const subscriberAt = (n: number, status = 'active'): LegacyRow => ({
  ...{ campaign_id: CAMPAIGN, contact_id: contactAt(n), status, subscribed_at: '2024-01-01 00:00:00+00' },
});
const subscribersFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, n) => subscriberAt(first + n));
const gone = (n: number) => ({ deleted: JSON.stringify([CAMPAIGN, contactAt(n)]) });
const countTenants = async (table: string) =>
  Object.fromEntries(
    (
      await read(
        `SELECT tenant_id, count(*)::int AS count FROM crm.${table} WHERE origin = 'cdc' AND deleted_at IS NULL GROUP BY 1 ORDER BY 1`,
      )
    ).map((row) => [row.tenant_id, Number(row.count)]),
  );

/** Live rows of every table of an aggregate, and what all contributions to all merge keys fold to. */
async function compareRows(aggregate: Aggregate) {
  const keys = (await read('SELECT merge_key FROM crosswalk.merge_key WHERE aggregate = $1', [aggregate.name])).map(
    (row) => row.merge_key as string,
  );
  const all = await withClient(pool, (session) => readContributions(session, aggregate, keys));
  const folded = [...all].map(([key, contributions]) => aggregate.fold(key, contributions));
  for (const { table, columns } of aggregate.targets) {
    const wanted = folded.flatMap((rows) => rows[table]!.map(({ row }) => toCells(row, columns)));
    const found = await read(
      `SELECT ${columns.join(', ')} FROM crm.${table} WHERE origin = 'cdc' AND deleted_at IS NULL`,
    );
    const sorted = (rows: readonly (readonly unknown[])[]) => rows.map((row) => JSON.stringify(row)).toSorted();
    expect(sorted(found.map((row) => columns.map((column) => row[column])))).toEqual(sorted(wanted));
  }
}

/** How many contributions `work` reads, by any index, and how many rows of subscribers it writes. */
async function countWork(work: () => Promise<unknown>) {
  const count = async () => {
    // The counts of a session are there when it has told them.
    await withClient(pool, async (session) => void (await session.query('SELECT pg_stat_force_next_flush()')));
    const [row] = await read(
      `SELECT (SELECT idx_tup_fetch FROM pg_stat_user_tables WHERE schemaname = 'crosswalk' AND relname = 'contribution')::text AS read,
         (SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE schemaname = 'crm' AND relname = 'campaign_subscribers')::text AS written`,
    );
    return { read: Number(row.read), written: Number(row.written) };
  };
  const before = await count();
  await work();
  const after = await count();
  return { read: after.read - before.read, written: after.written - before.written };
}

describe('subscribers of a campaign', () => {
  it.each([30, 2500])('%i of them follow it: nobody’s before it comes, and wherever it moves', async (count) => {
    for (let first = 0; first < count; first += 500)
      await log.deliver('campaign_subscribers', 0, ...subscribersFrom(first, Math.min(500, count - first)));
    expect(await countTenants('campaign_subscribers')).toEqual({ unassigned: count });
    for (const workspace of ['acme', 'berlin', null, 'acme']) {
      await log.deliver('campaigns', 0, campaignOf(workspace));
      expect(await countTenants('campaign_subscribers')).toEqual({ [workspace ?? 'unassigned']: count });
      expect(await countTenants('campaigns')).toEqual({ [workspace ?? 'unassigned']: 1 });
    }
    await log.deliver('campaign_subscribers', 0, gone(3), subscriberAt(4, 'Bounced'));
    await log.deliver('campaigns', 0, { deleted: CAMPAIGN });
    expect(await countTenants('campaign_subscribers')).toEqual({ unassigned: count - 1 });
    await log.deliver('campaigns', 0, campaignOf('berlin'));
    expect(await countTenants('campaign_subscribers')).toEqual({ berlin: count - 1 });
    await compareRows(subscribersAggregate);
    expect(
      await read(
        `SELECT tenant_id, deleted_at IS NOT NULL AS gone FROM crm.campaign_subscribers WHERE contact_id = $1`,
        [contactAt(3)],
      ),
    ).toEqual([{ tenant_id: 'acme', gone: 't' }]);
  });

  it('cost no more where there are many: a change reads and writes its own, the campaign’s all of them once', async () => {
    await log.deliver('campaigns', 0, campaignOf('acme'));
    const costs: { read: number; written: number }[] = [];
    for (let first = 0; first < 3000; first += 500)
      costs.push(await countWork(() => log.deliver('campaign_subscribers', 0, ...subscribersFrom(first, 500))));
    // The first of them has no front yet.
    for (const { read: contributions, written } of costs.slice(1)) {
      expect(contributions).toBeLessThan(700);
      expect(written).toBe(500);
    }
    const one = await countWork(() => log.deliver('campaign_subscribers', 0, subscriberAt(7, 'Bounced')));
    expect(one.read).toBeLessThan(20);
    expect(one.written).toBe(1);
    const renamed = await countWork(() => log.deliver('campaigns', 0, { ...campaignOf('acme'), name: 'Summer' }));
    expect(renamed.read).toBeLessThan(20);
    const moved = await countWork(() => log.deliver('campaigns', 0, campaignOf('berlin')));
    expect(moved.read).toBeLessThan(2 * 3000);
    expect(moved.written).toBe(3000);
    await compareRows(subscribersAggregate);
  });

  it('and the campaign move in one transaction with others that come and go', async () => {
    await log.deliver('campaign_subscribers', 0, ...subscribersFrom(0, 200));
    await log.deliver('campaigns', 0, campaignOf('acme'));
    for (let round = 0; round < 6; round += 1) {
      const changes = log.append(
        'campaign_subscribers',
        0,
        subscriberAt(round, `s${round}`),
        gone(100 + round),
        subscriberAt(300 + round),
      );
      await log.deliver('campaigns', 0, campaignOf(`w${round}`));
      await log.apply('campaign_subscribers', 0, changes);
      expect(await countTenants('campaign_subscribers')).toEqual({ [`w${round}`]: 200 });
      await compareRows(subscribersAggregate);
    }
  });
});

describe('orders', () => {
  const ANN = contactAt(1);
  const BOB = contactAt(2);
  const orderAt = (n: number, contact: string | null, cells: LegacyRow = {}): LegacyRow => ({
    ...{
      id: String(n),
      contact_id: contact,
      order_number: `O-${n}`,
      total: '2.00',
      updated_at: '2024-01-01 00:00:00+00',
    },
    items: '[{"sku": "S", "qty": 2, "price": 1}, {"qty": "two"}, 7]',
    ...cells,
  });
  const ordersOf = (contact: string | null, first: number, count: number) =>
    Array.from({ length: count }, (_, n) => orderAt(first + n, contact));
  const orderId = (n: number) => uuid5(`order:${n}`);
  const rowOf = async (n: number) =>
    await read(
      `SELECT tenant_id, contact_id, merge_key, deleted_at IS NOT NULL AS gone,
         (SELECT count(*)::int FROM crm.order_items i WHERE i.order_id = o.id AND i.deleted_at IS NULL AND i.tenant_id = o.tenant_id AND i.merge_key = o.merge_key) AS items,
         (SELECT count(*)::int FROM crm.order_rejects r WHERE r.legacy_table = 'orders' AND r.legacy_key = o.legacy_id::text AND r.deleted_at IS NULL AND r.tenant_id = o.tenant_id) AS rejects
       FROM crm.orders o WHERE id = $1`,
      [orderId(n)],
    );
  const shown = (tenant: string, contact: string | null, n: number) => [
    {
      ...{ tenant_id: tenant, contact_id: contact, merge_key: contact ?? orderId(n), gone: 'f' },
      ...{ items: '2', rejects: '2' },
    },
  ];

  it.each([3, 300])('%i of a contact are its tenant’s, items and rejects too', async (count) => {
    await log.deliver('orders', 0, ...ordersOf(ANN, 0, count));
    expect(await rowOf(1)).toEqual(shown('unassigned', ANN, 1));
    await log.deliver('contacts', 0, contactRow(ANN, { workspace_id: 'acme' }));
    for (const table of ['orders', 'order_items', 'order_rejects'])
      expect(Object.keys(await countTenants(table)), table).toEqual(['acme']);
    await log.deliver('contacts', 0, contactRow(ANN, { workspace_id: 'berlin' }));
    expect(await rowOf(1)).toEqual(shown('berlin', ANN, 1));
    await compareRows(ordersAggregate);
  });

  it.each([
    [3, 3],
    [300, 3],
    [3, 300],
    [300, 300],
  ])('move from a contact with %i of them to one with %i and back, and stay the same orders', async (ofAnn, ofBob) => {
    await log.deliver(
      'contacts',
      0,
      contactRow(ANN, { workspace_id: 'acme' }),
      contactRow(BOB, { workspace_id: 'berlin' }),
    );
    await log.deliver('orders', 0, ...ordersOf(ANN, 0, ofAnn));
    await log.deliver('orders', 0, ...ordersOf(BOB, 1000, ofBob));
    await log.deliver('orders', 0, orderAt(1, BOB), orderAt(1001, ANN));
    expect(await rowOf(1)).toEqual(shown('berlin', BOB, 1));
    expect(await rowOf(1001)).toEqual(shown('acme', ANN, 1001));
    await compareRows(ordersAggregate);
    await log.deliver('orders', 0, orderAt(1, null), orderAt(1001, null));
    expect(await rowOf(1)).toEqual(shown('unassigned', null, 1));
    await log.deliver('orders', 0, orderAt(1, ANN), orderAt(1001, BOB));
    expect(await rowOf(1)).toEqual(shown('acme', ANN, 1));
    // The contact that it left says nothing about it any more.
    await log.deliver('orders', 0, orderAt(1, BOB));
    await log.deliver('contacts', 0, contactRow(ANN, { workspace_id: 'elsewhere' }));
    expect(await rowOf(1)).toEqual(shown('berlin', BOB, 1));
    await log.deliver('orders', 0, { deleted: '1' });
    expect(await rowOf(1)).toMatchObject([{ gone: 't', items: '0', rejects: '0' }]);
    await log.deliver('orders', 0, orderAt(1, ANN, { items: '[{}, {}, 7, 8]' }));
    expect(await rowOf(1)).toEqual(shown('elsewhere', ANN, 1));
    await compareRows(ordersAggregate);
  });

  it(`are what all contributions fold to, whatever happens, seed ${seed}`, async () => {
    const random = createRandom(seed);
    await log.deliver('orders', 0, ...ordersOf(ANN, 0, 100));
    for (let round = 0; round < 40; round += 1) {
      const contact = () => random.pick([ANN, ANN, BOB, contactAt(3), null]);
      if (random.chance(0.3)) {
        const who = random.pick([ANN, BOB, contactAt(3)]);
        const told = random.chance(0.2)
          ? { deleted: who }
          : contactRow(who, { workspace_id: random.pick(['acme', 'berlin', null]) });
        await log.deliver('contacts', 0, told);
      } else {
        const ids = [...new Set(Array.from({ length: random.pick([1, 1, 5, 30]) }, () => random.int(0, 150)))];
        const rows = ids.map((n) => {
          if (random.chance(0.2)) return { deleted: String(n) };
          return orderAt(n, contact(), random.chance(0.3) ? { items: random.pick([null, '[{}]', '7']) } : {});
        });
        await log.deliver('orders', 0, ...rows);
      }
      await compareRows(ordersAggregate);
    }
  });
});
