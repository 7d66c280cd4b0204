// Rows for developers by `crosswalk seed`, and the flags of the plan as `crosswalk stage set` moves them.

import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../../runtime/postgres.ts';
import { runCli } from '../../support/cli.ts';
import { createGateRig, type GateRig } from '../../support/gate-rig.ts';

let rig: GateRig;
let app: pg.Client;
/** As the owner of the new schema. */
let env: Record<string, string>;

beforeAll(async () => {
  rig = await createGateRig('seed');
  env = { ...rig.env };
  app = await connect(rig.env.TARGET_DATABASE_URL!, 'app');
  await app.query('SET ROLE crosswalk_app');
});
afterAll(async () => {
  await app?.end();
  await rig?.drop();
});

const seed = async (...options: string[]) => {
  const { code, stdout, stderr } = await runCli(['seed', ...options, '--json'], env);
  const document =
    stdout === '' ? null : (JSON.parse(stdout) as { outcome: string; tenant: string; rows: Record<string, number> });
  return { code, stderr, document };
};
const count = async (table: string) =>
  Number((await rig.owner.query<{ n: string }>(`SELECT count(*) AS n FROM crm.${table}`)).rows[0]!.n);
const EXPECTED = { leads: 10, contacts: 7, customers: 3, dnc_list: 2, nurture_sequences: 2, budget_transactions: 3 };

describe('crosswalk seed', () => {
  it('asks to be told that it is a database of developers', async () => {
    const { code, stderr } = await seed();
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        'crosswalk seed: Rows are made up only for a database of developers. Say --development where it is one.\n',
    });
    for (const tenant of ['', 'all'])
      expect(await seed('--development', '--tenant', tenant)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('No tenant is named'),
      });
    expect(await count('leads')).toBe(0);
  });

  it('tells in a dry run what it would add, and adds nothing', async () => {
    expect(await seed('--development', '--dry-run')).toMatchObject({
      code: 0,
      document: { outcome: 'dry run', tenant: 'ws-development', rows: EXPECTED },
    });
    for (const table of Object.keys(EXPECTED)) expect(await count(table), table).toBe(0);
  });

  it('adds ten leads, two entries of the do-not-call list and two sequences: once, by however many at once', async () => {
    const both = await Promise.all([seed('--development'), seed('--development')]);
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(both.find(({ code }) => code === 0)!.document).toMatchObject({ outcome: 'seeded', rows: EXPECTED });
    expect(both.find(({ code }) => code === 1)!.document).toMatchObject({ outcome: 'refused', rows: EXPECTED });
    for (const [table, rows] of Object.entries(EXPECTED)) expect(await count(table), table).toBe(rows);
    const text = await runCli(['seed', '--development', '--tenant', 'another'], env);
    expect(text).toMatchObject({ code: 1, stderr: '' });
    expect(text.stdout).toMatch(/^Refused: rows of the application are there already\.\n[\s\S]*^leads +10$/m);
  });

  it('is seen by the application as rows of its tenant', async () => {
    const set = await rig.run([
      'stage',
      'set',
      'ws-development',
      '4',
      '--by',
      'ann',
      '--force',
      '--reason',
      'development',
    ]);
    expect(`${set.code} ${set.stderr}`).toBe('0 ');
    await app.query(`SET crosswalk.tenant_id = 'ws-development'`);
    expect((await app.query('SELECT FROM crm.leads')).rowCount).toBe(10);
    const { rows } = await app.query(
      `SELECT crm.is_on_dnc_list('206-555-0010', 'ws-development') AS phone, crm.is_on_dnc_list('No.More@example.com', 'ws-development') AS email,
         (SELECT balance_usd FROM crm.budget_balances) AS balance, (SELECT count(*) FROM crm.search_leads('ws-development', 'bakery')) AS found`,
    );
    expect(rows).toEqual([{ phone: 't', email: 't', balance: '490.00', found: '1' }]);
  });
});

describe('the flags of a tenant', () => {
  const read = async (tenant: string) => {
    await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [tenant]);
    return (
      await app.query('SELECT tenant_id, migration_stage, lead_centric_enabled, flags::text FROM crm.tenant_flags')
    ).rows;
  };
  const flags = (ui: boolean, tracking: boolean, several: boolean) => ({
    ...{ LEAD_CENTRIC_UI: ui, ENHANCED_LEAD_TRACKING: tracking, MULTIPLE_LEADS_PER_CONTACT: several },
  });

  it.each([
    [0, 'f', flags(false, false, false)],
    [1, 't', flags(true, false, false)],
    [2, 't', flags(true, true, false)],
    [3, 't', flags(true, true, true)],
    [4, 't', flags(true, true, true)],
  ])('follow `stage set` to %i, from the next statement on', async (stage, enabled, expected) => {
    const { code, stderr } = await rig.run([
      'stage',
      'set',
      'ws-flags',
      String(stage),
      '--by',
      'ann',
      '--force',
      '--reason',
      'a test',
    ]);
    expect(`${code} ${stderr}`).toBe('0 ');
    const [row] = await read('ws-flags');
    expect({ ...row, flags: JSON.parse(row!.flags as string) as unknown }).toEqual({
      ...{ tenant_id: 'ws-flags', migration_stage: String(stage), lead_centric_enabled: enabled, flags: expected },
    });
    expect((await read('ws-other'))[0]).toMatchObject({ migration_stage: '0', lead_centric_enabled: 'f' });
  });

  it('are those of no tenant where none is named, and nobody sets them by hand', async () => {
    expect(await read('')).toEqual([]);
    await read('ws-flags');
    await expect(app.query('UPDATE crm.tenant_flags SET lead_centric_enabled = true')).rejects.toThrow();
  });
});
