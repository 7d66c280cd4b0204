// A rebuild from the middle of the log: what was not replayed is left alone, and what was is as if all had been.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { contactHistory } from '../../../pipelines/crm/projections/lead-history.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { statusOptions } from '../../../pipelines/crm/projections/status-options.ts';
import { discardShadow } from '../../../projectors/rebuild/shadow.ts';
import { topicOf } from '../../../runtime/config.ts';
import { allProjections } from '../../support/crm.ts';
import { pollUntil } from '../../support/poll.ts';
import { readLog } from '../../support/read-log.ts';
import { createRebuildRig, type RebuildRig, type RunningProjectors, touchedRows } from '../../support/rebuild-rig.ts';
import { stackAddresses } from '../../support/stack.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
console.log(`CROSSWALK_SEED=${seed}`);
let rig: RebuildRig;
let options: RunningProjectors;
/** When the changes began that a rebuild from that time replays, and the quotes and contacts they are about. */
let since: Date;
let changed: { quotes: string[]; contacts: string[] };

beforeAll(async () => {
  rig = await createRebuildRig('rebuild_partial', { seed, rows: 200 });
  rig.project(allProjections.filter((each) => each !== statusOptions));
  options = rig.project([statusOptions]);
  await rig.untilApplied();
  // Commit times of the one side of this moment differ from those of the other.
  await sleep(1100);
  since = new Date();
  await sleep(1100);
  const { legacy } = rig.source;
  const some = async (table: string, skip: number, count: number) => {
    const { rows } = await legacy.query<{ id: string }>(
      `SELECT id::text FROM ${table} ORDER BY id OFFSET $1 LIMIT $2`,
      [skip, count],
    );
    return rows.map(({ id }) => id);
  };
  const moved = await some('quotes', 10, 20);
  const gone = await some('quotes', 40, 5);
  const written = await some('contacts', 20, 30);
  // To one customer and on to the next: each legacy row is replayed with all of these versions.
  await legacy.query(`UPDATE quotes SET phone = '(201) 555-2711' WHERE id::text = ANY ($1)`, [moved]);
  await legacy.query(
    `UPDATE quotes SET phone = NULL, email = 'moved' || id || '@x.org', notes = 'moved', total = total + 1 WHERE id::text = ANY ($1)`,
    [moved],
  );
  await legacy.query('DELETE FROM quotes WHERE id::text = ANY ($1)', [gone]);
  await legacy.query(`UPDATE contacts SET lead_score = 7, opted_out = true WHERE id::text = ANY ($1)`, [written]);
  changed = { quotes: [...moved, ...gone], contacts: written };
  await rig.untilApplied();
  expect(await rig.differences()).toEqual([]);
}, 180_000);
afterAll(() => rig?.drop());

const from = () => ({ start: { kind: 'time', atMs: since.getTime() } }) as const;
const idsOf = async (sql: string, values: readonly unknown[] = []) =>
  (await rig.owner.query<{ id: string }>(sql, [...values])).rows.map(({ id }) => id);
const named = (result: Awaited<ReturnType<RebuildRig['rebuild']>>) =>
  result.report!.differences.map(({ table, id, kind }) => `${table} ${id} ${kind}`).sort();

test('finds no difference where there is none, and replays only what came since', async () => {
  const before = await rig.rows();
  const result = await rig.rebuild(from());
  expect(result).toMatchObject({ state: 'equal', report: { differences: [], failures: [] } });
  // Quotes are replayed twice, once for their history, and contacts once more for the tenants of orders; deletes have a tombstone each.
  expect(result.replay.records).toBeLessThan(2 * (2 * 25 + 5) + 3 * 30 + 20);
  expect(touchedRows(before, await rig.rows())).toEqual([]);
});

