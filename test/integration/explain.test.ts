// Explanations of rows, on the whole pipeline, held against what the test itself did to the legacy database.

import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import kafkajs from 'kafkajs';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toLegacyLines, toRowLines } from '../../cli/explain-text.ts';
import { contacts } from '../../pipelines/crm/projections/contacts.ts';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { createTenants } from '../../pipelines/crm/tenants.ts';
import type { ExplainContext, ExplainOptions } from '../../projectors/explain/context.ts';
import { explainLegacy } from '../../projectors/explain/explain-legacy.ts';
import { explainRow } from '../../projectors/explain/explain-row.ts';
import type { Chain, LoggedEvent, MergedOrigin, RowExplanation } from '../../projectors/explain/explanation.ts';
import { runProjectors } from '../../projectors/project.ts';
import { createProjectionStatus } from '../../projectors/status.ts';
import { topicOf } from '../../runtime/config.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { createRegistry } from '../../schemas/avro/registry.ts';
import { type ConnectorRig, createConnectorRig } from '../support/connector.ts';
import { allProjections, crm } from '../support/crm.ts';
import { type LogRecord, readLog } from '../support/read-log.ts';
import { stackAddresses } from '../support/stack.ts';
import { openTarget } from '../support/target-database.ts';
import { waitUntil } from '../support/wait-until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tenants = createTenants({});
const id = (last: number) => `e0000000-0000-4000-8000-${String(last).padStart(12, '0')}`;
const COMPANY = id(999);
const [READ, MOVED, MOVED_TO, DELETED, OPTED_OUT, BEHIND] = [id(1), id(2), id(3), id(4), id(5), id(6)];
const [FIRST, SECOND, THIRD, REJECTED, TWICE, QUICK] = [id(11), id(12), id(13), id(14), id(15), id(16)];

let rig: ConnectorRig;
let target: pg.Client;
let context: ExplainContext;
let readerUrl: string;
const stopping = new AbortController();
const projectorsStop = new AbortController();
const log = createLog('silent');
let projecting: Promise<void> | undefined;

/** One transaction of the test, as PostgreSQL knows it: the change's LSN lies between `from` and `to`, its commit between the times. */
interface Committed {
  readonly xid: string;
  readonly from: bigint;
  readonly to: bigint;
  readonly since: string;
  readonly until: string;
}

const toBigint = (lsn: string) => {
  const [high, low] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
};

async function commit(...statements: readonly (readonly [string, ...unknown[]])[]): Promise<Committed> {
  const { legacy } = rig;
  await legacy.query('BEGIN');
  for (const [text, ...values] of statements) await legacy.query(text, values);
  const before =
    'SELECT pg_current_xact_id()::text AS xid, pg_current_wal_insert_lsn()::text AS lsn, clock_timestamp()::text AS now';
  const { xid, lsn: from, now: since } = (await legacy.query(before)).rows[0];
  await legacy.query('COMMIT');
  const { lsn: to, now: until } = (
    await legacy.query('SELECT pg_current_wal_insert_lsn()::text AS lsn, clock_timestamp()::text AS now')
  ).rows[0];
  return { xid, from: toBigint(from), to: toBigint(to), since, until };
}

/** What an explanation must say of a change that the test has committed. */
function expectCommitted(
  event: LoggedEvent,
  made: Committed,
  op: LoggedEvent['op'],
  columns?: readonly string[],
): void {
  expect(event).toMatchObject({ op, xid: made.xid, progress: 'applied', repair: null, unseen: [] });
  expect(toBigint(event.lsn)).toBeGreaterThanOrEqual(made.from);
  expect(toBigint(event.lsn)).toBeLessThan(made.to);
  const at = Date.parse(event.committedAt.replace('+00', 'Z'));
  expect(at).toBeGreaterThanOrEqual(Date.parse(made.since.replace('+00', 'Z')) - 1);
  expect(at).toBeLessThanOrEqual(Date.parse(made.until.replace('+00', 'Z')) + 1);
  if (columns !== undefined)
    expect(event.changed.map(({ column }) => column).toSorted()).toEqual([...columns].toSorted());
}

/** Waits until everything committed by now is applied by every projection. */
async function settle(): Promise<void> {
  await rig.untilCaughtUp();
  const { offsets } = (await rig.readPosition())!;
  await waitUntil('everything is applied', async () => {
    const { rows } = await target.query<{ topic: string; partition: string; next: string; parked: string }>(
      'SELECT topic, partition, next_offset AS next, (SELECT count(*) FROM crosswalk.parked_change) AS parked FROM crosswalk.consumer_offset',
    );
    const isThere = (row: (typeof rows)[number]) =>
      BigInt(row.next) >= BigInt(offsets[row.topic]![Number(row.partition)]!);
    return (
      rows.length >= allProjections.length * rig.config.partitions &&
      rows.every((row) => row.parked === '0' && isThere(row))
    );
  });
}

const plain: ExplainOptions = { unmask: false, full: false, sinceMs: null, limit: 200 };
const row = (table: string, of: string, options: Partial<ExplainOptions> = {}) =>
  explainRow(context, { table, id: of }, { ...plain, ...options });
const legacyRow = (table: string, key: string | readonly string[], options: Partial<ExplainOptions> = {}) =>
  explainLegacy(context, { table, key: typeof key === 'string' ? [key] : key }, { ...plain, ...options });
const readLogOf = (table: string) => readLog(stackAddresses(), [topicOf(rig.config, table)]);
const columnOf = (found: RowExplanation, name: string) => found.columns.find(({ column }) => column === name)!;
const originOf = (found: RowExplanation, name: string) => columnOf(found, name).origin as MergedOrigin;
const effectsOf = (event: LoggedEvent) => event.effects.map(({ what, kind }) => `${what} ${kind}`);

