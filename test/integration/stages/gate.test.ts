// A gate before the pipeline runs, on a healthy one, and with each thing that it looks at gone wrong for real.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import type { StoredGate } from '../../../monitor/stages/gate.ts';
import type { CliProcess } from '../../support/connector-process.ts';
import { createGateRig, type GateRig, writePastSamples, writeVerified } from '../../support/gate-rig.ts';
import { untilSlotIsFree } from '../../support/slot.ts';
import { waitUntil } from '../../support/wait-until.ts';

const OURS = 'ws-ours';
const OTHER = 'ws-other';
/** A busy machine may lag for a while. */
const PATIENT = ['--max-lag-seconds', '600'];
const LINES = [
  'tenant',
  'replication slot',
  'connector',
  'initial load',
  'lag now',
  'lag, last hour',
  'verification',
  'dead letters',
  'parked changes',
  'rejects',
  'backup',
  'way back',
  'team',
  'monitoring',
];

let rig: GateRig;
let connector: CliProcess;

const addContact = async (
  tenant: string,
  rest: { name?: string; lead_status_id?: number; lead_score?: number } = {},
) => {
  const id = randomUUID();
  const { name = 'N', lead_status_id = null, lead_score = null } = rest;
  await rig.legacy.query(
    'INSERT INTO contacts (id, workspace_id, name, lead_status_id, lead_score) VALUES ($1, $2, $3, $4, $5)',
    [id, tenant, name, lead_status_id, lead_score],
  );
  return id;
};
const confirm = (tenant: string, what: string, ...rest: string[]) =>
  rig.run(['gate', 'confirm', tenant, what, '--by', 'ann', '--note', 'tried on Tuesday', ...rest]);
const wait = async () =>
  expect((await rig.run(['wait', '--timeout', '60'], { TARGET_DATABASE_URL: rig.env.TARGET_DATABASE_URL! })).code).toBe(
    0,
  );
/** A verification of everything, by the command. */
async function verify(code: number): Promise<void> {
  const ended = await rig.run(['verify', '--json'], { TARGET_DATABASE_URL: rig.env.TARGET_DATABASE_URL! });
  expect(`${ended.code} ${ended.stderr}`).toBe(`${code} `);
}

/** Throws with the lines that stay no-go. */
async function untilGo(tenant: string): Promise<void> {
  let missing: string[] = [];
  const isGo = async () => {
    const { gate } = await rig.gate(tenant);
    missing = gate.lines.filter(({ state }) => state === 'no-go').map(({ name, what }) => `${name}: ${what}`);
    return missing.length === 0;
  };
  await waitUntil('it is go', isGo, 90_000, 500).catch((error: Error) => {
    throw new Error(`${error.message}; ${missing.join('; ')}`);
  });
}

beforeAll(async () => {
  rig = await createGateRig('gate');
  for (const tenant of [OURS, OTHER]) {
    await rig.legacy.query('INSERT INTO workspaces (id, name) VALUES ($1, $1)', [tenant]);
    await addContact(tenant, { lead_score: 120 });
  }
  await rig.legacy.query(`INSERT INTO quotes (company_id, status, total) VALUES (gen_random_uuid(), 'draft', 5)`);
});
afterAll(async () => {
  await rig?.drop();
});

describe('before anything runs', () => {
  it('it is no-go, with the next step on every line that says so', async () => {
    const { code, stdout } = await rig.run(['gate', OURS, '--json', ...PATIENT]);
    const gate = JSON.parse(stdout) as StoredGate;
    expect(code).toBe(1);
    expect(gate.verdict).toBe('no-go');
    expect(gate.lines.map(({ name }) => name)).toEqual(LINES);
    const states = Object.fromEntries(gate.lines.map(({ name, state }) => [name, state]));
    expect(states).toEqual({
      ...Object.fromEntries(LINES.map((name) => [name, 'no-go'])),
      'dead letters': 'go',
      'parked changes': 'go',
      rejects: 'shown',
    });
    for (const { state, next } of gate.lines) expect(next === null).toBe(state !== 'no-go');
  });
});