test('puts right what was replayed, and nothing else, whatever is wrong with it', async () => {
  const { owner } = rig;
  const expected: string[] = [];
  // Every quote is wrong, and only those that were replayed are put right.
  await owner.query(`UPDATE crm.quotes_new SET job_name = 'tampered' WHERE origin = 'cdc' AND deleted_at IS NULL`);
  const replayed = await idsOf(
    `SELECT id::text FROM crm.quotes_new WHERE deleted_at IS NULL AND id::text = ANY ($1) ORDER BY 1`,
    [changed.quotes],
  );
  expect(replayed.length).toBeGreaterThan(5);
  expected.push(...replayed.map((id) => `quotes_new ${id} change`));
  // Items of all quotes are gone.
  const items = await idsOf(
    `DELETE FROM crm.quote_items_new WHERE origin = 'cdc' RETURNING id::text || ' ' || legacy_key AS id`,
  );
  expected.push(
    ...items
      .map((item) => item.split(' '))
      .filter(([, key]) => changed.quotes.includes(key!))
      .map(([id]) => `quote_items_new ${id} add`),
  );
  // Merged rows are folded from all their contributions, also those that were not replayed.
  const customers = await idsOf(
    `UPDATE crm.customers c SET name = 'tampered' WHERE deleted_at IS NULL RETURNING id::text`,
  );
  const touched = await idsOf(
    `SELECT DISTINCT c.id::text FROM crm.customers c JOIN crosswalk.contribution b ON b.merge_key = c.id AND b.aggregate = 'customers' WHERE c.deleted_at IS NULL AND b.live AND b.legacy_key = ANY ($1)`,
    [changed.quotes],
  );
  expect(touched.length).toBeLessThan(customers.length);
  expect(touched.length).toBeGreaterThan(10);
  expected.push(...touched.map((id) => `customers ${id} change`));
  // Made up: under a key that was replayed, and under one that was not.
  const [key, other] = [changed.contacts[0]!, changed.quotes[0]!];
  const [untouched] = await idsOf(`SELECT id::text FROM crm.contacts WHERE NOT (id::text = ANY ($1)) LIMIT 1`, [
    changed.contacts,
  ]);
  const reject = (id: string, table: string, of: string) =>
    owner.query(
      `INSERT INTO crm.rejects (id, tenant_id, path, raw_value, reason, origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version)
       VALUES ($1, 't', 'p', 'v', 'r', 'cdc', $2, $3, '0/1', 1, now(), '1')`,
      [id, table, of],
    );
  await reject('92000000-0000-4000-8000-000000000001', 'contacts', key);
  await reject('92000000-0000-4000-8000-000000000002', 'quotes', other);
  await reject('92000000-0000-4000-8000-000000000003', 'contacts', untouched!);
  expected.push(
    'rejects 92000000-0000-4000-8000-000000000001 remove',
    'rejects 92000000-0000-4000-8000-000000000002 remove',
  );
  // What contributes is recorded wrongly, of a replayed row and of another.
  await owner.query(
    `UPDATE crosswalk.contribution SET data = jsonb_set(data, '{email}', '"x@y.z"') WHERE aggregate = 'customers' AND live AND legacy_key = ANY ($1)`,
    [replayed.slice(0, 3)],
  );
  const before = await rig.rows();
  const result = await rig.rebuild(from());
  expect(result).toMatchObject({ state: 'merged', report: { failures: [] }, merged: { contribution: { changed: 3 } } });
  expect(named(result)).toEqual(expected.sort());
  expect(touchedRows(before, await rig.rows())).toEqual(
    expected.map((each) => each.split(' ').slice(0, 2).join(' ')).sort(),
  );
  expect(await rig.rebuild(from())).toMatchObject({ state: 'equal' });
  // A rebuild from the beginning finds the rest.
  const whole = await rig.rebuild();
  expect(whole).toMatchObject({ state: 'merged', report: { failures: [] } });
  expect(await rig.differences()).toEqual([]);
}, 120_000);

test('from an offset: of each partition what it holds from there on', async () => {
  const topic = topicOf(rig.config, 'contacts');
  const offset = 40n;
  const log = await readLog(stackAddresses(), [topic]);
  const replayed = new Set(
    log
      .filter((record) => BigInt(record.offset) >= offset)
      .map(({ key }) => String(Object.values(JSON.parse(key) as object)[0])),
  );
  await rig.owner.query(
    `UPDATE crm.leads SET product_interest = 'tampered' WHERE contact_id IS NOT NULL AND origin = 'cdc' AND deleted_at IS NULL`,
  );
  const wrong = await idsOf(
    `SELECT id::text || ' ' || legacy_key AS id FROM crm.leads WHERE product_interest = 'tampered'`,
  );
  const expected = wrong
    .map((each) => each.split(' '))
    .filter(([, key]) => replayed.has(key!))
    .map(([id]) => `leads ${id} change`);
  expect(expected.length).toBeGreaterThan(0);
  expect(expected.length).toBeLessThan(wrong.length);
  const result = await rig.rebuild({ projections: [contacts], start: { kind: 'offset', offset } });
  expect(named(result)).toEqual(expected.sort());
  expect(await rig.rebuild({ projections: [contacts], start: { kind: 'offset', offset: 10n ** 9n } })).toMatchObject({
    state: 'equal',
    replay: { records: 0 },
  });
  await rig.rebuild({ projections: [contacts] });
});

