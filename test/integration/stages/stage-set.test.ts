// Stages as people set them: refused, forced, raised behind a gate, and lowered whatever is down.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import type { GateLine } from '../../../monitor/stages/gate-lines.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createGateRig, type GateRig, writePastSamples, writeVerified } from '../../support/gate-rig.ts';
import { waitUntil } from '../../support/wait-until.ts';

const OURS = 'ws-ours';
const OTHER = 'ws-other';

let rig: GateRig;
let app: pg.Client;

const set = (tenant: string, stage: number, ...rest: string[]) =>
  rig.run(['stage', 'set', tenant, String(stage), '--by', 'ann', '--max-lag-seconds', '600', ...rest]);
const setJson = async (tenant: string, stage: number, ...rest: string[]) => {
  const { code, stdout } = await set(tenant, stage, '--json', ...rest);
  return {
    code,
    ...(JSON.parse(stdout) as {
      outcome: string;
      entry?: Record<string, unknown>;
      gate?: { id: string; lines: GateLine[] };
    }),
  };
};
const stageOf = async (tenant: string) =>
  Number(
    (await rig.owner.query<{ stage: string }>('SELECT crosswalk.current_stage($1) AS stage', [tenant])).rows[0]!.stage,
  );
const count = async (table: string) =>
  Number((await rig.owner.query<{ n: string }>(`SELECT count(*) AS n FROM crosswalk.${table}`)).rows[0]!.n);
const lastEntry = async () =>
  (
    await rig.owner.query<Record<string, string | null>>(
      'SELECT * FROM crosswalk.stage_log ORDER BY number DESC LIMIT 1',
    )
  ).rows[0]!;
const leadsSeen = async () => (await app.query('SELECT FROM crm.leads')).rowCount;

beforeAll(async () => {
  rig = await createGateRig('stage_set');
  for (const tenant of [OURS, OTHER]) {
    await rig.legacy.query('INSERT INTO workspaces (id, name) VALUES ($1, $1)', [tenant]);
    await rig.legacy.query('INSERT INTO contacts (workspace_id, name) VALUES ($1, $1)', [tenant]);
  }
  rig.start(['connect']);
  rig.start(['project']);
  const waited = await rig.run(['wait', '--timeout', '90'], { TARGET_DATABASE_URL: rig.env.TARGET_DATABASE_URL! });
  expect(`${waited.code} ${waited.stderr}`).toBe('0 ');
  await writePastSamples(rig.owner);
  await writeVerified(rig.owner, [OURS, OTHER]);
  app = await connect(rig.env.TARGET_DATABASE_URL!, 'app');
  await app.query(`SET ROLE crosswalk_app; SET crosswalk.tenant_id = '${OURS}'`);
});
afterAll(async () => {
  await app?.end();
  await rig?.drop();
});

describe('without a backup and a way back', () => {
  it('raising is refused: nothing changes, the gate is kept, and the answer names what is missing', async () => {
    const refused = await setJson(OURS, 1);
    expect(refused).toMatchObject({ code: 1, outcome: 'refused' });
    expect(refused.gate!.lines.filter(({ state }) => state === 'no-go').map(({ name }) => name)).toEqual([
      'backup',
      'way back',
      'team',
      'monitoring',
    ]);
    expect([await stageOf(OURS), await leadsSeen(), await count('stage_log')]).toEqual([0, 0, 0]);
    const { rows } = await rig.owner.query(
      'SELECT tenant_id, verdict, evaluated_by FROM crosswalk.gate WHERE id = $1',
      [refused.gate!.id],
    );
    expect(rows).toEqual([{ tenant_id: OURS, verdict: 'no-go', evaluated_by: 'ann' }]);
    const { code, stdout } = await set(OURS, 1);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^no-go +backup +not confirmed$/m);
    expect(stdout).toContain('Refused: the gate does not pass, so ws-ours stays as it is.');
  });

  it('is forced with a reason alone, and that is kept', async () => {
    expect(await set(OURS, 1, '--force')).toMatchObject({ code: 2, stdout: '' });
    expect(await set(OURS, 1, '--force', '--reason', ' ')).toMatchObject({ code: 2, stdout: '' });
    expect(await stageOf(OURS)).toBe(0);
    const { code, stdout } = await set(OURS, 1, '--force', '--reason', 'the backup is taken tonight');
    expect(code).toBe(0);
    expect(stdout).toContain('Set, forced: the gate did not pass.');
    const { evidence, ...entry } = await lastEntry();
    expect(entry).toMatchObject({
      tenant_id: OURS,
      stage: '1',
      previous: '0',
      set_by: 'ann',
      forced: 't',
      reason: 'the backup is taken tonight',
    });
    expect(entry.role).toMatch(/^operator_/);
    expect(JSON.parse(evidence!).verdict).toBe('no-go');
    const { rows } = await rig.owner.query('SELECT verdict FROM crosswalk.gate WHERE id = $1', [entry.gate_id]);
    expect(rows).toEqual([{ verdict: 'no-go' }]);
    expect(await leadsSeen()).toBe(1);
  });
});

