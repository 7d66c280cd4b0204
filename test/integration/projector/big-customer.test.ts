// A customer with very many quotes: what a change of one of them reads, and that the rows are what all of them say.
import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { customersAggregate } from '../../../pipelines/crm/projections/quotes/customer-fold.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import type { Cell, LegacyRow } from '../../../projectors/projection.ts';
import { toCells } from '../../../projectors/source-change.ts';
import { readContributions } from '../../../projectors/write/contributions.ts';
import { withClient } from '../../../projectors/write/with-client.ts';
import { quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const timeAt = (n: number) =>
  new Date(Date.UTC(2024, 0, 1) + n * 1000).toISOString().replace('T', ' ').replace('.000Z', '+00');
const PHONES = ['+1-415-555-2732', '+1-415-555-2671'];

let client: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;

useScriptedTarget('big_customer', 2, (target) => {
  ({ client, pool, log } = target);
});

/** Quote n of the first customer, written in second n. */
function quoteAt(n: number, cells: Readonly<Record<string, Cell>> = {}): LegacyRow {
  const same = { customer_name: 'Ann', phone: PHONES[0]!, address: `${n} Elm Street`, lead_status: 'new' };
  return quoteRow(idAt(n), { ...same, created_at: timeAt(n), updated_at: timeAt(n), ...cells });
}
const quotesFrom = (first: number, count: number) => Array.from({ length: count }, (_, n) => quoteAt(first + n));
const keyOf = (row: LegacyRow) => quotes.map(row, createTenants({})).contributions[0]!.mergeKey;
const read = async (sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows;

/** How many contributions `work` reads, by any index. */
async function countRead(work: () => Promise<unknown>): Promise<number> {
  const count = async () => {
    // The counts of a session are there when it has told them.
    await withClient(pool, async (session) => void (await session.query('SELECT pg_stat_force_next_flush()')));
    const rows = await read(
      `SELECT idx_tup_fetch::text AS read FROM pg_stat_user_tables WHERE schemaname = 'crosswalk' AND relname = 'contribution'`,
    );
    return Number(rows[0]!.read);
  };
  const before = await count();
  await work();
  return (await count()) - before;
}

const frontVersion = async (mergeKey: string) =>
  (await read('SELECT front_version FROM crosswalk.merge_key WHERE merge_key = $1', [mergeKey]))[0].front_version;

/** Live rows of a merged table under a merge key, and those that all its contributions fold to. */
async function compareRows(mergeKey: string) {
  const all = await withClient(pool, (session) => readContributions(session, customersAggregate, [mergeKey]));
  const folded = customersAggregate.fold(mergeKey, all.get(mergeKey)!);
  for (const { table, columns, key } of customersAggregate.targets) {
    const found = await read(
      `SELECT ${columns.join(', ')} FROM crm.${table} WHERE ${key} = $1 AND deleted_at IS NULL ORDER BY id`,
      [mergeKey],
    );
    const wanted = folded[table]!.filter(({ deletedAt }) => deletedAt === null).map(({ row }) => toCells(row, columns));
    expect(found.map((row) => columns.map((column) => row[column]))).toEqual(wanted.toSorted());
  }
}

describe('a customer with thousands of quotes', () => {
  const isDeleted = (n: number) => ({ deleted: idAt(n) });

  it('is folded from few of them, whatever number there are', async () => {
    const customer = keyOf(quoteAt(0));
    await log.deliver('quotes', 0, ...quotesFrom(0, 200));
    const reads: number[] = [];
    for (let first = 200; first < 3000; first += 400)
      reads.push(await countRead(() => log.deliver('quotes', 0, ...quotesFrom(first, 400))));
    // The first of them reads all that there are, and finds which are needed.
    expect(Math.max(...reads.slice(1))).toBeLessThan(200);
    const one = await countRead(() => log.deliver('quotes', 0, quoteAt(3000)));
    expect(one).toBeLessThan(100);
    const changed = await countRead(() => log.deliver('quotes', 0, quoteAt(1500, { updated_at: timeAt(5000) })));
    expect(changed).toBeLessThan(100);
    const moved = await countRead(() => log.deliver('quotes', 0, quoteAt(1600, { address: '7 Oak Lane' })));
    expect(moved).toBeLessThan(100);
    const left = await countRead(() => log.deliver('quotes', 0, quoteAt(1700, { phone: PHONES[1]! }), isDeleted(1800)));
    expect(left).toBeLessThan(100);
    await compareRows(customer);
    expect(
      await read(
        `SELECT count(*)::text AS live FROM crm.customer_addresses WHERE deleted_at IS NULL AND customer_id = $1`,
        [customer],
      ),
    ).toEqual([{ live: '2999' }]);
  });

  it('shows the next best when the best one goes, changes, or moves away', async () => {
    const customer = keyOf(quoteAt(0));
    await log.deliver('quotes', 0, ...quotesFrom(0, 300));
    for (const gone of [
      isDeleted(299),
      quoteAt(298, { phone: PHONES[1]! }),
      quoteAt(297, { updated_at: timeAt(1) }),
      isDeleted(0),
    ]) {
      await log.deliver('quotes', 1, gone);
      await compareRows(customer);
    }
    expect(
      await read('SELECT created_at::text, updated_at::text FROM crm.customers WHERE id = $1', [customer]),
    ).toEqual([{ created_at: timeAt(1), updated_at: timeAt(296) }]);
    expect(
      await read(
        'SELECT address FROM crm.customer_addresses WHERE customer_id = $1 AND is_primary AND deleted_at IS NULL',
        [customer],
      ),
    ).toEqual([{ address: '296 Elm Street' }]);
    for (let n = 0; n < 300; n += 50)
      await log.deliver('quotes', 1, ...Array.from({ length: 50 }, (_, at) => isDeleted(n + at)));
    await compareRows(customer);
    expect(await read('SELECT deleted_at IS NOT NULL AS gone FROM crm.customers WHERE id = $1', [customer])).toEqual([
      { gone: 't' },
    ]);
  });

  it('is folded from all of them by a repair, whatever is said to be needed', async () => {
    const customer = keyOf(quoteAt(0));
    await log.deliver('quotes', 0, ...quotesFrom(0, 300));
    await client.query('UPDATE crosswalk.contribution SET front = NULL, front_rank = NULL, part_rank = 2');
    await client.query(`UPDATE crm.customers SET name = 'nobody' WHERE id = $1`, [customer]);
    const repair = log.append('quotes', 0, quoteAt(5)).map((change) => ({ ...change, repair: {} }));
    await log.apply('quotes', 0, repair);
    await compareRows(customer);
    expect(
      await read('SELECT count(*)::text AS front FROM crosswalk.contribution WHERE front = $1', [customer]),
    ).not.toEqual([{ front: '0' }]);
  });

  it('is folded from all of them after a projector that knows no fronts, and after one that needs others', async () => {
    const customer = keyOf(quoteAt(0));
    await log.deliver('quotes', 0, ...quotesFrom(0, 300));
    expect(await frontVersion(customer)).toBe('1');
    await client.query(`BEGIN;
      INSERT INTO crosswalk.merge_key (aggregate, merge_key) VALUES ('customers', '${customer}') ON CONFLICT (aggregate, merge_key) DO UPDATE SET merge_key = excluded.merge_key;
      UPDATE crosswalk.contribution SET data = jsonb_set(data, '{name}', '"Bea"') || '{"updated_at": "2025-01-01 00:00:00+00"}' WHERE legacy_key = '${idAt(7)}';
      COMMIT`);
    await log.deliver('quotes', 0, quoteAt(300));
    await compareRows(customer);
    expect(await read('SELECT name FROM crm.customers WHERE id = $1', [customer])).toEqual([{ name: 'Bea' }]);
    expect(await frontVersion(customer)).toBe('1');
    await client.query(`UPDATE crosswalk.merge_key SET front_version = '0' WHERE merge_key = $1`, [customer]);
    await client.query('UPDATE crosswalk.contribution SET front = NULL, front_rank = NULL, part_rank = 2');
    await log.deliver('quotes', 0, quoteAt(301));
    await compareRows(customer);
    expect(await frontVersion(customer)).toBe('1');
  });

  it(`shows what all of them say, whatever happens in whatever batches, seed ${seed}`, async () => {
    const random = createRandom(seed);
    const next = (): LegacyRow | { deleted: string } => {
      const n = random.int(0, 400);
      if (random.chance(0.2)) return isDeleted(n);
      return quoteAt(n, {
        phone: random.weighted([
          [PHONES[0]!, 5],
          [PHONES[1]!, 1],
        ]),
        customer_name: random.pick([null, 'Ann', 'Bea', 'test']),
        email: random.pick([null, 'a@example.org', 'b@example.org']),
        address: random.pick([null, `${n} Elm Street`, '1 Main Street', '2 Main Street']),
        lead_status: random.weighted([
          ['new', 20],
          [null, 1],
        ]),
        created_at: random.pick([timeAt(n), null, timeAt(random.int(0, 400))]),
        updated_at: random.pick([timeAt(n), null, timeAt(random.int(0, 800))]),
      });
    };
    await log.deliver('quotes', 0, ...quotesFrom(0, 150));
    const keys = PHONES.map((phone) => keyOf(quoteAt(0, { phone })));
    for (let batch = 0; batch < 40; batch += 1) {
      const rows = Array.from({ length: random.pick([1, 3, 20, 120]) }, next);
      await log.deliver('quotes', random.int(0, 3), ...rows);
      await compareRows(keys[0]!);
    }
    await compareRows(keys[1]!);
    expect(await frontVersion(keys[0]!)).toBe(customersAggregate.needs!.version);
  });
});