test('a unique value that a row holds which was not replayed stands in the way', async () => {
  const [untouched] = await idsOf(
    `SELECT phone_number AS id FROM crm.contacts WHERE phone_number IS NOT NULL AND deleted_at IS NULL AND NOT (id::text = ANY ($1)) LIMIT 1`,
    [changed.contacts],
  );
  const key = changed.contacts[3]!;
  const wrong = {
    ...contacts,
    map: (row, tenants) => {
      const implied = contacts.map(row, tenants);
      if (row.id !== key) return implied;
      return {
        ...implied,
        rows: { ...implied.rows, contacts: [{ ...implied.rows.contacts![0]!, phone_number: untouched! }] },
      };
    },
  } satisfies typeof contacts;
  const before = await rig.rows();
  const result = await rig.rebuild({ ...from(), projections: [wrong] });
  expect(result).toMatchObject({
    state: 'refused',
    report: {
      failures: [
        {
          projection: 'contacts',
          kind: 'conflict',
          reason: 'contacts contacts_user_phone_key',
          count: 1,
          legacyKeys: [key],
        },
      ],
    },
  });
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  await discardShadow(rig.config.targetUrl(), 'test');
});

/** The last offset of each legacy key, and its partition, in the log of a legacy table. */
async function lastRecords(table: string): Promise<Map<string, { partition: number; offset: bigint }>> {
  const log = await readLog(stackAddresses(), [topicOf(rig.config, table)]);
  return new Map(
    log.map(({ key, partition, offset }) => [
      String(Object.values(JSON.parse(key) as object)[0]),
      { partition, offset: BigInt(offset) },
    ]),
  );
}

/** Keys of rows in one partition of the log that no other test is about. */
async function neighbours(table: 'contacts' | 'quotes', count: number): Promise<string[]> {
  const places = [...(await lastRecords(table))].filter(([key]) => !changed[table].includes(key));
  const ids = new Set(await rowIds(table));
  const together = places.filter(([key, { partition }]) => ids.has(key) && partition === places[0]![1].partition);
  expect(together.length).toBeGreaterThanOrEqual(count);
  const some = together.slice(0, count).map(([key]) => key);
  changed[table].push(...some);
  return some;
}
const rowIds = async (table: string) =>
  (await rig.source.legacy.query<{ id: string }>(`SELECT id::text FROM ${table}`)).rows.map(({ id }) => id);

test('a change from before that waits goes on waiting, with what came behind it', async () => {
  const { legacy } = rig.source;
  const [key, other] = await neighbours('contacts', 2);
  await options.stop();
  await legacy.query(
    `INSERT INTO status_options (id, workspace_id, category, name) SELECT 987654, workspace_id, 'lead', 'Late' FROM contacts WHERE workspace_id IS NOT NULL LIMIT 1`,
  );
  await legacy.query(
    `UPDATE contacts SET lead_status_id = 987654, opted_out = true, phone_number = '(201) 555-2733' WHERE id = $1`,
    [key],
  );
  const parked = () => idsOf('SELECT record_offset::text AS id FROM crosswalk.parked_change ORDER BY record_offset');
  const [first] = await pollUntil(parked, (found) => found.length === 1);
  await legacy.query(`UPDATE contacts SET phone_number = '(201) 555-2744' WHERE id = $1`, [key]);
  await legacy.query(`UPDATE contacts SET notes = 'right' WHERE id = $1`, [other]);
  const held = await pollUntil(parked, (found) => found.length === 2);
  await pollUntil(
    () => idsOf(`SELECT id::text FROM crm.leads WHERE contact_id = $1 AND notes = 'right'`, [other]),
    (found) => found.length === 1,
  );
  await rig.owner.query(`UPDATE crm.leads SET notes = 'tampered' WHERE contact_id = $1`, [other]);
  expect(
    await rig.rebuild({ projections: [contacts], start: { kind: 'offset', offset: BigInt(first!) + 1n } }),
  ).toMatchObject({
    state: 'merged',
    merged: { leads: { added: 0, changed: 1, removed: 0 } },
    report: { failures: [], waiting: { before: 2, after: 2 } },
  });
  expect(await parked()).toEqual(held);
  options = rig.project([statusOptions]);
  await pollUntil(parked, (found) => found.length === 0);
  expect(
    await idsOf(
      `SELECT identity AS id FROM crm.dnc_list WHERE deleted_at IS NULL AND identity LIKE '+120155527%' ORDER BY 1`,
    ),
  ).toEqual(expect.arrayContaining(['+12015552733']));
  expect(await rig.differences()).toEqual([]);
});

