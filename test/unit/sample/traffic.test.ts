import { expect, test } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import type { PlantedReject, Row } from '../../../pipelines/crm/sample/rows/row.ts';
import { sampleSetting } from '../../../pipelines/crm/sample/sample-setting.ts';
import type { Action } from '../../../pipelines/crm/sample/traffic/change.ts';
import { createKnownRows, moveOn, observe, stageOf } from '../../../pipelines/crm/sample/traffic/known-rows.ts';
import { HAPPENINGS, nextAction } from '../../../pipelines/crm/sample/traffic/next-action.ts';
import { createRejectLedger } from '../../../pipelines/crm/sample/traffic/reject-ledger.ts';

/** Actions of an application on an empty database, each applied in memory. */
function play(seed: string, count: number, tenants: readonly string[] = []): Action[] {
  const setting = {
    ...sampleSetting(seed, 0),
    plantRejects: false,
    workspaces: tenants,
    anyWorkspace: tenants.length === 0,
    companies: tenants,
  };
  const known = createKnownRows(setting, {
    clockUs: 1_700_000_000_000_000,
    largestTransaction: 500,
  });
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const action = nextAction(random, known);
    for (const { changes, rollback } of action.transactions) {
      if (!rollback) for (const change of changes) observe(known, change);
    }
    moveOn(known, action);
    return action;
  });
}

test('one seed gives one history', () => {
  expect(play('a', 2000)).toEqual(play('a', 2000));
  expect(play('a', 50)).not.toEqual(play('b', 50));
});

test('a long history holds everything an application does', () => {
  const actions = play('everything', 12_000);
  const names = new Set(actions.map(({ name }) => name));
  expect(names.size).toBe(HAPPENINGS.length);
  const rolledBack = actions.filter(({ transactions }) => transactions.some(({ rollback }) => rollback));
  expect(rolledBack.length).toBeGreaterThan(100);
  const bulk = actions.filter(({ name }) => name.endsWith('in bulk')).flatMap(({ transactions }) => transactions);
  const sizes = bulk.flatMap(({ changes }) => changes.map((change) => ('keys' in change ? change.keys.length : 0)));
  expect(Math.max(...sizes)).toBeGreaterThan(200);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(500);
});

test('held to given tenants, it stays within them', () => {
  const tenant = '11111111-2222-4333-8444-555555555555';
  const actions = play('tenants', 3000, [tenant]);
  const written = actions
    .flatMap(({ transactions }) => transactions.flatMap(({ changes }) => changes))
    .flatMap((change) => {
      const rows = change.op === 'insert' ? change.rows : change.op === 'update' ? [change.set] : [];
      return rows.map((row) => ({ ...row, table: change.table }) as Row & { table: string });
    });
  const tenants = written.flatMap((row) => [row.company_id, row.workspace_id]).filter((id) => id !== undefined);
  // A row without a workspace is one of another tenant, and so is an order without a contact.
  expect(new Set(tenants)).toEqual(new Set([tenant]));
  const orders = written.filter(({ table }) => table === 'orders');
  expect(orders.length).toBeGreaterThan(10);
  expect(orders.filter(({ contact_id: contact }) => contact === null)).toEqual([]);
  expect(actions.some(({ name }) => name === 'workspace created')).toBe(false);
});

test.each([
  [{ invoice_number: 'I', paid_at: '2024-01-01' }, 'paid'],
  [{ invoice_number: 'I', paid_at: null, status: 'sent' }, 'invoiced'],
  [{ invoice_number: ' ', status: ' Sent\t', lead_status: 'new' }, 'sent'],
  [{ status: null, lead_status: 'CONTACTED' }, 'contacted'],
  [{ status: '', lead_status: 'won' }, 'lead'],
  [{ status: 'declined', lead_status: 'new' }, 'other'],
  [{}, 'other'],
])('a quote with %j is at %s', (row, stage) => {
  expect(stageOf(row)).toBe(stage);
});

test('the ledger follows planted rejects through edits, moved keys and deletes', () => {
  const reject = (key: string, path: string): PlantedReject => ({ table: 'quotes', key, path, reason: 'r' });
  const ledger = createRejectLedger([reject('a', 'items[1].total'), reject('a', 'total'), reject('b', 'lead_status')]);
  ledger.apply({ op: 'update', table: 'quotes', by: 'id', keys: ['a'], set: { items: '[]' }, rejects: [] });
  ledger.apply({ op: 'update', table: 'quotes', by: 'id', keys: ['a'], set: { id: 'c' }, rejects: [] });
  ledger.apply({ op: 'touch', table: 'quotes', by: 'id', keys: ['b'], column: 'lead_status' });
  expect(ledger.all()).toEqual([reject('b', 'lead_status'), reject('c', 'total')]);
  ledger.apply({ op: 'delete', table: 'quotes', by: 'id', keys: ['b'] });
  ledger.apply({ op: 'insert', table: 'quotes', rows: [], rejects: [reject('d', 'items')] });
  expect(ledger.all()).toEqual([reject('c', 'total'), reject('d', 'items')]);
});