/** The chain stands in the log as it says: each event is the record at its offset, and the key has no other. */
function expectInLog(chain: Chain, records: readonly LogRecord[]): void {
  const own = records.filter(({ key, value }) => value !== null && Object.values(JSON.parse(key)).join() === chain.key);
  expect(chain.events.map(({ op, topic, partition, offset }) => `${op} ${topic}/${partition}@${offset}`)).toEqual(
    own.map(({ value, topic, partition, offset }) => `${value!.op} ${topic}/${partition}@${offset}`),
  );
  expect(new Set(own.map(({ partition }) => partition))).toEqual(new Set([chain.partition]));
}

function cli(args: readonly string[], env: Record<string, string> = {}) {
  // Nothing of the legacy database is needed, nor a right to write.
  const { LEGACY_DATABASE_URL: _, ...own } = rig.env;
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      ['cli/main.ts', 'explain', ...args],
      {
        cwd: root,
        env: {
          PATH: process.env.PATH,
          NODE_NO_WARNINGS: '1',
          CROSSWALK_ENV_FILE: '/nowhere/env',
          ...own,
          TARGET_DATABASE_URL: readerUrl,
          ...env,
        },
      },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const insertQuote = (of: string, name: string, updatedAt: string, phone = '(415) 555-2732'): [string, ...unknown[]] => [
  `INSERT INTO public.quotes (id, company_id, customer_name, phone, address, lead_status, total, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 'new', 12.50, $6, $6)`,
  ...[of, COMPANY, name, phone, `${name} Street 1`, updatedAt],
];

beforeAll(async () => {
  rig = await createConnectorRig('explain');
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'explain', contacts: 80, quotes: 80 });
  await commit([
    `INSERT INTO public.contacts (id, firstname, notes, phone_number) VALUES ($1, 'Loaded', 'before the load', '+12015550901')`,
    READ,
  ]);
  rig.run();
  await rig.untilCaughtUp();
  const statuses = new Map(allProjections.map(({ name }) => [name, createProjectionStatus(name)]));
  projecting = runProjectors(rig.config, allProjections, tenants, statuses, { log, signal: projectorsStop.signal });
  projecting.catch(() => undefined);

  const role = `reader_${rig.config.slot}`;
  await target.query(`CREATE ROLE ${role} LOGIN PASSWORD 'reader' IN ROLE crosswalk_reader`);
  const url = new URL(rig.env.TARGET_DATABASE_URL!);
  [url.username, url.password] = [role, 'reader'];
  readerUrl = url.href;
  const config = { ...rig.config, targetUrl: () => readerUrl };
  const registry = createRegistry({ baseUrl: rig.env.SCHEMA_REGISTRY_URL! });
  context = {
    ...{ config, kafka: createKafka(config.kafka(), log), registry, projections: allProjections, tenants },
    ...{ rejects: crm.rejects, otherSettings: crm.tenants.others ?? {} },
    ...{ signal: stopping.signal, onProgress: () => undefined },
  };
  await settle();
});
afterAll(async () => {
  stopping.abort();
  projectorsStop.abort();
  await projecting?.catch(() => undefined);
  await target
    ?.query(`DROP OWNED BY reader_${rig.config.slot}; DROP ROLE reader_${rig.config.slot}`)
    .catch(() => undefined);
  await target?.end();
  await rig?.drop();
});