test('a letter of a history from before stays open: what came later does not make its rows', async () => {
  const { legacy } = rig.source;
  const [key] = await neighbours('contacts', 1);
  await rig.owner.query(`ALTER TABLE crm.lead_audit_log ADD CONSTRAINT no_odd_value CHECK (new_value <> 'odd')`);
  const letters = () => idsOf('SELECT record_offset::text AS id FROM crosswalk.dead_letter WHERE resolved_at IS NULL');
  await legacy.query(`UPDATE contacts SET product = 'odd' WHERE id = $1`, [key]);
  await rig.untilApplied();
  const [letter] = await letters();
  await legacy.query(`UPDATE contacts SET product = 'even' WHERE id = $1`, [key]);
  await rig.untilApplied();
  await rig.owner.query(`UPDATE crm.lead_audit_log SET new_value = 'tampered' WHERE new_value = 'even'`);
  expect(
    await rig.rebuild({ projections: [contactHistory], start: { kind: 'offset', offset: BigInt(letter!) + 1n } }),
  ).toMatchObject({
    state: 'merged',
    merged: { lead_audit_log: { added: 0, changed: 1, removed: 0 } },
    report: { deadLetters: { before: 1, after: 1 } },
  });
  expect(await letters()).toEqual([letter]);
  await rig.owner.query('ALTER TABLE crm.lead_audit_log DROP CONSTRAINT no_odd_value');
  expect(await rig.rebuild({ projections: [contactHistory] })).toMatchObject({
    state: 'merged',
    merged: { lead_audit_log: { added: 1, changed: 0, removed: 0 } },
  });
  expect(await letters()).toEqual([]);
});

test('merged rows to which rows that were not replayed contribute in another way by now are refused', async () => {
  const { legacy } = rig.source;
  const [left, replayed] = await neighbours('quotes', 2);
  for (const key of [left, replayed]) {
    await legacy.query(
      `UPDATE quotes q SET phone = '(201) 555-2722', email = NULL, company_id = o.company_id FROM quotes o WHERE q.id = $1 AND o.id = $2`,
      [key, left],
    );
  }
  await rig.untilApplied();
  const { offset } = (await lastRecords('quotes')).get(replayed!)!;
  const customer = `SELECT merge_key FROM crosswalk.contribution WHERE aggregate = 'customers' AND live AND legacy_key = $1`;
  await rig.owner.query(`UPDATE crm.customers SET name = 'tampered' WHERE id = (${customer})`, [replayed]);
  const before = await rig.rows();
  const result = await rig.rebuild(
    { projections: [quotes], start: { kind: 'offset', offset } },
    {
      confirm: async () => {
        await rig.owner.query(
          `UPDATE crosswalk.contribution SET data = jsonb_set(data, '{name}', '"Somebody Else"') WHERE aggregate = 'customers' AND live AND legacy_key = $1`,
          [left],
        );
        return true;
      },
    },
  );
  expect(result).toMatchObject({
    state: 'refused',
    report: {
      failures: [{ projection: 'quotes', kind: 'stale', reason: 'customers', count: 1, legacyKeys: [left] }],
    },
  });
  expect(touchedRows(before, await rig.rows())).toEqual([]);
  await discardShadow(rig.config.targetUrl(), 'test');
  expect(await rig.rebuild({ projections: [quotes] })).toMatchObject({ state: 'merged' });
  expect(await rig.differences()).toEqual([]);
});
