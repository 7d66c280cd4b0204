// The new application reads while everything runs: what one legacy row implies is there as a whole, in every snapshot that anybody takes.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import { type ConnectorRig, createConnectorRig, type RunningConnector } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { openTarget } from '../../support/target-database.ts';

let rig: ConnectorRig;
let connector: RunningConnector;
let projector: CliProcess;
let target: pg.Client;
beforeAll(async () => {
  rig = await createConnectorRig('readers', { env: { CROSSWALK_BATCH_ROWS: '50' } });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'readers', contacts: 400, quotes: 300 });
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
});
afterAll(async () => {
  if (projector?.isRunning()) projector.child.kill('SIGKILL');
  await projector?.ended;
  await connector?.stop();
  await target?.end();
  await rig?.drop();
});

/** Contacts with their leads, and quotes with their jobs, as one statement sees them. Columns of both sides that one legacy row fills must say the same. */
const TORN = `
  SELECT 'contact ' || coalesce(c.id::text, l.contact_id::text) AS torn
    FROM (SELECT * FROM crm.contacts WHERE origin = 'cdc' AND deleted_at IS NULL) c
    FULL JOIN (SELECT * FROM crm.leads WHERE legacy_table = 'contacts' AND deleted_at IS NULL) l ON l.contact_id = c.id
   WHERE c.id IS NULL OR l.id IS NULL OR (c.tags, c.updated_at, c.workspace_id) IS DISTINCT FROM (l.tags, l.updated_at, l.workspace_id)
  UNION ALL
  SELECT 'quote ' || coalesce(q.id, j.quote_id)::text
    FROM (SELECT * FROM crm.quotes_new WHERE origin = 'cdc' AND deleted_at IS NULL) q
    RIGHT JOIN (SELECT * FROM crm.jobs_new WHERE origin = 'cdc' AND deleted_at IS NULL) j ON j.quote_id = q.id
   WHERE q.id IS NULL OR q.customer_id IS DISTINCT FROM j.customer_id`;

test('rows of one legacy row are seen together or not at all, during the load and under traffic', async () => {
  let reads = 0;
  const states = new Set<string>();
  const torn: string[] = [];
  let isReading = true;
  const reading = (async () => {
    while (isReading) {
      const { rows } = await target.query<{ torn: string }>(TORN);
      torn.push(...rows.map((row) => row.torn));
      const { rows: seen } = await target.query<{ state: string }>(
        `SELECT concat_ws(' ', count(*), max(updated_at)) AS state FROM crm.leads`,
      );
      states.add(seen[0]!.state);
      reads += 1;
    }
  })();
  reading.catch(() => undefined);
  connector = rig.run();
  projector = startCli(['project'], { NODE_NO_WARNINGS: '1', ...rig.env });
  await rig.untilCaughtUp();
  const traffic = startTraffic({
    url: rig.env.LEGACY_DATABASE_URL!,
    seed: 'readers',
    changesPerSecond: 300,
    largestTransaction: 50,
    stopAfter: { changes: 2000 },
  });
  await traffic.done;
  const wait = startCli(['wait', '--timeout', '60'], { NODE_NO_WARNINGS: '1', ...rig.env });
  expect(await wait.ended, wait.stderr()).toBe(0);
  isReading = false;
  await reading;
  expect([...new Set(torn)]).toEqual([]);
  // It did look while rows came.
  expect(reads).toBeGreaterThan(20);
  expect(states.size).toBeGreaterThan(10);
});