describe('a row', () => {
  test('that was read by the initial load and then changed', async () => {
    const changed = await commit([
      `UPDATE public.contacts SET notes = 'after it', lead_status = 'won' WHERE id = $1`,
      READ,
    ]);
    await settle();
    const found = await row('contacts', READ);
    expect(found).toMatchObject({
      ...{ table: 'contacts', id: READ, problems: [], notes: [] },
      row: { state: 'live', legacyTable: 'contacts', legacyKey: READ, mappingVersion: contacts.version },
      projection: { name: 'contacts', version: contacts.version, role: 'owned' },
      // What changed is in the lead alone.
      writtenBy: { op: 'r', xid: '0' },
    });
    const [chain] = found.chains;
    expect(chain).toMatchObject({ table: 'contacts', key: READ, isWhole: true, count: 2, omitted: 0, from: '0' });
    expectInLog(chain!, await readLogOf('contacts'));
    expect(chain!.events[0]).toMatchObject({ op: 'r', effects: [{ what: 'contacts', kind: 'appears', rows: 1 }] });
    expectCommitted(chain!.events[1]!, changed, 'u', ['notes', 'lead_status']);
    expect(chain!.events[1]!.effects).toEqual([]);

    const { rows } = await target.query(`SELECT id FROM crm.leads WHERE contact_id = $1`, [READ]);
    const lead = await row('leads', rows[0].id, { unmask: true });
    expectCommitted(lead.writtenBy!, changed, 'u');
    expect(lead.writtenBy!.changed).toContainEqual({ column: 'notes', before: 'before the load', after: 'after it' });
    expect(lead.writtenBy!.effects).toMatchObject([
      { what: 'leads', kind: 'changes', columns: expect.arrayContaining(['notes', 'status']) },
    ]);
    expect(columnOf(lead, 'notes')).toMatchObject({
      value: 'after it',
      origin: { kind: 'copied', from: [{ column: 'notes' }] },
    });
    expect(columnOf(lead, 'status').origin).toMatchObject({ kind: 'copied', from: [{ column: 'lead_status' }] });
    expect(columnOf(lead, 'id').origin).toMatchObject({ kind: 'computed', from: [{ column: 'id' }] });
    expect(toRowLines(lead, { unmask: true, targetSchema: 'crm' }).join('\n')).toContain(
      'notes: "before the load" → "after it"',
    );
  });

  test('that was inserted, changed, whose key was changed; and one that was deleted', async () => {
    const inserted = await commit([`INSERT INTO public.contacts (id, firstname) VALUES ($1, 'Maria')`, MOVED]);
    const updated = await commit([`UPDATE public.contacts SET firstname = 'Marie', tags = '{a}' WHERE id = $1`, MOVED]);
    await settle();
    const moved = await commit(
      [`UPDATE public.contacts SET id = $2 WHERE id = $1`, MOVED, MOVED_TO],
      [`INSERT INTO public.contacts (id, firstname) VALUES ($1, 'Brief')`, DELETED],
    );
    await settle();
    // An insert right behind a delete is no change of a key.
    const deleted = await commit(
      [`DELETE FROM public.contacts WHERE id = $1`, DELETED],
      [`INSERT INTO public.contacts (id, firstname) VALUES ($1, 'Behind')`, BEHIND],
    );
    await settle();
    const found = await row('contacts', MOVED);
    expect(found).toMatchObject({ row: { state: 'soft-deleted' }, movedTo: MOVED_TO, problems: [] });
    expectCommitted(found.writtenBy!, moved, 'd');
    const { events } = found.chains[0]!;
    expect(events.map(effectsOf)).toEqual([['contacts appears'], ['contacts changes'], ['contacts disappears']]);
    expectCommitted(events[0]!, inserted, 'c', ['id', 'firstname', 'opted_out', 'created_at', 'updated_at']);
    expectCommitted(events[1]!, updated, 'u', ['firstname', 'tags']);
    expectInLog(found.chains[0]!, await readLogOf('contacts'));
    expect(columnOf(found, 'firstname').origin).toMatchObject({ kind: 'copied', from: [{ column: 'firstname' }] });

    const after = await row('contacts', MOVED_TO);
    expect(after).toMatchObject({ row: { state: 'live' }, problems: [] });
    expectCommitted(after.writtenBy!, moved, 'c');
    expect(await legacyRow('contacts', MOVED)).toMatchObject({ movedFrom: null, movedTo: MOVED_TO, problems: [] });
    expect(await legacyRow('contacts', MOVED_TO)).toMatchObject({ movedFrom: MOVED, movedTo: null, problems: [] });

    const gone = await row('contacts', DELETED);
    expect(gone).toMatchObject({ row: { state: 'soft-deleted' }, movedTo: null, problems: [] });
    expectCommitted(gone.writtenBy!, deleted, 'd');
    expect(await legacyRow('contacts', DELETED)).toMatchObject({ movedFrom: null, movedTo: null, problems: [] });
    expect(await legacyRow('contacts', BEHIND)).toMatchObject({ movedFrom: null, movedTo: null, problems: [] });
  });

  test('that is merged, split, and loses its last contributor', async () => {
    const first = await commit(insertQuote(FIRST, 'Ann Greatest', '2024-03-03 00:00:00+00'));
    const second = await commit(insertQuote(SECOND, 'Ann Second', '2024-03-01 00:00:00+00'));
    await commit([`UPDATE public.quotes SET email = 'ann@second.example' WHERE id = $1`, SECOND]);
    await settle();
    const { rows } = await target.query(`SELECT customer_id FROM crm.leads WHERE id = $1`, [FIRST]);
    const customer = rows[0].customer_id as string;
    const merged = await row('customers', customer);
    expect(merged).toMatchObject({ projection: { role: 'merged' }, problems: [], contributorCount: 2 });
    expect(merged.contributors).toMatchObject([
      { legacyTable: 'quotes', legacyKey: FIRST, live: true, isGreatest: true, movedTo: null },
      { legacyTable: 'quotes', legacyKey: SECOND, live: true, isGreatest: false },
    ]);
    expect(merged.contributors[0]!.gives).toEqual(expect.arrayContaining(['name', 'updated_at', 'phone_raw']));
    expect(merged.contributors[1]!.gives).toEqual(expect.arrayContaining(['email', 'created_at']));
    const from = (name: string) =>
      originOf(merged, name).contributors.map(({ legacyKey, column, legacy }) => [
        legacyKey,
        column,
        legacy?.kind,
        legacy?.from.map((source) => source.column),
      ]);
    expect(from('name')).toEqual([[FIRST, 'name', 'copied', ['customer_name']]]);
    expect(from('phone_raw')).toEqual([[FIRST, 'phone', 'copied', ['phone']]]);
    // The lineage names the second one, whose change is the last: its events are told too.
    expect(from('email')).toEqual([[SECOND, 'email', 'copied', ['email']]]);
    expect(from('customer_key')).toEqual([[FIRST, 'customer_key', 'computed', ['phone']]]);
    expect(originOf(merged, 'id').kind).toBe('key');
    expect(merged.chains.map(({ key, count }) => [key, count]).toSorted()).toEqual([
      [FIRST, 1],
      [SECOND, 2],
    ]);
    expect(merged.writtenBy).toMatchObject({
      op: 'u',
      legacyKey: SECOND,
      effects: [{ what: 'contribution to customers', kind: 'changes', columns: ['email'] }],
    });

    const addresses = await target.query<{ id: string; address: string }>(
      `SELECT id, address FROM crm.customer_addresses WHERE customer_id = $1 ORDER BY address`,
      [customer],
    );
    expect(addresses.rows.map(({ address }) => address)).toEqual(['Ann Greatest Street 1', 'Ann Second Street 1']);
    const address = await row('customer_addresses', addresses.rows[1]!.id);
    expect(address).toMatchObject({ problems: [], contributorCount: 2 });
    expect(originOf(address, 'address').contributors).toMatchObject([{ legacyKey: SECOND, column: 'address' }]);
    expectCommitted(address.chains.find(({ key }) => key === SECOND)!.events[0]!, second, 'c');

    const split = await commit([`UPDATE public.quotes SET phone = '415-555-2799' WHERE id = $1`, FIRST]);
    await settle();
    const rest = await row('customers', customer, { full: true });
    expect(rest).toMatchObject({ row: { state: 'live' }, problems: [] });
    expect(rest.contributors).toMatchObject([
      { legacyKey: SECOND, live: true, isGreatest: true },
      { legacyKey: FIRST, live: false, isGreatest: false, gives: [], movedTo: { state: 'live' } },
    ]);
    expectCommitted(rest.chains.find(({ key }) => key === FIRST)!.events.at(-1)!, split, 'u', ['phone']);
    expectCommitted(rest.chains.find(({ key }) => key === FIRST)!.events[0]!, first, 'c');
    const movedTo = rest.contributors[1]!.movedTo!.mergeKey;
    expect(await row('customers', movedTo)).toMatchObject({ problems: [], contributors: [{ legacyKey: FIRST }] });

    const deleted = await commit([`DELETE FROM public.quotes WHERE id = $1`, SECOND]);
    await settle();
    const gone = await row('customers', customer);
    expect(gone).toMatchObject({ row: { state: 'soft-deleted' }, problems: [] });
    expectCommitted(gone.writtenBy!, deleted, 'd');
    expect(
      gone.contributors.map(({ legacyKey, live, movedTo: to }) => [legacyKey, live, to?.mergeKey ?? null]),
    ).toEqual(
      expect.arrayContaining([
        [SECOND, false, null],
        [FIRST, false, movedTo],
      ]),
    );

    const became = await legacyRow('quotes', FIRST);
    expect(became.problems).toEqual([]);
    expect(became.rows.map(({ table, id: of, state }) => [table, of, state])).toEqual(
      expect.arrayContaining([
        ['leads', FIRST, 'live'],
        ['quotes_new', FIRST, 'live'],
      ]),
    );
    expect(became.contributions.map(({ mergeKey, live, movedTo: to }) => [mergeKey, live, to])).toEqual(
      expect.arrayContaining([
        [movedTo, true, null],
        [customer, false, movedTo],
      ]),
    );
    expect(became.contributions.find(({ live }) => live)!.rows.map(({ table }) => table)).toEqual([
      'customers',
      'customer_addresses',
    ]);
    expectInLog(became.chain!, await readLogOf('quotes'));
    expect(became.chain!.events.map(effectsOf)[1]).toEqual(
      expect.arrayContaining([
        'leads changes',
        'contribution to customers disappears',
        'contribution to customers appears',
      ]),
    );
  });

  test('of the do-not-call list, after the number was changed', async () => {
    const optedOut = await commit([
      `INSERT INTO public.contacts (id, phone_number, opted_out, opted_out_at) VALUES ($1, '+12015550777', true, now())`,
      OPTED_OUT,
    ]);
    await settle();
    const changed = await commit([`UPDATE public.contacts SET phone_number = '+12015550778' WHERE id = $1`, OPTED_OUT]);
    await settle();
    const { rows } = await target.query<{ id: string; identity: string }>(
      `SELECT id, identity FROM crm.dnc_list WHERE identity LIKE '+1201555077_' ORDER BY identity`,
    );
    const [old, current] = rows;
    const before = await row('dnc_list', old!.id);
    expect(before).toMatchObject({
      row: { state: 'live' },
      problems: [],
      contributors: [{ legacyKey: OPTED_OUT, live: false, movedTo: { mergeKey: current!.id, state: 'live' } }],
    });
    expect(originOf(before, 'identity').contributors).toMatchObject([{ legacyKey: OPTED_OUT, column: 'identity' }]);
    const { events } = before.chains[0]!;
    expectCommitted(events[0]!, optedOut, 'c');
    expectCommitted(events[1]!, changed, 'u', ['phone_number']);
    expect(events.map(effectsOf)).toEqual([
      ['contribution to dnc_list appears'],
      ['contribution to dnc_list disappears'],
    ]);
    const became = await legacyRow('contacts', OPTED_OUT);
    expect(
      became.contributions.flatMap(({ rows: resting }) => resting.map(({ id: of, state }) => [of, state])).toSorted(),
    ).toEqual(
      [
        [old!.id, 'live'],
        [current!.id, 'live'],
      ].toSorted(),
    );
  });

  test('of a history: the change that added it', async () => {
    const { rows } = await target.query<{ id: string }>(
      `SELECT h.id FROM crm.lead_status_history h WHERE h.legacy_key = $1 AND to_status = 'won'`,
      [READ],
    );
    const found = await row('lead_status_history', rows[0]!.id, { unmask: true });
    expect(found).toMatchObject({
      projection: { role: 'history', name: 'contact_history' },
      problems: [],
      writtenBy: { op: 'u' },
    });
    expect(columnOf(found, 'to_status')).toMatchObject({
      value: 'won',
      origin: { kind: 'copied', from: [{ column: 'after.lead_status' }] },
    });
    expect((await legacyRow('contacts', READ)).rows).toContainEqual(
      expect.objectContaining({ table: 'lead_status_history', id: rows[0]!.id }),
    );
  });
});

