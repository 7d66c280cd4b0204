// The log of stages: what an entry does to open sessions, which entry counts, and who may do what to it.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { createProjectorPool, readMigrations } from '../../support/crm.ts';
import { contactRow, createScriptedLog } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { openTarget, PROJECTED_TABLES } from '../../support/target-database.ts';

const CONTACT = 'b0000000-0000-4000-8000-000000000001';
const ROLES = ['crosswalk_app', 'crosswalk_reader', 'crosswalk_projector', 'crosswalk_operator'] as const;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let pool: pg.Pool;
const logins = new Map<string, pg.Client>();
const suffix = randomBytes(4).toString('hex');

beforeAll(async () => {
  databases = await createDatabases('stage_log');
  owner = await openTarget(databases.targetUrl);
  pool = createProjectorPool(databases.targetUrl, 'projector', 2);
  for (const role of ROLES) {
    const login = `${role}_${suffix}`;
    await owner.query(`CREATE ROLE ${login} LOGIN PASSWORD '${suffix}' IN ROLE ${role}`);
    const url = new URL(databases.targetUrl);
    url.username = login;
    url.password = suffix;
    logins.set(role, await connect(url.href, 'test'));
  }
});
afterAll(async () => {
  for (const client of logins.values()) await client.end();
  await pool?.end();
  await owner?.end();
  await databases?.drop();
  const admin = await connect(new URL('/postgres', databases.targetUrl).href, 'test');
  for (const role of ROLES) await admin.query(`DROP ROLE IF EXISTS ${role}_${suffix}`);
  await admin.end();
});

const stageOf = async (tenant: string | null) =>
  Number(
    (await owner.query<{ stage: string }>('SELECT crosswalk.current_stage($1) AS stage', [tenant])).rows[0]!.stage,
  );

describe('the stage of a tenant', () => {
  it('is 0 until somebody sets one, and then that of the newest entry for it or for all', async () => {
    expect([await stageOf('a'), await stageOf(null)]).toEqual([0, 0]);
    await setStage(owner, 'a', 2);
    expect([await stageOf('a'), await stageOf('b'), await stageOf(null)]).toEqual([2, 0, 0]);
    await setStage(owner, null, 1);
    expect([await stageOf('a'), await stageOf('b'), await stageOf(null)]).toEqual([1, 1, 1]);
    await setStage(owner, 'a', 4);
    await setStage(owner, 'a', 3);
    expect([await stageOf('a'), await stageOf('b')]).toEqual([3, 1]);
    await setStage(owner, null, 0);
    expect([await stageOf('a'), await stageOf('b')]).toEqual([0, 0]);
    const { rows } = await owner.query<{ change: string }>(
      `SELECT number || ': ' || coalesce(tenant_id, 'all') || ' ' || previous || '>' || stage AS change FROM crosswalk.stage_log l ORDER BY l.number`,
    );
    expect(rows.map(({ change }) => change)).toEqual(['1: a 0>2', '2: all 0>1', '3: a 1>4', '4: a 4>3', '5: all 1>0']);
  });

  it('is in effect from the next statement of an open session on, also within its transaction and for prepared statements', async () => {
    const log = await createScriptedLog(pool);
    await log.deliver('contacts', 0, contactRow(CONTACT, { workspace_id: 'a' }));
    const app = logins.get('crosswalk_app')!;
    await app.query(`SET crosswalk.tenant_id = 'a'`);
    const count = async () => (await app.query({ name: 'leads', text: 'SELECT FROM crm.leads' })).rowCount;
    // More often than PostgreSQL plans it anew.
    for (let n = 0; n < 7; n++) expect(await count()).toBe(0);
    await app.query('BEGIN');
    try {
      expect(await count()).toBe(0);
      await setStage(owner, 'a', 1);
      expect(await count()).toBe(1);
      await setStage(owner, null, 0);
      expect(await count()).toBe(0);
      await setStage(owner, 'a', 2);
      expect(await count()).toBe(1);
    } finally {
      await app.query('COMMIT');
    }
  });

  it('is one for a whole statement, however long it runs', async () => {
    await setStage(owner, 'a', 1);
    const app = logins.get('crosswalk_app')!;
    // The statement lowers nothing itself: its cursor is opened before, and read after.
    await app.query(`BEGIN; DECLARE held CURSOR FOR SELECT id FROM crm.leads`);
    await setStage(owner, 'a', 0);
    expect((await app.query('FETCH ALL FROM held')).rowCount).toBe(1);
    expect((await app.query('SELECT FROM crm.leads')).rowCount).toBe(0);
    await app.query('COMMIT');
  });
});

