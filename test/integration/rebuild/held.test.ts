// Rebuilds where changes wait or have failed in the live tables: what is no different in the shadow is no difference, and what waits is not given up.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { statusOptions } from '../../../pipelines/crm/projections/status-options.ts';
import { allProjections } from '../../support/crm.ts';
import { pollUntil } from '../../support/poll.ts';
import { createRebuildRig, type RebuildRig, type RunningProjectors, touchedRows } from '../../support/rebuild-rig.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
console.log(`CROSSWALK_SEED=${seed}`);
let rig: RebuildRig;
let options: RunningProjectors;

beforeAll(async () => {
  rig = await createRebuildRig('rebuild_held', { seed, rows: 40 });
  rig.project(allProjections.filter((each) => each !== statusOptions));
  options = rig.project([statusOptions]);
  await rig.untilApplied();
});
afterAll(() => rig?.drop());

async function ask<T extends object>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
  return (await rig.owner.query<T & Record<string, string>>(sql, [...values])).rows as T[];
}
const letters = () => ask<{ reason: string }>('SELECT reason FROM crosswalk.dead_letter WHERE resolved_at IS NULL');
const parked = () =>
  ask<{ legacy_key: string; reason: string }>('SELECT legacy_key, reason FROM crosswalk.parked_change');
/** Key of a legacy row, the `at`-th in order of ids. */
async function keyOf(table: string, at: number): Promise<string> {
  const { rows } = await rig.source.legacy.query<{ id: string }>(
    `SELECT id::text FROM ${table} ORDER BY id OFFSET $1 LIMIT 1`,
    [at],
  );
  return rows[0]!.id;
}

test('a letter that was discarded is left out of the rebuild too', async () => {
  await rig.owner.query(`ALTER TABLE crm.quotes_new ADD CONSTRAINT no_odd_name CHECK (job_name <> 'odd')`);
  await rig.source.legacy.query(`UPDATE quotes SET job_name = 'odd' WHERE id = $1`, [await keyOf('quotes', 3)]);
  await rig.untilApplied();
  expect(await letters()).toHaveLength(1);
  expect(await rig.rebuild({ projections: [quotes] })).toMatchObject({
    state: 'equal',
    report: { deadLetters: { before: 1, after: 1 } },
  });
  await rig.owner.query(
    `UPDATE crosswalk.dead_letter SET resolved_at = now(), resolution = 'discarded by somebody: no matter' WHERE resolved_at IS NULL`,
  );
  const before = await rig.rows();
  expect(await rig.rebuild({ projections: [quotes] })).toMatchObject({
    state: 'equal',
    report: { failures: [], deadLetters: { before: 0, after: 0 } },
  });
  expect(touchedRows(before, await rig.rows())).toEqual([]);
});

test('what waits for a projection that is down goes on waiting, and comes by itself', async () => {
  await options.stop();
  const { legacy } = rig.source;
  const [key, other] = [await keyOf('contacts', 5), await keyOf('contacts', 6)];
  await legacy.query(
    `INSERT INTO status_options (id, workspace_id, category, name) SELECT 987654, workspace_id, 'lead', 'Late' FROM contacts WHERE workspace_id IS NOT NULL LIMIT 1`,
  );
  await legacy.query(`UPDATE contacts SET lead_status_id = 987654 WHERE id = $1`, [key]);
  await pollUntil(parked, (found) => found.length === 1);
  // Something differs, so that there is a merge.
  await rig.owner.query(`UPDATE crm.leads SET notes = 'tampered' WHERE contact_id = $1`, [other]);
  expect(await rig.rebuild({ projections: [contacts] })).toMatchObject({
    state: 'merged',
    merged: { leads: { changed: 1 } },
    report: { waiting: { before: 1, after: 1 } },
  });
  expect(await parked()).toEqual([{ legacy_key: key, reason: '23503 leads leads_lead_status_id_fkey' }]);
  options = rig.project([statusOptions]);
  await pollUntil(parked, (found) => found.length === 0);
  expect(await ask('SELECT lead_status_id FROM crm.leads WHERE contact_id = $1', [key])).toEqual([
    { lead_status_id: '987654' },
  ]);
});

test('a constraint that is violated for good is no difference', async () => {
  await rig.owner.query(`
    CREATE TABLE crm.markets (name text PRIMARY KEY);
    INSERT INTO crm.markets SELECT DISTINCT market FROM crm.contacts WHERE market IS NOT NULL;
    ALTER TABLE crm.contacts ADD CONSTRAINT contacts_market_fkey FOREIGN KEY (market) REFERENCES crm.markets (name)`);
  await rig.source.legacy.query(`UPDATE contacts SET market = 'nowhere' WHERE id = $1`, [await keyOf('contacts', 3)]);
  await pollUntil(letters, (found) => found.length === 1);
  expect(await rig.rebuild({ projections: [contacts] })).toMatchObject({
    state: 'equal',
    report: { failures: [], deadLetters: { before: 1, after: 1 }, waiting: { before: 0, after: 0 } },
  });
  expect(await letters()).toEqual([{ reason: expect.stringContaining('23503 contacts contacts_market_fkey') }]);
});
