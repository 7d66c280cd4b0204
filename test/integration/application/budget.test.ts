// The ledger of a tenant's budget: every row continues the one before, whoever writes at the same time, and none is ever changed.

import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { migrateUp } from '../../support/crm.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';

const WRITERS = 20;
const EACH = 5;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let tenants = 0;
let tenant: string;
const apps: pg.Client[] = [];

async function openApp(): Promise<pg.Client> {
  const app = await connect(databases.targetUrl, 'app');
  apps.push(app);
  await app.query(`SET ROLE crosswalk_app; SELECT set_config('crosswalk.tenant_id', '${tenant}', false)`);
  return app;
}

/** The chain as it stands, and that it is one: each row begins where the one before ended. */
async function readChain(): Promise<{ number: number; before: string; after: string }[]> {
  const { rows } = await owner.query<{ number: string; before: string; after: string }>(
    'SELECT number, balance_before_usd AS before, balance_after_usd AS after FROM crm.budget_transactions WHERE tenant_id = $1 ORDER BY number',
    [tenant],
  );
  const chain = rows.map(({ number, before, after }) => ({ number: Number(number), before, after }));
  for (const [at, row] of chain.entries())
    expect(row).toMatchObject({ number: at + 1, before: at === 0 ? '0.00' : chain[at - 1]!.after });
  return chain;
}

beforeAll(async () => {
  databases = await createDatabases('budget');
  owner = await connect(databases.targetUrl, 'test');
  await migrateUp(owner, () => undefined);
  await setStage(owner, null, 4);
});
beforeEach(() => {
  tenants += 1;
  tenant = `ws-${tenants}`;
});
afterAll(async () => {
  for (const app of apps) await app.end();
  await owner?.end();
  await databases?.drop();
});

const add = (client: pg.ClientBase, amount: string, before: string | null = null, after: string | null = null) =>
  client.query<{ after: string }>(
    `INSERT INTO crm.budget_transactions (tenant_id, kind, amount_usd, balance_before_usd, balance_after_usd) VALUES ($1, 'adjustment', $2, $3, $4) RETURNING balance_after_usd AS after`,
    [tenant, amount, before, after],
  );

describe('a row', () => {
  it('has its balances worked out, or must have the right ones', async () => {
    const app = await openApp();
    expect((await add(app, '100.10')).rows).toEqual([{ after: '100.10' }]);
    expect((await add(app, '-0.20', '100.10', '99.90')).rows).toEqual([{ after: '99.90' }]);
    await expect(add(app, '1', '100.10')).rejects.toMatchObject({
      ...{ code: '23514', constraint: 'budget_transactions_chain_check' },
      message: 'this row does not continue the last one of its tenant',
    });
    await expect(add(app, '1', '99.90', '100.91')).rejects.toMatchObject({
      constraint: 'budget_transactions_balance_check',
    });
    for (const nothing of ['0', '0.001', 'NaN'])
      await expect(add(app, nothing)).rejects.toMatchObject({
        constraint: expect.stringContaining('budget_transactions'),
      });
    // A place in the chain that somebody names is not taken.
    await app.query(
      `INSERT INTO crm.budget_transactions (tenant_id, number, kind, amount_usd) VALUES ('${tenant}', 1, 'deposit', 1), ('${tenant}', 99, 'deposit', 2)`,
    );
    expect((await readChain()).map(({ after }) => after)).toEqual(['100.10', '99.90', '100.90', '102.90']);
    expect((await app.query('SELECT balance_usd, transactions FROM crm.budget_balances')).rows).toEqual([
      { balance_usd: '102.90', transactions: '4' },
    ]);
  });

  it('is of the chain of its own tenant', async () => {
    const app = await openApp();
    await add(app, '5');
    await owner.query(
      `INSERT INTO crm.budget_transactions (tenant_id, kind, amount_usd) VALUES ('another', 'deposit', 7)`,
    );
    expect((await add(app, '5')).rows).toEqual([{ after: '10.00' }]);
    expect((await app.query('SELECT FROM crm.budget_transactions')).rowCount).toBe(2);
  });

  it.each([
    'UPDATE crm.budget_transactions SET description = $$x$$',
    'DELETE FROM crm.budget_transactions',
    'TRUNCATE crm.budget_transactions',
  ])('is never changed, not even by the owner: %s', async (sql) => {
    const app = await openApp();
    await add(app, '5');
    await expect(app.query(sql)).rejects.toMatchObject({ code: '42501' });
    for (const setting of ['origin', 'replica']) {
      await owner.query(`SET session_replication_role = ${setting}`);
      await expect(owner.query(sql)).rejects.toThrow('crm.budget_transactions is only ever added to');
    }
    await owner.query('RESET session_replication_role');
    expect(await readChain()).toHaveLength(1);
  });
});

describe(`${WRITERS} writers at once`, () => {
  it('that leave the balances out never fork the chain, and lose nothing', async () => {
    const writers = await Promise.all(Array.from({ length: WRITERS }, openApp));
    await Promise.all(
      writers.map(async (writer, at) => {
        for (let number = 0; number < EACH; number++) await add(writer, String((at + 1) * (number % 2 === 0 ? 1 : -1)));
      }),
    );
    const chain = await readChain();
    expect(chain).toHaveLength(WRITERS * EACH);
    // Of five amounts two and two cancel out.
    expect(chain.at(-1)!.after).toBe(`${(WRITERS * (WRITERS + 1)) / 2}.00`);
  });

  it('that all continue the same row: one of them does, the others are refused', async () => {
    const writers = await Promise.all(Array.from({ length: WRITERS }, openApp));
    await add(owner, '10');
    const outcomes = await Promise.allSettled(writers.map((writer) => add(writer, '-10', '10.00', '0.00')));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(WRITERS - 1);
    for (const { reason } of refused) expect(reason).toMatchObject({ constraint: 'budget_transactions_chain_check' });
    expect((await readChain()).map(({ after }) => after)).toEqual(['10.00', '0.00']);
  });

  it('of which one reads an old snapshot: it is refused, and forks nothing', async () => {
    const [early, late] = [await openApp(), await openApp()];
    await add(early, '10');
    await late.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await late.query('SELECT FROM crm.budget_transactions');
    await add(early, '1');
    await expect(add(late, '2')).rejects.toMatchObject({ code: '23505', constraint: 'budget_transactions_chain_key' });
    await late.query('ROLLBACK');
    expect((await readChain()).map(({ after }) => after)).toEqual(['10.00', '11.00']);
  });

  it('of which one has not committed: the other waits for it, and continues what is left', async () => {
    const [first, second] = [await openApp(), await openApp()];
    await first.query('BEGIN');
    await add(first, '10');
    const waiting = add(second, '1');
    await first.query('ROLLBACK');
    expect((await waiting).rows).toEqual([{ after: '1.00' }]);
    expect(await readChain()).toHaveLength(1);
  });
});