test('rows of a history that several changes of one transaction added: each has its own change', async () => {
  const made = await commit(
    [`INSERT INTO public.contacts (id, firstname, lead_status) VALUES ($1, 'Quick', 'new')`, QUICK],
    [`UPDATE public.contacts SET lead_status = 'won' WHERE id = $1`, QUICK],
    [`UPDATE public.contacts SET lead_status = 'lost' WHERE id = $1`, QUICK],
  );
  await settle();
  const { rows } = await target.query<{ table: string; id: string; op: 'c' | 'u' }>(
    `SELECT 'lead_audit_log' AS table, id, CASE action WHEN 'created' THEN 'c' ELSE 'u' END AS op FROM crm.lead_audit_log WHERE legacy_key = $1
     UNION ALL SELECT 'lead_status_history', id, CASE WHEN from_status IS NULL THEN 'c' ELSE 'u' END FROM crm.lead_status_history WHERE legacy_key = $1`,
    [QUICK],
  );
  expect(rows.map(({ table, op }) => `${table} ${op}`).toSorted()).toEqual([
    ...['lead_audit_log c', 'lead_audit_log u', 'lead_audit_log u'],
    ...['lead_status_history c', 'lead_status_history u', 'lead_status_history u'],
  ]);
  for (const { table, id: of, op } of rows) {
    const found = await row(table, of);
    expect(found).toMatchObject({ problems: [], writtenBy: { op, xid: made.xid } });
  }
}, 60_000);