describe('lowering', () => {
  it('asks for no gate, and works while Kafka, the legacy database and the registry are away, or not even known', async () => {
    const port = await findFreePort();
    const gates = await count('gate');
    const away = {
      KAFKA_BROKERS: `127.0.0.1:${port}`,
      LEGACY_DATABASE_URL: `postgres://127.0.0.1:${port}/x`,
      SCHEMA_REGISTRY_URL: `http://127.0.0.1:${port}`,
    };
    const lower = (env: Record<string, string>) => rig.run(['stage', 'set', OURS, '0', '--by', 'ann'], env);
    expect(await leadsSeen()).toBe(1);
    const lowered = await lower(away);
    expect(`${lowered.code} ${lowered.stderr}`).toBe('0 ');
    expect([await stageOf(OURS), await leadsSeen()]).toEqual([0, 0]);
    expect(await lastEntry()).toMatchObject({ previous: '1', stage: '0', forced: 'f', gate_id: null, reason: null });
    await set(OURS, 1, '--force', '--reason', 'again');
    expect((await lower({ KAFKA_BROKERS: '', LEGACY_DATABASE_URL: '', SCHEMA_REGISTRY_URL: '' })).code).toBe(0);
    expect(await count('gate')).toBe(gates + 1);
    expect((await rig.run(['stage', 'get', OURS], away)).code).toBe(0);
    const raised = await rig.run(['stage', 'set', OURS, '1', '--by', 'ann'], away);
    expect(raised.code).toBe(1);
    expect(await stageOf(OURS)).toBe(0);
  }, 120_000);

  it('hides rows of the application too, and keeps them', async () => {
    await set(OURS, 3, '--force', '--reason', 'to write');
    const { rows: contact } = await app.query<{ id: string }>('SELECT id FROM crm.contacts');
    await app.query('INSERT INTO crm.leads (tenant_id, contact_id) VALUES ($1, $2)', [OURS, contact[0]!.id]);
    expect(await leadsSeen()).toBe(2);
    await set(OURS, 0);
    expect(await leadsSeen()).toBe(0);
    await set(OURS, 1, '--force', '--reason', 'to look');
    expect(await leadsSeen()).toBe(2);
    await set(OURS, 0);
  }, 120_000);
});

