// Figures and statistics are kept by the projectors: after a load, and from time to time, by one process at a time.

import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { keepUp, readFigures, tryToKeepUp } from '../../../projectors/upkeep.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createLogin } from '../../support/application-login.ts';
import { createProjectorPool } from '../../support/crm.ts';
import { contactRow, createScriptedLog, quoteRow } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { clearTarget, openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const COMPANY = 'c0000000-0000-4000-8000-00000000000a';
const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let pool: pg.Pool;
let login: Awaited<ReturnType<typeof createLogin>>;

beforeAll(async () => {
  databases = await createDatabases('upkeep');
  owner = await openTarget(databases.targetUrl);
  await setStage(owner, null, 4);
  login = await createLogin(owner, databases.targetUrl, 'crosswalk_projector');
  pool = createProjectorPool(databases.targetUrl, 'projector', 2);
});
beforeEach(async () => {
  await clearTarget(owner);
  await owner.query(
    'TRUNCATE crosswalk.upkeep, crosswalk.log_position; REFRESH MATERIALIZED VIEW crm.dashboard_stats_data',
  );
});
afterAll(async () => {
  await pool?.end();
  await login?.drop();
  await owner?.end();
  await databases?.drop();
});

/** Everything that there is in the log is applied, and the initial load with it or not. */
const notePosition = (isLoaded: boolean) =>
  owner.query(`INSERT INTO crosswalk.log_position (lsn, offsets, is_loaded) VALUES ($1, '{}', $2)`, [
    isLoaded ? '0/2' : '0/1',
    isLoaded,
  ]);

async function deliverLeads(): Promise<void> {
  const log = await createScriptedLog(pool);
  await log.deliver('quotes', 0, quoteRow(idAt(1), { company_id: COMPANY, lead_status: 'new' }));
  await log.deliver('quotes', 0, quoteRow(idAt(2), { company_id: COMPANY, lead_status: 'no such status' }));
  await log.deliver('quotes', 0, quoteRow(idAt(3), { company_id: COMPANY, lead_status: 'qualified' }));
  await log.deliver('contacts', 0, contactRow(idAt(4), { workspace_id: 'ws-north' }));
  // Two that wait for nobody: each has become a client.
  for (const [lead, status] of [
    [idAt(5), 'new'],
    [idAt(6), 'qualified'],
  ] as const) {
    const times = { created_at: '2024-01-01 00:00:00+00', updated_at: '2024-01-01 00:00:00+00' };
    await log.deliver('clients', 0, { id: `c${lead.slice(1)}`, workspace_id: 'ws-north', name: 'C', ...times });
    const cells = { workspace_id: 'ws-north', status, client_id: `c${lead.slice(1)}`, ...times };
    await log.deliver('leads', 0, { id: lead, ...cells });
  }
}

const ask = async (every: string | null, client: pg.ClientBase = owner) =>
  (
    await client.query<{ filled: string; did: string }>(
      'SELECT is_filled AS filled, did FROM crosswalk.do_upkeep($1::interval)',
      [every],
    )
  ).rows[0]!;
const figures = async () =>
  (
    await owner.query(
      'SELECT tenant_id, company_id, pending_leads, qualified_leads FROM crm.dashboard_stats_data ORDER BY 1',
    )
  ).rows;
const expected = [
  // A lead whose status is not known is a new one; so is one of a contact without any.
  { tenant_id: COMPANY, company_id: COMPANY, pending_leads: '2', qualified_leads: '1' },
  { tenant_id: 'ws-north', company_id: null, pending_leads: '1', qualified_leads: '0' },
];

it('after the initial load they are there, and each table has statistics, without anybody asking', async () => {
  await deliverLeads();
  await notePosition(false);
  expect(await ask(null)).toEqual({ filled: 'f', did: '{}' });
  expect(await figures()).toEqual([]);
  const analysed = async () =>
    Number(
      (
        await owner.query<{ n: string }>(
          `SELECT count(*) AS n FROM pg_stats WHERE schemaname = 'crm' AND tablename = 'leads'`,
        )
      ).rows[0]!.n,
    );
  expect(await analysed()).toBe(0);
  await notePosition(true);
  const ended = new AbortController();
  // A process that is switched off by its setting, and one that has no right to anything but what projectors have.
  const keeping = [0, 0, 3600].map((everySeconds) =>
    keepUp(login.url, { everySeconds, log: createLog('silent'), signal: ended.signal }),
  );
  try {
    await waitUntil('the figures are there', async () => (await figures()).length > 0);
    expect(await figures()).toEqual(expected);
    expect(await analysed()).toBeGreaterThan(10);
    const { rows } = await owner.query('SELECT task FROM crosswalk.upkeep ORDER BY 1');
    expect(rows).toEqual([{ task: 'figures' }, { task: 'statistics' }]);
    expect(await readFigures(owner)).toMatchObject({ ageSeconds: expect.any(Number), tookSeconds: expect.any(Number) });
  } finally {
    ended.abort();
    await Promise.all(keeping);
  }
});

it('they are refreshed once they are older than asked for, and not before', async () => {
  await notePosition(true);
  expect(await ask(null)).toEqual({ filled: 't', did: '{statistics,figures}' });
  await deliverLeads();
  expect(await ask('1 hour')).toEqual({ filled: 't', did: '{}' });
  await owner.query(`UPDATE crosswalk.upkeep SET as_of = as_of - interval '2 hours'`);
  expect(await ask(null)).toEqual({ filled: 't', did: '{}' });
  expect((await readFigures(owner))!.ageSeconds).toBeGreaterThan(7000);
  expect(await ask('1 hour')).toEqual({ filled: 't', did: '{figures}' });
  expect(await figures()).toEqual(expected);
  expect(await ask('1 hour')).toEqual({ filled: 't', did: '{}' });
});

it('of many processes that ask at once one does it, and none waits', async () => {
  await notePosition(true);
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(login.url, 'test')));
  const reader = await connect(databases.targetUrl, 'test');
  try {
    // Somebody keeps the tables from being analysed: the first one waits for that, the others do not.
    await reader.query('BEGIN; LOCK crm.leads IN SHARE UPDATE EXCLUSIVE MODE');
    const first = ask('1 hour', clients[0]);
    await waitUntil('the first one is at it', async () => {
      const { rows } = await owner.query(`SELECT FROM pg_locks WHERE NOT granted AND relation = 'crm.leads'::regclass`);
      return rows.length > 0;
    });
    for (const client of clients.slice(1)) expect(await ask('1 hour', client)).toEqual({ filled: 'f', did: '{}' });
    await reader.query('COMMIT');
    expect(await first).toEqual({ filled: 't', did: '{statistics,figures}' });
    for (const client of clients) expect(await ask('1 hour', client)).toEqual({ filled: 't', did: '{}' });
  } finally {
    await reader.end();
    for (const client of clients) await client.end();
  }
});

it('what fails is a line in the log, and the next time it works', async () => {
  const lines: string[] = [];
  const log = createLog('silent');
  Object.assign(log, { warn: (_: unknown, line: string) => void lines.push(line) });
  const away = new URL(login.url);
  away.port = '1';
  await tryToKeepUp(away.href, { log });
  expect(lines).toEqual([expect.stringMatching(/^the figures of the dashboard are not refreshed: /)]);
  await owner.query('ALTER TABLE crosswalk.upkeep RENAME TO elsewhere');
  const ended = new AbortController();
  const keeping = keepUp(login.url, { everySeconds: 1, log, signal: ended.signal });
  try {
    await waitUntil('the failure is told', () => Promise.resolve(lines.length > 1));
    await owner.query('ALTER TABLE crosswalk.elsewhere RENAME TO upkeep');
    await deliverLeads();
    await waitUntil('the figures are there', async () => (await figures()).length > 0);
    // A failure that comes again is told once.
    expect(lines.length).toBe(2);
  } finally {
    ended.abort();
    await keeping;
  }
});