describe('entries', () => {
  const tables = ['stage_log', 'gate', 'confirmation'];
  const attempts = tables.flatMap((table) => [
    `UPDATE crosswalk.${table} SET tenant_id = 'x'`,
    `DELETE FROM crosswalk.${table}`,
    `TRUNCATE crosswalk.${table} CASCADE`,
  ]);

  it.each(ROLES)('are neither changed nor removed by %s', async (role) => {
    for (const sql of attempts)
      await expect(logins.get(role)!.query(sql), sql).rejects.toMatchObject({ code: '42501' });
    await expect(logins.get(role)!.query('ALTER TABLE crosswalk.stage_log DISABLE TRIGGER ALL')).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('are not changed by the owner by mistake either, also where triggers are switched off for a session', async () => {
    const before = (await owner.query('SELECT * FROM crosswalk.stage_log ORDER BY number')).rows;
    for (const setting of ['origin', 'replica']) {
      await owner.query(`SET session_replication_role = ${setting}`);
      for (const sql of attempts) await expect(owner.query(sql), sql).rejects.toMatchObject({ code: '55000' });
    }
    await owner.query('RESET session_replication_role');
    expect((await owner.query('SELECT * FROM crosswalk.stage_log ORDER BY number')).rows).toEqual(before);
  });

  it('are added by the operator alone, who says neither when nor as whom', async () => {
    const add = `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by) VALUES ('z', 0, 'x')`;
    for (const role of ['crosswalk_app', 'crosswalk_reader', 'crosswalk_projector'])
      await expect(logins.get(role)!.query(add), role).rejects.toMatchObject({ code: '42501' });
    const operator = logins.get('crosswalk_operator')!;
    await operator.query(add);
    const { rows } = await owner.query(
      `SELECT role, at > now() - interval '1 minute' AS is_now, previous FROM crosswalk.stage_log WHERE tenant_id = 'z'`,
    );
    expect(rows).toEqual([{ role: `crosswalk_operator_${suffix}`, is_now: 't', previous: '0' }]);
    for (const sql of [
      `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, at) VALUES ('z', 0, 'x', '2020-01-01')`,
      `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, number) VALUES ('z', 0, 'x', 0)`,
      `INSERT INTO crosswalk.gate (tenant_id, verdict, evidence, evaluated_by, at) VALUES ('z', 'go', '{}', 'x', '2020-01-01')`,
      `INSERT INTO crosswalk.confirmation (kind, confirmed_by, note, valid_until, role) VALUES ('backup', 'x', 'x', now(), 'y')`,
      'SELECT FROM crm.customers',
      'SELECT raw_value FROM crm.rejects',
      'DELETE FROM crosswalk.dead_letter',
    ])
      await expect(operator.query(sql), sql).rejects.toMatchObject({ code: '42501' });
  });

  it('raise nothing without a passed gate of the same tenant and the last hour, or a reason', async () => {
    const operator = logins.get('crosswalk_operator')!;
    const gateOf = async (tenant: string | null, verdict: string, hoursAgo = 0) => {
      const { rows } = await owner.query<{ id: string }>(
        `INSERT INTO crosswalk.gate (tenant_id, verdict, evidence, evaluated_by, at) VALUES ($1, $2, '{}', 'test', now() - make_interval(hours => $3)) RETURNING id`,
        [tenant, verdict, hoursAgo],
      );
      return rows[0]!.id;
    };
    const set = (
      tenant: string | null,
      stage: number,
      gate: string | null,
      forced = false,
      reason: string | null = null,
    ) =>
      operator.query(
        'INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, gate_id, forced, reason) VALUES ($1, $2, $3, $4, $5, $6)',
        [tenant, stage, 'ann', gate, forced, reason],
      );
    const isRefused = { code: '23514', constraint: 'stage_log_gate_check' };
    await setStage(owner, null, 0);
    await expect(set('g', 1, null)).rejects.toMatchObject(isRefused);
    await expect(set('g', 1, await gateOf('g', 'no-go'))).rejects.toMatchObject(isRefused);
    await expect(set('g', 1, await gateOf('other', 'go'))).rejects.toMatchObject(isRefused);
    await expect(set('g', 1, await gateOf(null, 'go'))).rejects.toMatchObject(isRefused);
    await expect(set('g', 1, await gateOf('g', 'go', 2))).rejects.toMatchObject(isRefused);
    await expect(set('g', 1, null, true)).rejects.toMatchObject({
      code: '23514',
      constraint: 'stage_log_forced_check',
    });
    await expect(set('g', 1, null, true, ' ')).rejects.toMatchObject({
      code: '23514',
      constraint: 'stage_log_forced_check',
    });
    expect(await stageOf('g')).toBe(0);
    await set('g', 2, await gateOf('g', 'go'));
    await set('g', 4, null, true, 'because');
    await set('g', 1, null);
    // All of them: somebody would see more, though not everybody.
    await expect(set(null, 1, await gateOf('g', 'go'))).rejects.toMatchObject(isRefused);
    await set(null, 1, await gateOf(null, 'go'));
    await set('g', 0, null);
    await expect(set(null, 1, null)).rejects.toMatchObject(isRefused);
    await set(null, 0, null);
    expect(await stageOf('g')).toBe(0);
  });

  it('have the order in which they took effect, however many are added at once', async () => {
    const sessions = await Promise.all(Array.from({ length: 4 }, () => connect(databases.targetUrl, 'test')));
    try {
      await Promise.all(
        sessions.map(async (session, n) => {
          for (let round = 0; round < 10; round++) await setStage(session, `t${n}`, round % 5);
        }),
      );
      const { rows } = await owner.query<Record<'tenant_id' | 'stage' | 'previous' | 'number', string>>(
        `SELECT * FROM crosswalk.stage_log l WHERE tenant_id ~ '^t[0-9]$' ORDER BY l.number`,
      );
      expect(rows).toHaveLength(40);
      for (const [n] of sessions.entries()) {
        const own = rows.filter(({ tenant_id }) => tenant_id === `t${n}`);
        expect(own.map(({ previous }) => previous)).toEqual(['0', ...own.slice(0, -1).map(({ stage }) => stage)]);
      }
      const { rows: gaps } = await owner.query('SELECT max(number) - count(*) AS gaps FROM crosswalk.stage_log');
      expect(gaps).toEqual([{ gaps: '0' }]);
    } finally {
      for (const session of sessions) await session.end();
    }
  });
});

describe('a replay', () => {
  it('from nothing, as docs/operations.md says it, leaves every entry as it is, and its stages count for the rows that come back', async () => {
    await setStage(owner, 'a', 1);
    const before = (await owner.query('SELECT * FROM crosswalk.stage_log ORDER BY number')).rows;
    const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    await owner.query(/^Emptying it[^\0]*?```sql\n([^\0]*?)```/m.exec(page)![1]!);
    for (const table of [
      ...PROJECTED_TABLES.map((name) => `crm.${name}`),
      'crosswalk.consumer_offset',
      'crosswalk.contribution',
    ])
      expect([table, (await owner.query(`SELECT FROM ${table}`)).rowCount]).toEqual([table, 0]);
    expect((await owner.query('SELECT FROM crm.chatbots')).rowCount).toBe(2);
    const log = await createScriptedLog(pool);
    await log.deliver('workspaces', 0, { id: 'a', name: 'A', settings: '{"migration_stage": 4, "stage": 4}' });
    await log.deliver('contacts', 0, contactRow(CONTACT, { workspace_id: 'a' }));
    expect((await owner.query('SELECT * FROM crosswalk.stage_log ORDER BY number')).rows).toEqual(before);
    expect((await logins.get('crosswalk_app')!.query('SELECT FROM crm.leads')).rowCount).toBe(1);
  });

  it('goes with its migration once nobody sees the new schema any more', async () => {
    const undo = readMigrations()
      .filter(
        ({ schema, number, down }) => !/CONCURRENTLY/.test(down) && (schema === 'crm' ? number >= 8 : number === 5),
      )
      .toSorted((a, b) => b.number - a.number);
    expect(undo.map(({ name }) => name)).toContain('stages');
    const undoAll = async () => {
      await owner.query('BEGIN');
      try {
        for (const { down } of undo.toSorted((a, b) => (a.schema === b.schema ? 0 : a.schema === 'crm' ? -1 : 1)))
          await owner.query(down);
        return (await owner.query<{ left: string | null }>(`SELECT to_regclass('crosswalk.stage_log')::text AS left`))
          .rows[0]!.left;
      } finally {
        await owner.query('ROLLBACK');
      }
    };
    await setStage(owner, 'a', 1);
    await expect(undoAll()).rejects.toThrow('workspaces still see the new schema');
    await setStage(owner, 'a', 0);
    await setStage(owner, null, 0);
    expect(await undoAll()).toBeNull();
  });
});