describe('a pipeline that runs', () => {
  beforeAll(async () => {
    connector = rig.start(['connect']);
    rig.start(['project']);
    await wait();
    await writePastSamples(rig.owner);
    await verify(0);
    for (const what of ['backup', 'rollback', 'team', 'monitoring']) expect((await confirm('all', what)).code).toBe(0);
  });

  it.each([OURS, OTHER, 'all'])('is go for %s, and the evidence is stored', async (tenant) => {
    await untilGo(tenant);
    const { code, stdout } = await rig.run(['gate', tenant, '--json', ...PATIENT]);
    const gate = JSON.parse(stdout) as StoredGate;
    expect(gate.lines.filter(({ state }) => state !== 'go').map(({ name }) => name)).toEqual(['rejects']);
    expect(code).toBe(0);
    const { rows } = await rig.owner.query<Record<string, string>>(
      `SELECT tenant_id, verdict, evidence -> 'lines' AS lines, evidence -> 'limits' AS limits, evaluated_by = role AS by_login, at > now() - interval '1 minute' AS now FROM crosswalk.gate WHERE id = $1`,
      [gate.id],
    );
    const { lines, limits, ...rest } = rows[0]!;
    expect(rest).toEqual({ tenant_id: tenant === 'all' ? null : tenant, verdict: 'go', by_login: 't', now: 't' });
    expect(JSON.parse(lines!)).toEqual(gate.lines);
    expect(JSON.parse(limits!)).toEqual({ maxLagSeconds: 600, verifiedWithinSeconds: 86_400 });
  });

  it('counts rejects of the tenant and lets them pass', async () => {
    expect((await rig.gate(OURS)).line('rejects')).toMatchObject({
      state: 'shown',
      what: expect.stringMatching(/^1 /),
    });
    expect((await rig.gate('all')).line('rejects')).toMatchObject({
      state: 'shown',
      what: expect.stringMatching(/^2 /),
    });
  });

  it('prints a checklist that people can read', async () => {
    const { code, stdout } = await rig.run(['gate', OURS, ...PATIENT]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^go +tenant +ws-ours is known$/m);
    expect(stdout).toMatch(/^go +backup +confirmed by ann at .*: tried on Tuesday \(valid until /m);
    expect(stdout).toMatch(/^Gate \d+ for ws-ours: go$/m);
  });

  it('is no-go for a tenant that nobody knows', async () => {
    const { isGo, line } = await rig.gate('ws-typo');
    expect([isGo, line('tenant').state]).toEqual([false, 'no-go']);
  });

  it('needs no right to change anything', async () => {
    const { rows } = await rig.owner.query<{ rights: string | null }>(
      `SELECT string_agg(privilege_type || ' ' || table_name, ', ' ORDER BY 1) AS rights FROM information_schema.role_table_grants
       WHERE grantee = 'crosswalk_operator' AND privilege_type <> 'SELECT'`,
    );
    expect(rows).toEqual([{ rights: null }]);
  });
});

describe('no-go', () => {
  it('lag now, and in the hour after it: a projector is held up', async () => {
    await untilGo(OURS);
    // Beyond what a busy machine has brought about before.
    const { rows } = await rig.owner.query<{ worst: string }>(
      'SELECT ceil(max(lag_seconds)) AS worst FROM crosswalk.lag_sample',
    );
    const limit = { maxLagSeconds: Number(rows[0]!.worst) + 5 };
    const isBehind = (name: string) => async () => (await rig.gate(OURS, limit)).line(name).state === 'no-go';
    await rig.owner.query(`BEGIN; SELECT FROM crosswalk.consumer_offset WHERE projection = 'contacts' FOR UPDATE`);
    try {
      await rig.legacy.query('UPDATE contacts SET updated_at = now()');
      await waitUntil('the gate sees lag', isBehind('lag now'), 90_000, 500);
      // The sample is one that the projector itself takes.
      await waitUntil('lag is sampled', isBehind('lag, last hour'), 90_000, 500);
    } finally {
      await rig.owner.query('ROLLBACK');
    }
    await wait();
    await waitUntil('lag is gone', async () => !(await isBehind('lag now')()), 90_000, 500);
    const { isGo, gate, line } = await rig.gate(OURS, limit);
    expect(isGo).toBe(false);
    expect(gate.lines.filter(({ state }) => state === 'no-go').map(({ name }) => name)).toEqual(['lag, last hour']);
    expect(line('lag, last hour').what).toMatch(/^worst [\d.]+ s, contacts at /);
  }, 400_000);

  it('lag unknown: samples are missing', async () => {
    const { rowCount } = await rig.owner.query(
      `DELETE FROM crosswalk.lag_sample WHERE projection = 'quotes' AND at BETWEEN now() - interval '30 minutes' AND now() - interval '28 minutes'`,
    );
    expect(rowCount).toBeGreaterThan(6);
    const { isGo, line } = await rig.gate(OURS);
    expect([isGo, line('lag, last hour').state]).toEqual([false, 'no-go']);
    expect(line('lag, last hour').what).toMatch(/^not known: no sample of quotes for 1[23]\d s from /);
    await writePastSamples(rig.owner);
    await untilGo(OURS);
  });

  it('verification: differences, rows that never settled, and one that is too old; each for its own tenant', async () => {
    const corrupt = (phone: string | null) =>
      rig.owner.query('UPDATE crm.leads SET phone_raw = $1 WHERE tenant_id = $2', [phone, OURS]);
    await corrupt('tampered');
    await verify(1);
    const found = { state: 'no-go', what: 'differences: leads 1' };
    expect((await rig.gate(OURS)).line('verification')).toMatchObject(found);
    expect((await rig.gate('all')).line('verification')).toMatchObject(found);
    expect((await rig.gate(OTHER)).isGo).toBe(true);
    await corrupt(null);
    await verify(0);
    expect((await rig.gate(OURS)).isGo).toBe(true);
    await rig.owner.query(
      `UPDATE crosswalk.verified SET differences = 0, unsettled = 1 WHERE table_name = 'leads' AND tenant_id = $1`,
      [OURS],
    );
    expect((await rig.gate(OURS)).line('verification')).toMatchObject({
      state: 'no-go',
      what: 'differences: leads 0 and 1 unsettled',
    });
    await writeVerified(rig.owner, [OURS, OTHER], { minutesAgo: 10 });
    expect((await rig.gate(OURS)).isGo).toBe(true);
    const old = await rig.gate(OURS, { verifiedWithinSeconds: 540 });
    expect([old.isGo, old.line('verification').state]).toEqual([false, 'no-go']);
    await rig.owner.query(`DELETE FROM crosswalk.verified WHERE table_name = 'payments'`);
    expect((await rig.gate(OURS)).line('verification')).toMatchObject({
      state: 'no-go',
      what: 'never verified: payments',
    });
    await writeVerified(rig.owner, [OURS, OTHER]);
    await rig.owner.query(`WITH run AS (INSERT INTO crosswalk.verification_run (id, kind, through, mapping, progress) VALUES (gen_random_uuid(), 'once', now(), 'contacts@0', '{}') RETURNING id)
      UPDATE crosswalk.verified SET run_id = run.id FROM run WHERE table_name = 'contacts'`);
    expect((await rig.gate(OURS)).line('verification')).toMatchObject({
      state: 'no-go',
      what: expect.stringContaining('against another mapping than workspaces@'),
    });
    // Against which mapping nobody can tell.
    await writeVerified(rig.owner, [OURS, OTHER]);
    expect((await rig.gate(OURS)).isGo).toBe(true);
    await rig.owner.query('UPDATE crosswalk.verified SET run_id = gen_random_uuid()');
    expect((await rig.gate(OURS)).line('verification').state).toBe('no-go');
    // A tenant that has come since.
    await writeVerified(rig.owner, [OTHER]);
    expect((await rig.gate(OURS)).line('verification')).toMatchObject({
      state: 'no-go',
      what: `no row of ${OURS} was verified yet`,
    });
    await writeVerified(rig.owner, [OURS, OTHER]);
  });

  it('dead letters, of their own tenant; of every one where nobody can tell', async () => {
    await rig.owner.query(`CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '22023'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON crm.contacts FOR EACH ROW WHEN (NEW.name = 'poison') EXECUTE FUNCTION public.refuse()`);
    const id = await addContact(OURS, { name: 'poison' });
    await waitUntil(
      'there is a dead letter',
      async () => (await rig.owner.query('SELECT FROM crosswalk.dead_letter WHERE resolved_at IS NULL')).rowCount === 1,
    );
    const ours = await rig.gate(OURS);
    expect([ours.isGo, ours.line('dead letters')]).toMatchObject([false, { state: 'no-go', what: '1 open' }]);
    expect((await rig.gate('all')).line('dead letters').state).toBe('no-go');
    expect((await rig.gate(OTHER)).isGo).toBe(true);
    const unread = await rig.gate(OTHER, {}, { SCHEMA_REGISTRY_URL: `http://127.0.0.1:${await findFreePort()}` });
    expect([unread.isGo, unread.line('dead letters').what]).toEqual([
      false,
      '0 open, 1 open of which nobody can tell the tenant',
    ]);
    await rig.owner.query('DROP TRIGGER refuse ON crm.contacts');
    await rig.legacy.query(`UPDATE contacts SET name = 'fine' WHERE id = $1`, [id]);
    await untilGo(OURS);
  }, 180_000);

  it('parked changes, of their own tenant', async () => {
    await rig.owner.query(
      `BEGIN; SELECT FROM crosswalk.consumer_offset WHERE projection = 'status_options' FOR UPDATE`,
    );
    try {
      await rig.legacy.query(`INSERT INTO status_options (id, workspace_id, name) VALUES (77, $1, 'Late')`, [OURS]);
      await addContact(OURS, { lead_status_id: 77 });
      await waitUntil('it is parked', async () => (await rig.gate(OURS)).line('parked changes').state === 'no-go');
      expect((await rig.gate(OURS)).line('parked changes')).toMatchObject({ state: 'no-go', what: '1' });
      expect((await rig.gate(OTHER)).line('parked changes').state).toBe('go');
    } finally {
      await rig.owner.query('ROLLBACK');
    }
    await untilGo(OURS);
  }, 180_000);

  it('confirmations: none, one of another tenant, an expired one', async () => {
    await rig.owner.query(
      'ALTER TABLE crosswalk.confirmation DISABLE TRIGGER refuse_change; DELETE FROM crosswalk.confirmation; ALTER TABLE crosswalk.confirmation ENABLE ALWAYS TRIGGER refuse_change',
    );
    const states = async (tenant: string) => {
      const { line } = await rig.gate(tenant);
      return ['backup', 'way back', 'team', 'monitoring'].map((name) => line(name).state);
    };
    expect(await states(OURS)).toEqual(['no-go', 'no-go', 'no-go', 'no-go']);
    expect((await rig.gate(OURS)).line('team').next).toContain(`gate confirm ${OURS} team --by`);
    await confirm(OURS, 'backup');
    await confirm(OURS, 'rollback');
    expect(await states(OURS)).toEqual(['go', 'go', 'no-go', 'no-go']);
    await confirm(OURS, 'team');
    await confirm(OURS, 'monitoring');
    expect(await states(OURS)).toEqual(['go', 'go', 'go', 'go']);
    expect(await states(OTHER)).toEqual(['no-go', 'no-go', 'no-go', 'no-go']);
    expect(await states('all')).toEqual(['no-go', 'no-go', 'no-go', 'no-go']);
    await confirm('all', 'backup', '--valid-for', '1s');
    await waitUntil(
      'it expires',
      async () => (await rig.gate('all')).line('backup').what.startsWith('expired'),
      20_000,
      500,
    );
    expect(await states('all')).toEqual(['no-go', 'no-go', 'no-go', 'no-go']);
    expect(await states(OURS)).toEqual(['go', 'go', 'go', 'go']);
    for (const what of ['backup', 'rollback', 'team', 'monitoring']) await confirm('all', what);
    expect(await states('all')).toEqual(['go', 'go', 'go', 'go']);
    expect((await rig.run(['gate', 'confirm', OURS, 'backup', '--by', ' ', '--note', 'x'])).code).toBe(2);
    expect((await rig.run(['gate', 'confirm', OURS, 'nothing', '--by', 'x', '--note', 'x'])).code).toBe(2);
  });

  it('servers that do not answer: named on each line that needs them, and stored', async () => {
    const port = await findFreePort();
    const noKafka = await rig.gate(OURS, {}, { KAFKA_BROKERS: `127.0.0.1:${port}` });
    expect(noKafka.isGo).toBe(false);
    for (const name of ['replication slot', 'connector', 'initial load', 'lag now', 'dead letters'])
      expect(noKafka.line(name)).toMatchObject({ state: 'no-go', what: expect.stringContaining(`not known: Kafka`) });
    expect(noKafka.line('verification').state).toBe('go');
    const noLegacy = await rig.gate(OURS, {}, { LEGACY_DATABASE_URL: `postgres://127.0.0.1:${port}/app` });
    for (const name of ['replication slot', 'connector', 'lag now'])
      expect(noLegacy.line(name)).toMatchObject({
        state: 'no-go',
        what: expect.stringContaining(`127.0.0.1:${port}/app`),
      });
    const noTarget = await rig.run(['gate', OURS], { TARGET_DATABASE_URL: `postgres://127.0.0.1:${port}/crm` });
    expect([noTarget.code, noTarget.stdout]).toEqual([2, '']);
  }, 120_000);

  it('the connector: it is stopped', async () => {
    await rig.stop(connector);
    const stopped = await rig.gate(OURS);
    expect([stopped.isGo, stopped.line('connector').state]).toEqual([false, 'no-go']);
    expect(stopped.line('replication slot').state).toBe('go');
    connector = rig.start(['connect']);
    await untilGo(OURS);
  }, 120_000);

  it('the initial load: a table is read again', async () => {
    await rig.stop(connector);
    const { code, stderr } = await rig.run(['resnapshot', 'quotes']);
    expect(`${code} ${stderr}`).toBe('0 ');
    const { line } = await rig.gate(OURS);
    expect(line('initial load')).toMatchObject({ state: 'no-go', what: 'not done for quotes' });
    connector = rig.start(['connect']);
    await waitUntil(
      'it is loaded',
      async () => (await rig.gate(OURS)).line('initial load').state === 'go',
      60_000,
      500,
    );
  }, 120_000);

  it('the slot: something else has moved it, or it is gone', async () => {
    await rig.stop(connector);
    await rig.legacy.query(`INSERT INTO workspaces (id, name) VALUES ('later', 'Later')`);
    await untilSlotIsFree(rig.legacy, rig.config.slot);
    await rig.legacy.query(`SELECT pg_replication_slot_advance($1, pg_current_wal_flush_lsn())`, [rig.config.slot]);
    const moved = await rig.gate(OURS);
    expect(moved.line('replication slot')).toMatchObject({
      state: 'no-go',
      what: expect.stringContaining('was re-created, or read by something else'),
    });
    await rig.legacy.query('SELECT pg_drop_replication_slot($1)', [rig.config.slot]);
    const gone = await rig.gate(OURS);
    expect([gone.isGo, gone.line('replication slot')]).toMatchObject([
      false,
      { state: 'no-go', what: expect.stringContaining('does not exist') },
    ]);
  }, 120_000);
});
