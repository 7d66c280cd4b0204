// Projections of one source share what is fetched and decoded of it. One that is behind catches up by itself, and holds up none of the others.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quoteHistory } from '../../../pipelines/crm/projections/lead-history.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { runProjectors } from '../../../projectors/project.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { createProjectionStatus } from '../../../projectors/status.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

let rig: ConnectorRig;
let target: pg.Client;
let blocker: pg.Client;
let together: { stop(): Promise<void> };
const cleanUp: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  rig = await createConnectorRig('behind', { env: { CROSSWALK_BATCH_ROWS: '20' } });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'behind', contacts: 0, quotes: 400 });
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
  blocker = await connect(rig.env.TARGET_DATABASE_URL!, 'test-blocker');
  const connector = rig.run();
  cleanUp.push(() => connector.stop());
  await rig.untilCaughtUp();
});
afterAll(async () => {
  await blocker?.end();
  for (const each of cleanUp.toReversed()) await each();
  await target?.end();
  await rig?.drop();
});

function start(projections: readonly Projection[]): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const statuses = new Map(projections.map(({ name }) => [name, createProjectionStatus(name)]));
  const options = { log: createLog('silent'), signal: stopping.signal };
  const running = runProjectors(rig.config, projections, createTenants({}), statuses, options);
  running.catch(() => undefined);
  const stop = async () => {
    stopping.abort(new Error('test'));
    await running;
  };
  cleanUp.push(stop);
  return { stop };
}

async function count(text: string): Promise<number> {
  return Number((await target.query<{ count: string }>(`SELECT count(*)::text AS count FROM ${text}`)).rows[0]!.count);
}

const offsetsOf = async (projection: string) => {
  const { rows } = await target.query<{ next: string }>(
    'SELECT string_agg(next_offset::text, $2 ORDER BY partition) AS next FROM crosswalk.consumer_offset WHERE projection = $1',
    [projection, ' '],
  );
  return rows[0]!.next;
};

test('a projection that is new to a log catches up while its sibling goes on, and joins it', async () => {
  const alone = start([quotes]);
  await waitUntil('the quotes are there', async () => (await count('crm.quotes_new')) > 300);
  await rig.untilCaughtUp();
  await waitUntil('nothing is left', async () => (await count('crm.leads')) > 0);
  await alone.stop();

  // The history reads, and waits to write.
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE crosswalk.history_state IN EXCLUSIVE MODE');
  together = start([quotes, quoteHistory]);
  await rig.legacy.query(`UPDATE public.quotes SET notes = 'not held up'`);
  await waitUntil('every quote has its note', async () => {
    const lacking = await count(`crm.quotes_new WHERE notes IS DISTINCT FROM 'not held up'`);
    return lacking === 0;
  });
  expect(await count('crosswalk.history_state')).toBe(0);

  await blocker.query('COMMIT');
  await rig.legacy.query(`UPDATE public.quotes SET lead_status = 'won' WHERE lead_status <> ''`);
  await waitUntil('both have applied the same', async () => {
    const [live, late] = [await offsetsOf('quotes'), await offsetsOf('quote_history')];
    return live === late && (await count(`crm.leads WHERE status <> 'won' AND deleted_at IS NULL`)) === 0;
  });
  const { rows } = await rig.legacy.query<{ count: string }>('SELECT count(*)::text AS count FROM public.quotes');
  expect(await count(`crosswalk.history_state WHERE projection = 'quote_history'`)).toBe(Number(rows[0]!.count));
  expect(await count(`crm.lead_status_history WHERE to_status = 'won'`)).toBeGreaterThan(0);
});

test('a projection that is stuck is left behind, and joins its sibling again', async () => {
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE crosswalk.history_state IN EXCLUSIVE MODE');
  for (const note of ['first', 'second']) {
    await rig.legacy.query('UPDATE public.quotes SET notes = $1', [note]);
    await waitUntil(
      `every quote has its ${note} note`,
      async () => (await count(`crm.quotes_new WHERE notes IS DISTINCT FROM '${note}'`)) === 0,
    );
  }
  expect(await offsetsOf('quotes')).not.toBe(await offsetsOf('quote_history'));
  await blocker.query('COMMIT');
  await waitUntil(
    'both have applied the same',
    async () => (await offsetsOf('quotes')) === (await offsetsOf('quote_history')),
  );
});

test('projections of one source may run in processes of their own', async () => {
  await together.stop();
  start([quotes]);
  start([quoteHistory]);
  await rig.legacy.query(`UPDATE public.quotes SET notes = 'each by itself'`);
  await waitUntil('both have applied all of it', async () => {
    const lacking = await count(`crm.quotes_new WHERE notes IS DISTINCT FROM 'each by itself'`);
    return lacking === 0 && (await offsetsOf('quotes')) === (await offsetsOf('quote_history'));
  });
});