describe('a legacy row', () => {
  test('with rejects, and keys of every kind', async () => {
    await commit([
      `INSERT INTO public.quotes (id, company_id, total, items) VALUES ($1, $2, 'NaN', '[{"name": "pipe", "quantity": "many"}]')`,
      REJECTED,
      COMPANY,
    ]);
    const { rows: campaigns } = await rig.legacy.query(`SELECT id FROM public.campaigns ORDER BY id LIMIT 1`);
    const subscribed = await commit([
      `INSERT INTO public.campaign_subscribers (campaign_id, contact_id, status) VALUES ($1, $2, 'in')`,
      campaigns[0].id,
      READ,
    ]);
    await settle();
    const found = await legacyRow('quotes', REJECTED);
    expect(found.problems).toEqual([]);
    expect(found.rejects.map(({ path, reason }) => [path, reason]).toSorted()).toEqual([
      ['items[1].quantity', 'not a number'],
      ['total', 'not a finite number'],
    ]);
    expect((await legacyRow('quotes', REJECTED, { limit: 1 })).notes).toContainEqual(
      expect.stringContaining('--limit shows more'),
    );
    const item = found.rows.find(({ table }) => table === 'quote_items_new')!;
    const explained = await row('quote_items_new', item.id);
    expect(columnOf(explained, 'name').origin).toMatchObject({
      kind: 'copied',
      from: [{ column: 'items', path: [0, 'name'] }],
    });
    expect(explained.existence).toEqual(['items']);

    for (const key of [[campaigns[0].id, READ], [JSON.stringify([campaigns[0].id, READ])]]) {
      const pair = await legacyRow('campaign_subscribers', key);
      expect(pair).toMatchObject({
        key: JSON.stringify([campaigns[0].id, READ]),
        rows: [],
        contributions: [expect.objectContaining({ aggregate: 'campaign_subscribers' })],
        problems: [],
        notes: [],
      });
      expectCommitted(pair.chain!.events[0]!, subscribed, 'c');
    }
    const unread = { ...context, projections: context.projections.filter(({ source }) => source !== 'status_options') };
    expect(await explainLegacy(unread, { table: 'status_options', key: ['1'] }, plain)).toMatchObject({
      rows: [],
      notes: [expect.stringContaining('No projection reads')],
    });
    const option = await legacyRow('status_options', '1');
    expect(option).toMatchObject({
      key: '1',
      problems: [],
      rows: [{ table: 'status_options', id: '1', state: 'live' }],
    });
    expect((await legacyRow('public.contacts', READ.toUpperCase())).key).toBe(READ);
    await expect(legacyRow('status_options', 'one')).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(legacyRow('campaign_subscribers', 'one')).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('2 columns'),
    });
    await expect(legacyRow('nothing', 'one')).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test('with a version that is too large for the log', async () => {
    // Hardly compressible, so that the topic's limit refuses it.
    await commit([
      `UPDATE public.contacts SET notes = (SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 480000)) WHERE id = $1`,
      MOVED_TO,
    ]);
    await settle();
    const found = await legacyRow('contacts', MOVED_TO);
    expect(found.held).toMatchObject([
      {
        kind: 'too large for the log',
        topic: topicOf(rig.config, 'contacts'),
        reason: expect.stringMatching(/^\d{8} bytes/),
      },
    ]);
    expect(found.chain!.count).toBe(1);
    const fits = await commit([`UPDATE public.contacts SET notes = 'small again' WHERE id = $1`, MOVED_TO]);
    await settle();
    const after = await legacyRow('contacts', MOVED_TO);
    expect(after.held).toEqual([]);
    // Its old row is left out of the log too: what it changed is told from the event before.
    expectCommitted(after.chain!.events[1]!, fits, 'u', ['notes']);
  });

  test('with changes that failed', async () => {
    await commit(insertQuote(THIRD, 'Third', '2024-04-01 00:00:00+00', '212-555-2700'));
    await commit([`UPDATE public.quotes SET total = 20 WHERE id = $1`, THIRD]);
    await commit([`UPDATE public.quotes SET total = 30 WHERE id = $1`, THIRD]);
    await settle();
    const [, second, third] = (await legacyRow('quotes', THIRD)).chain!.events;
    const values = (event: LoggedEvent) => [event.topic, event.partition, event.offset, THIRD, event.lsn];
    // As if these two had not been applied.
    await target.query(`UPDATE crm.quotes_new SET total = 12.50, source_lsn = $2::pg_lsn WHERE id = $1`, [
      THIRD,
      '0/1',
    ]);
    await target.query(
      `INSERT INTO crosswalk.dead_letter (projection, legacy_table, mapping_version, topic, partition, record_offset, legacy_key, source_lsn, reason, record_key) VALUES ('quotes', 'quotes', '1', $1, $2, $3, $4, $5, '22003 numeric', '')`,
      values(second!),
    );
    await target.query(
      `INSERT INTO crosswalk.dead_letter (projection, legacy_table, mapping_version, topic, partition, record_offset, legacy_key, source_lsn, reason, record_key) VALUES ('quotes', 'quotes', '1', $1, $2, $3, $4, $5, '23503 fk', '')`,
      values(third!),
    );
    const found = await legacyRow('quotes', THIRD);
    expect(found.held.map(({ kind, projection, offset, reason }) => [kind, projection, offset, reason])).toEqual([
      ['dead letter', 'quotes', second!.offset, '22003 numeric'],
      ['dead letter', 'quotes', third!.offset, '23503 fk'],
    ]);
    expect(found.chain!.events.map(({ progress }) => progress)).toEqual(['applied', 'failed', 'failed']);
    expect(toLegacyLines(found, { ...plain, targetSchema: 'crm' }).join('\n')).toContain(
      `quotes:${second!.topic}/${second!.partition}@${second!.offset}`,
    );
    const progressOfResolved = async (resolution: string) => {
      await target.query(
        `UPDATE crosswalk.dead_letter SET resolved_at = now(), resolution = $2 WHERE legacy_key = $1 AND record_offset = $3`,
        [THIRD, resolution, third!.offset],
      );
      return (await legacyRow('quotes', THIRD)).chain!.events.at(-1)!.progress;
    };
    for (const resolution of ['the change was applied', 'redriven by ann', 'rebuilt by all'])
      expect(await progressOfResolved(resolution)).toBe('applied');
    for (const resolution of ['a later version was applied', 'discarded by ann: rebuilt by hand'])
      expect(await progressOfResolved(resolution)).toBe('failed');
    const stale = await row('quotes_new', THIRD);
    expect(stale.problems).toEqual([
      expect.stringMatching(/^Its lineage does not match the log: .*none of the 3 events/),
    ]);
    // What is not applied is not what the row is compared with.
    expect(columnOf(stale, 'total').origin).toMatchObject({ kind: 'copied', from: [{ column: 'total' }] });
    await target.query(`DELETE FROM crosswalk.dead_letter WHERE legacy_key = $1`, [THIRD]);
    await target.query(`UPDATE crm.quotes_new SET total = 30.00, source_lsn = $2::pg_lsn WHERE id = $1`, [
      THIRD,
      third!.lsn,
    ]);
  });
});