describe('behind a gate that passes', () => {
  beforeAll(async () => {
    for (const what of ['backup', 'rollback', 'team', 'monitoring'])
      await rig.run(['gate', 'confirm', 'all', what, '--by', 'ann', '--note', 'done']);
    await waitUntil('the gate passes', async () => (await rig.gate('all')).isGo, 60_000, 500);
  });

  it('a dry run tells and stores nothing', async () => {
    const before = [await count('gate'), await count('stage_log')];
    const { code, stdout } = await set(OURS, 1, '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toContain('ws-ours: stage 0 → 1, leads, customers and quotes are visible');
    expect(stdout).toContain('Nothing is changed: this was a dry run.');
    expect((await set(OURS, 1, '--dry-run', '--verified-within', '1s')).code).toBe(1);
    expect([await count('gate'), await count('stage_log'), await stageOf(OURS)]).toEqual([...before, 0]);
  });

  it('raising is recorded with its evidence; two stages at once are said; force is not needed and so not kept', async () => {
    const { code, stdout } = await set(OURS, 2, '--force', '--reason', 'in case');
    expect(code).toBe(0);
    expect(stdout).toContain('This is 2 stages at once');
    const { evidence, ...entry } = await lastEntry();
    expect(entry).toMatchObject({
      tenant_id: OURS,
      stage: '2',
      previous: '0',
      forced: 'f',
      set_by: 'ann',
      reason: 'in case',
    });
    const { rows } = await rig.owner.query<{ evidence: string; verdict: string }>(
      'SELECT evidence, verdict FROM crosswalk.gate WHERE id = $1',
      [entry.gate_id],
    );
    expect(rows[0]!.verdict).toBe('go');
    expect(JSON.parse(evidence!)).toEqual(JSON.parse(rows[0]!.evidence));
    expect(await leadsSeen()).toBe(2);
  });

  it('the same stage again changes nothing and records nothing', async () => {
    const before = await count('stage_log');
    expect(await setJson(OURS, 2)).toMatchObject({ code: 0, outcome: 'same' });
    expect(await count('stage_log')).toBe(before);
  });

  it('all: raised where the gate for all passes, and only there; who goes up and down with it is said', async () => {
    await rig.owner.query(
      `UPDATE crosswalk.verified SET differences = 1 WHERE table_name = 'leads' AND tenant_id = '*'`,
    );
    expect((await set('all', 1)).code).toBe(1);
    expect([await stageOf(OURS), await stageOf(OTHER)]).toEqual([2, 0]);
    expect((await set(OTHER, 1)).code).toBe(0);
    await writeVerified(rig.owner, [OURS, OTHER]);
    const { code, stdout } = await set('all', 1);
    expect(code).toBe(0);
    expect(stdout).toContain('all others: stage 0 → 1');
    expect(stdout).toContain('lowered to 1 with them: ws-ours (2)');
    expect([await stageOf(OURS), await stageOf(OTHER), await stageOf('later')]).toEqual([1, 1, 1]);
    // Lowering all of them asks nobody.
    expect(
      (await rig.run(['stage', 'set', 'all', '0', '--by', 'bob', '--reason', 'incident 7'], { KAFKA_BROKERS: '' }))
        .code,
    ).toBe(0);
    expect([await stageOf(OURS), await leadsSeen()]).toEqual([0, 0]);
  });

  it('where everybody stands, and how it came to that', async () => {
    await set(OURS, 1);
    const { stdout } = await rig.run(['stage', 'get']);
    expect(stdout).toMatch(/^ws-ours +1 +leads, customers and quotes are visible +\S+ \S+ +ann +gate \d+$/m);
    expect(stdout).toMatch(/^all others +0 +existing only: contacts and lookups +\S+ \S+ +bob +incident 7$/m);
    const one = JSON.parse((await rig.run(['stage', 'get', OTHER, '--json'])).stdout);
    expect(one).toMatchObject({ tenant: OTHER, stage: 0, entry: { setBy: 'bob', tenant: null } });
    const history = JSON.parse((await rig.run(['stage', 'get', OURS, '--history', '--json'])).stdout) as {
      tenant: string | null;
      stage: number;
    }[];
    expect(history.every(({ tenant }) => tenant === OURS || tenant === null)).toBe(true);
    expect(history.at(-1)).toMatchObject({ tenant: OURS, stage: 1, previous: 0, forced: false });
    const all = (await rig.run(['stage', 'get', '--history'])).stdout.trim().split('\n');
    expect(all).toHaveLength((await count('stage_log')) + 1);
  });

  it('a rebuild leaves every stage as it is', async () => {
    const entries = async () => (await rig.owner.query('SELECT * FROM crosswalk.stage_log ORDER BY number')).rows;
    const before = await entries();
    const rebuilt = await rig.run(['rebuild', 'all', '--yes'], { TARGET_DATABASE_URL: rig.env.TARGET_DATABASE_URL! });
    expect(`${rebuilt.code} ${rebuilt.stderr}`).toBe('0 ');
    expect(await entries()).toEqual(before);
    expect(await leadsSeen()).toBe(2);
  }, 240_000);

  it('a projector may look and not set', async () => {
    const login = `projector_${rig.config.slot.slice(-8)}`;
    await rig.owner.query(`CREATE ROLE ${login} LOGIN PASSWORD 'x' IN ROLE crosswalk_projector`);
    const url = new URL(rig.env.TARGET_DATABASE_URL!);
    url.username = login;
    url.password = 'x';
    try {
      const env = { TARGET_DATABASE_URL: url.href };
      expect((await rig.run(['stage', 'get'], env)).code).toBe(0);
      const { code, stderr } = await rig.run(['stage', 'set', OURS, '0', '--by', 'x'], env);
      expect(code).toBe(2);
      expect(stderr).toContain('permission denied for table stage_log');
      expect(await stageOf(OURS)).toBe(1);
      // An operator's address beside the projectors' one is the one that counts, for the gate's readings too.
      const both = { ...env, TARGET_OPERATOR_URL: rig.operatorEnv.TARGET_DATABASE_URL! };
      expect((await rig.run(['gate', OURS, '--max-lag-seconds', '600'], both)).code).toBe(0);
      expect((await rig.run(['stage', 'set', OURS, '1', '--by', 'x'], both)).code).toBe(0);
      const alone = { TARGET_OPERATOR_URL: both.TARGET_OPERATOR_URL, TARGET_DATABASE_URL: '' };
      expect((await rig.run(['gate', OURS, '--max-lag-seconds', '600'], alone)).code).toBe(0);
    } finally {
      await rig.owner.query(`DROP ROLE ${login}`);
    }
  });
});
