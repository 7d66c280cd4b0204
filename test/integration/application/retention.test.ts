// What is kept for how long: months of events, and entries of the audit log.

import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { migrateUp } from '../../support/crm.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let app: pg.Client;

beforeAll(async () => {
  databases = await createDatabases('retention');
  owner = await connect(databases.targetUrl, 'test');
  await migrateUp(owner, () => undefined);
  await setStage(owner, null, 4);
  app = await connect(databases.targetUrl, 'app');
  await app.query(`SET ROLE crosswalk_app; SET crosswalk.tenant_id = 'a'`);
});
/** Each test works in a transaction of its own, in a time of its own. */
beforeEach(() => owner.query('BEGIN'));
afterEach(() => owner.query('ROLLBACK'));
afterAll(async () => {
  await owner?.end();
  await app?.end();
  await databases?.drop();
});
const keep = async (asOf: string, times = `'1 year', '2 years'`) =>
  (
    await owner.query<{ archived: string; made: string; dropped: string }>(
      `SELECT * FROM crm.keep_retention(${times}, '${asOf}')`,
    )
  ).rows[0]!;
const partitionOf = async (at: string) =>
  (
    await owner.query<{ name: string }>(
      `SELECT tableoid::regclass::text AS name FROM crm.analytics_events WHERE occurred_at = '${at}'`,
    )
  ).rows.map(({ name }) => name);
const addEvent = (client: pg.ClientBase, at: string, tenant = 'a') =>
  client.query(
    `INSERT INTO crm.analytics_events (tenant_id, occurred_at, event_type) VALUES ('${tenant}', '${at}', 'x')`,
  );

describe('months of events', () => {
  it('of now and the next ones are there from the beginning, and no event is refused', async () => {
    await addEvent(app, 'now');
    await addEvent(app, '1999-01-01');
    await addEvent(app, '2999-01-01');
    const { rows: places } = await owner.query<{ place: string; n: string }>(
      `SELECT CASE WHEN tableoid = 'crm.analytics_events_other'::regclass THEN 'other' ELSE 'month' END AS place, count(*) AS n FROM crm.analytics_events GROUP BY 1 ORDER BY 1`,
    );
    expect(places).toEqual([
      { place: 'month', n: '1' },
      { place: 'other', n: '2' },
    ]);
    await owner.query('DELETE FROM crm.analytics_events; COMMIT; BEGIN');
  });

  it('are made ahead, with the events that came before them, and dropped when they are old', async () => {
    await addEvent(owner, '2050-01-31 23:59:59.999999+00');
    await addEvent(owner, '2050-02-01 00:00:00+00');
    expect(await partitionOf('2050-01-31 23:59:59.999999+00')).toEqual(['crm.analytics_events_other']);
    expect(await keep('2050-01-15 12:00:00+00')).toMatchObject({
      made: '{analytics_events_2050_01,analytics_events_2050_02,analytics_events_2050_03,analytics_events_2050_04}',
    });
    expect(await partitionOf('2050-01-31 23:59:59.999999+00')).toEqual(['crm.analytics_events_2050_01']);
    expect(await partitionOf('2050-02-01 00:00:00+00')).toEqual(['crm.analytics_events_2050_02']);
    expect(await keep('2050-01-15 12:00:00+00')).toMatchObject({ made: '{}', dropped: '{}' });
    // A month goes once all of it is older than that.
    expect((await keep('2052-01-31 23:59:00+00')).dropped).toBe('{}');
    await addEvent(owner, '2049-12-01');
    expect((await keep('2052-02-01 00:00:00+00')).dropped).toBe('{analytics_events_2050_01}');
    const { rows } = await owner.query(`SELECT occurred_at::text AS at FROM crm.analytics_events`);
    expect(rows).toEqual([{ at: '2050-02-01 00:00:00+00' }]);
  });

  it('keep tenants apart, new ones too', async () => {
    await keep('2050-01-15');
    await addEvent(owner, '2050-01-15', 'b');
    await owner.query(`SET LOCAL ROLE crosswalk_app; SET LOCAL crosswalk.tenant_id = 'a'`);
    expect((await owner.query('SELECT FROM crm.analytics_events')).rowCount).toBe(0);
    await owner.query('SAVEPOINT direct');
    await expect(owner.query('SELECT FROM crm.analytics_events_2050_01')).rejects.toMatchObject({ code: '42501' });
    await owner.query('ROLLBACK TO direct; RESET ROLE');
  });
});

describe('the audit log', () => {
  const addEntry = (changedAt: string, id = randomUUID(), tenant = 'a') =>
    owner.query(
      `INSERT INTO crm.lead_audit_log (id, tenant_id, lead_id, action, field_name, old_value, new_value, changed_at, origin, legacy_table, legacy_key, source_lsn, source_xid, source_committed_at, mapping_version)
       VALUES ('${id}', '${tenant}', '${id}', 'changed', 'status', 'new', 'won', '${changedAt}', 'cdc', 'contacts', '1', '0/1', 1, now(), '1')`,
    );
  const ids = async (table: string) =>
    (await owner.query<{ id: string }>(`SELECT id FROM crm.${table} ORDER BY changed_at`)).rows.map(({ id }) => id);

  it('loses what is older than a year to the archive, whole, and nothing else', async () => {
    const [old, young] = [randomUUID(), randomUUID()];
    await addEntry('2049-01-14 23:59:59+00', old);
    await addEntry('2049-01-15 00:00:00+00', young);
    const { rows: before } = await owner.query(
      `SELECT to_jsonb(l)::text AS entry FROM crm.lead_audit_log l WHERE id = '${old}'`,
    );
    expect(await keep('2050-01-15 00:00:00+00')).toMatchObject({ archived: '1' });
    expect([await ids('lead_audit_log'), await ids('lead_audit_archive')]).toEqual([[young], [old]]);
    expect((await owner.query(`SELECT entry::text FROM crm.lead_audit_archive`)).rows).toEqual(before);
    expect(await keep('2050-01-15 00:00:00+00')).toMatchObject({ archived: '0' });
  });

  it('gets back from a replay what it had lost, and loses it again, once', async () => {
    const id = randomUUID();
    for (let time = 0; time < 2; time++) {
      await addEntry('2000-01-01', id);
      await keep('2050-01-15');
      expect([await ids('lead_audit_log'), await ids('lead_audit_archive')]).toEqual([[], [id]]);
    }
  });

  it('is archived for its own tenant, who changes nothing there', async () => {
    await addEntry('2000-01-01', randomUUID(), 'a');
    await addEntry('2000-01-01', randomUUID(), 'b');
    await keep('2050-01-15');
    await owner.query(`SET LOCAL ROLE crosswalk_app; SET LOCAL crosswalk.tenant_id = 'a'`);
    expect((await owner.query('SELECT FROM crm.lead_audit_archive')).rowCount).toBe(1);
    await owner.query('SAVEPOINT direct');
    for (const sql of ['DELETE FROM crm.lead_audit_archive', 'SELECT crm.keep_retention()']) {
      await expect(owner.query(sql)).rejects.toMatchObject({ code: '42501' });
      await owner.query('ROLLBACK TO direct');
    }
    await owner.query('RESET ROLE');
  });
});

it.each([`'0', '1 year'`, `'-1 day', '1 year'`, `'1 year', NULL`])(
  'a retention time is longer than nothing: %s',
  async (times) => {
    await expect(keep('2050-01-15', times)).rejects.toMatchObject({ code: '22023' });
  },
);