describe('what does not fit', () => {
  test('is said plainly: a tampered cell, a lineage of another change, of another row, past the log', async () => {
    const { rows } = await target.query(`SELECT * FROM crm.contacts WHERE id = $1`, [READ]);
    const restore = (column: string) =>
      target.query(`UPDATE crm.contacts SET ${column} = $2 WHERE id = $1`, [READ, rows[0][column]]);
    const problemsWith = async (column: string, value: string) => {
      await target.query(`UPDATE crm.contacts SET ${column} = $2 WHERE id = $1`, [READ, value]);
      const { problems } = await row('contacts', READ);
      await restore(column);
      return problems;
    };
    expect(await problemsWith('firstname', 'Mallory')).toEqual([
      expect.stringMatching(/^Cells are other ones .*: firstname\.$/),
    ]);
    expect(await problemsWith('source_lsn', '0/42')).toEqual([
      expect.stringContaining('none of the 2 events of that row has this LSN'),
    ]);
    expect(await problemsWith('source_xid', '7')).toEqual([expect.stringContaining('xid 7, where the log has 0')]);
    expect(await problemsWith('source_lsn', 'FFFFFFFF/0')).toEqual([expect.stringContaining('and the log ends at')]);
    expect(await problemsWith('legacy_key', id(404))).toEqual([
      expect.stringContaining('the log holds no event of that row'),
    ]);
    expect(await problemsWith('legacy_key', '')).toEqual([
      expect.stringContaining('the log holds no event of that row'),
    ]);
    expect(await problemsWith('legacy_table', 'orders')).toEqual([
      expect.stringContaining('No projection of this tree writes crm.contacts from legacy orders'),
    ]);
    expect(await problemsWith('deleted_at', '2024-01-01 00:00:00+00')).toEqual([
      expect.stringContaining('It is soft-deleted, and the last applied change'),
    ]);
    expect((await row('contacts', READ)).problems).toEqual([]);

    await target.query(`UPDATE crm.contacts SET mapping_version = '0' WHERE id = $1`, [READ]);
    expect(await row('contacts', READ)).toMatchObject({
      problems: [],
      notes: [expect.stringContaining(`mapping version 0 of contacts; the origins are of version ${contacts.version}`)],
    });
    await restore('mapping_version');

    const {
      rows: [customer],
    } = await target.query(
      `SELECT customer_id AS id, c.name FROM crm.leads l JOIN crm.customers c ON c.id = l.customer_id WHERE l.id = $1`,
      [FIRST],
    );
    await target.query(`UPDATE crm.customers SET name = 'Mallory' WHERE id = $1`, [customer.id]);
    expect((await row('customers', customer.id)).problems).toEqual([
      expect.stringMatching(/contributions fold to: name\.$/),
    ]);
    await target.query(`UPDATE crm.customers SET name = $2 WHERE id = $1`, [customer.id, customer.name]);
    await target.query(
      `UPDATE crosswalk.contribution SET data = jsonb_set(data, '{name}', '"Mallory"') WHERE merge_key = $1`,
      [customer.id],
    );
    expect((await row('customers', customer.id)).problems).toEqual([
      expect.stringMatching(/fold to: name\.$/),
      expect.stringMatching(/contributes is other than its last applied change implies: name\.$/),
    ]);
    await target.query(
      `UPDATE crosswalk.contribution SET data = jsonb_set(data, '{name}', to_jsonb($2::text)) WHERE merge_key = $1`,
      [customer.id, customer.name],
    );
    expect((await row('customers', customer.id)).problems).toEqual([]);
  });

  test('rows of the application, rows that are not there, tables that are none', async () => {
    await target.query(`INSERT INTO crm.leads (id, tenant_id, contact_id) VALUES ($1, 'unassigned', $2)`, [
      id(900),
      READ,
    ]);
    const own = await row('leads', id(900));
    expect(own).toMatchObject({
      row: { origin: 'app' },
      problems: [],
      chains: [],
      notes: [expect.stringContaining('new application')],
    });
    const missing = await row('leads', id(901));
    expect(missing).toMatchObject({ row: null, problems: [expect.stringContaining('crosswalk explain --legacy')] });
    expect((await row('payments', READ)).problems[0]).toContain(
      `crm.contacts has one of this id: crosswalk explain contacts ${READ}`,
    );
    await expect(row('leads', 'x')).rejects.toMatchObject({
      code: 'config_invalid',
      remedy: expect.stringContaining('uuid'),
    });
    await expect(row('users', '1')).rejects.toMatchObject({
      code: 'config_invalid',
      remedy: expect.stringContaining('contacts'),
    });
    expect(await legacyRow('contacts', id(902))).toMatchObject({
      chain: null,
      rows: [],
      problems: [expect.stringContaining('Nothing is known')],
    });
  });

  test('a schema that the registry does not have is an error', async () => {
    const upstream = rig.env.SCHEMA_REGISTRY_URL!;
    const proxy = createServer(async ({ url = '' }, answer) => {
      const response = url.includes('/schemas/ids/') ? null : await fetch(new URL(upstream).origin + url);
      answer
        .writeHead(response?.status ?? 404, { 'content-type': 'application/json' })
        .end((await response?.text()) ?? '{}');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    try {
      const address = upstream.replace(new URL(upstream).host, `127.0.0.1:${(proxy.address() as AddressInfo).port}`);
      const { code, stderr } = await cli(['contacts', READ], { SCHEMA_REGISTRY_URL: address });
      expect(code).toBe(2);
      expect(stderr).toMatch(/^crosswalk explain: schema registry: the schema registry has no schema \d+/);
    } finally {
      proxy.close();
    }
  });
});

test('--since reads what came later', async () => {
  const { rows } = await rig.legacy.query(`SELECT clock_timestamp()::text AS now`);
  const sinceMs = Date.parse(rows[0].now.replace('+00', 'Z')) + 1;
  await waitUntil(
    'a millisecond has passed',
    async () =>
      Date.parse((await rig.legacy.query(`SELECT clock_timestamp()::text AS now`)).rows[0].now.replace('+00', 'Z')) >
      sinceMs + 1,
  );
  const none = await row('contacts', MOVED_TO, { sinceMs });
  expect(none).toMatchObject({
    problems: [],
    writtenBy: null,
    chains: [{ count: 0, isWhole: false }],
    notes: [expect.stringContaining('Without --since')],
  });
  const later = await commit([`UPDATE public.contacts SET lastname = 'Later' WHERE id = $1`, MOVED_TO]);
  await settle();
  const some = await row('contacts', MOVED_TO, { sinceMs });
  expect(some).toMatchObject({ problems: [], chains: [{ count: 1, isWhole: false }] });
  expectCommitted(some.writtenBy!, later, 'u', ['lastname']);
  expect(some.chains[0]!.events.map(effectsOf)).toEqual([['contacts changes']]);
  expect((await row('contacts', MOVED_TO)).chains[0]!.count).toBe(3);
});

test('a key is found under every version of its schema, and a record of a repair is told as one', async () => {
  await commit([`INSERT INTO public.contacts (id, firstname) VALUES ($1, 'Twice')`, TWICE]);
  await settle();
  const topic = topicOf(rig.config, 'contacts');
  const registry = createRegistry({ baseUrl: rig.env.SCHEMA_REGISTRY_URL! });
  const [schema] = await registry.versionsOf(`${topic}-key`);
  const version = await registry.register(`${topic}-key`, { ...JSON.parse(schema!), doc: 'another version' });
  registry.close();
  const [event] = (await legacyRow('contacts', TWICE)).chain!.events;
  // The same record again, its key under the other version, and with the header of a repair.
  const client = new kafkajs.Kafka({ brokers: rig.env.KAFKA_BROKERS!.split(','), logLevel: kafkajs.logLevel.NOTHING });
  let original: { key: Buffer; value: Buffer } | null = null;
  const at = BigInt(event!.offset);
  await context.kafka.readRanges(topic, new Map([[event!.partition, { from: at, to: at + 1n }]]), {
    signal: stopping.signal,
    onBatch: ({ records }) => {
      original = { key: Buffer.from(records[0]!.key!), value: Buffer.from(records[0]!.value!) };
      return true;
    },
  });
  const { key, value } = original as unknown as { key: Buffer; value: Buffer };
  expect(key.readUInt32BE(1)).not.toBe(version);
  key.writeUInt32BE(version, 1);
  const producer = client.producer();
  await producer.connect();
  await producer.send({
    topic,
    messages: [{ partition: event!.partition, key, value, headers: { 'crosswalk.repair': '{}' } }],
  });
  await producer.disconnect();
  // The connector's next position covers it.
  await commit([`UPDATE public.contacts SET lastname = 'Again' WHERE id = $1`, TWICE]);
  await settle();
  const { chain, problems } = await legacyRow('contacts', TWICE);
  expect(problems).toEqual([]);
  expect(chain!.events.map(({ op, repair }) => [op, repair])).toEqual([
    ['c', null],
    ['c', {}],
    ['u', null],
  ]);
  expectInLog(chain!, await readLogOf('contacts'));
  expect(toLegacyLines(await legacyRow('contacts', TWICE), { ...plain, targetSchema: 'crm' }).join('\n')).toContain(
    'insert (repair)',
  );
});

test('the command: masked unless asked otherwise, JSON, exit codes', async () => {
  const { rows } = await rig.legacy.query(`SELECT to_jsonb(c) AS row FROM public.contacts c WHERE id = $1`, [READ]);
  const cells = Object.values(JSON.parse(rows[0].row) as Record<string, unknown>);
  const values = cells.filter((cell) => typeof cell === 'string' && cell.length > 3 && cell !== READ) as string[];
  expect(values).toContain('after it');
  const leadOf = `SELECT id FROM crm.leads WHERE contact_id = $1 AND origin = 'cdc'`;
  const lead = (await target.query<{ id: string }>(leadOf, [READ])).rows[0]!.id;
  const { rows: entries } = await target.query<{ id: string }>(`SELECT id FROM crm.dnc_list WHERE legacy_key = $1`, [
    OPTED_OUT,
  ]);
  const told = [await row('leads', lead), await row('contacts', READ), await row('dnc_list', entries[0]!.id)];
  const became = [await legacyRow('contacts', READ), await legacyRow('contacts', OPTED_OUT)];
  const texts = [
    ...told.flatMap((found) => [JSON.stringify(found), ...toRowLines(found, { ...plain, targetSchema: 'crm' })]),
    ...became.flatMap((found) => [JSON.stringify(found), ...toLegacyLines(found, { ...plain, targetSchema: 'crm' })]),
  ];
  for (const cell of [...values, '+12015550777', '+12015550778'])
    expect(texts.filter((text) => text.includes(cell))).toEqual([]);

  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await cli(args);
    return { code, stdout, last: (stdout + stderr).trim().split('\n').at(-1) };
  };
  const masked = await run('leads', lead);
  expect(masked).toMatchObject({ code: 0, stdout: expect.stringContaining(`legacy row  contacts ${READ}`) });
  for (const cell of values) expect(masked.stdout).not.toContain(cell);
  const shown = await run('leads', lead, '--unmask', '--json', '--since', '2001-01-01');
  expect(JSON.parse(shown.stdout)).toMatchObject({ kind: 'row', problems: [], chains: [{ count: 2 }] });
  expect(JSON.parse(shown.stdout).columns).toContainEqual(
    expect.objectContaining({ column: 'notes', value: 'after it' }),
  );
  const document = JSON.parse((await run('--legacy', 'contacts', READ, '--json')).stdout);
  expect(document).toMatchObject({ kind: 'legacy', table: 'contacts', key: READ, problems: [], chain: { count: 2 } });
  expect(await run('leads', id(901))).toMatchObject({
    code: 1,
    last: expect.stringMatching(/^PROBLEM: crm.leads has no row/),
  });
  expect(await run('nothing', id(901))).toMatchObject({
    code: 2,
    last: expect.stringContaining('No projection writes a table'),
  });
  expect(await run('leads', lead, '--since', 'yesterday')).toMatchObject({
    code: 2,
    last: expect.stringContaining('--since is no time'),
  });
  await target.query(`UPDATE crm.leads SET source_lsn = '0/42' WHERE id = $1`, [lead]);
  expect(await run('leads', lead)).toMatchObject({
    code: 1,
    last: expect.stringMatching(/^PROBLEM: Its lineage does not match/),
  });

  const reader = await connect(readerUrl, 'test');
  await expect(reader.query('DELETE FROM crm.leads')).rejects.toMatchObject({ code: '42501' });
  await reader.end();
}, 300_000);

test('changes that wait: parked ones, and those that no projector has come to', async () => {
  projectorsStop.abort();
  await projecting;
  const before = await legacyRow('quotes', THIRD);
  expect(before.problems).toEqual([]);
  await commit([`UPDATE public.quotes SET total = 40 WHERE id = $1`, THIRD]);
  await rig.untilCaughtUp();
  const waiting = await legacyRow('quotes', THIRD);
  expect(waiting.problems).toEqual([]);
  expect(waiting.chain!.events.map(({ progress }) => progress)).toEqual([
    ...before.chain!.events.map(() => 'applied'),
    'not applied yet',
  ]);
  const { topic, partition, offset, lsn } = waiting.chain!.events.at(-1)!;
  await target.query(
    `INSERT INTO crosswalk.parked_change (projection, topic, partition, record_offset, legacy_key, source_lsn, record_key, reason) VALUES ('quotes', $1, $2, $3, $4, $5, '', '23503 fk')`,
    [topic, partition, offset, THIRD, lsn],
  );
  const parked = await legacyRow('quotes', THIRD);
  expect(parked.held).toMatchObject([{ kind: 'parked', projection: 'quotes', partition, offset, reason: '23503 fk' }]);
  expect(parked.chain!.events.at(-1)!.progress).toBe('parked');
  expect(toLegacyLines(parked, { ...plain, targetSchema: 'crm' }).join('\n')).toContain('PARKED');
  // What waits is not what the row is held against.
  expect(await row('quotes_new', THIRD)).toMatchObject({ problems: [], chains: [{ count: before.chain!.count + 1 }] });
});
