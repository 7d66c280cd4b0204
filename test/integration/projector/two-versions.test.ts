// A column is renamed under load while two versions of a projection share the work: the old one, which requires the old name, and the new one, which reads either.
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workspaces } from '../../../pipelines/crm/projections/workspaces.ts';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { runProjectors } from '../../../projectors/project.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { createProjectionStatus } from '../../../projectors/status.ts';
import type { CrosswalkError } from '../../../runtime/errors.ts';
import { createLog } from '../../../runtime/log.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

const older: Projection = { ...workspaces, requires: [...workspaces.requires, 'name'] };
const newer: Projection = {
  ...workspaces,
  version: String(Number(workspaces.version) + 1),
  map: (row, tenants) => workspaces.map({ ...row, name: row.title ?? row.name ?? null }, tenants),
};

let rig: ConnectorRig;
let target: pg.Client;
const stopping = new AbortController();
const ended: Promise<unknown>[] = [];

beforeAll(async () => {
  rig = await createConnectorRig('versions', { env: { CROSSWALK_SESSION_TIMEOUT_MS: '6000' } });
  await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 'versions', contacts: 10, quotes: 10 });
  target = await openTarget(rig.env.TARGET_DATABASE_URL!);
});
afterAll(async () => {
  stopping.abort();
  await Promise.all(ended);
  await target?.end();
  await rig?.drop();
});

function run(projection: Projection) {
  const status = createProjectionStatus(projection.name);
  const statuses = new Map([[projection.name, status]]);
  const options = { log: createLog('silent'), signal: stopping.signal };
  const result = { status, error: null as CrosswalkError | null };
  ended.push(
    runProjectors(rig.config, [projection], createTenants({}), statuses, options).catch((error: CrosswalkError) => {
      result.error = error;
    }),
  );
  return result;
}

test('the old version stops before it writes from the new shape, the new one goes on with its part, and every row is right', async () => {
  rig.run();
  const old = run(older);
  await waitUntil('the old version applies rows', () => old.status.applied > 0);
  const current = run(newer);
  await waitUntil(
    'both share the partitions',
    () => old.status.partitions.length > 0 && current.status.partitions.length > 0,
    60_000,
  );

  await rig.legacy.query('ALTER TABLE workspaces RENAME COLUMN name TO title');
  const names = async (client: pg.Client, sql: string) =>
    Object.fromEntries((await client.query<{ id: string; name: string }>(sql)).rows.map(({ id, name }) => [id, name]));
  const live = () => names(target, `SELECT id, name FROM crm.tenants WHERE origin = 'cdc' AND deleted_at IS NULL`);
  // Rows of every partition, again and again, so that the old version meets one of its own.
  for (let round = 0; old.error === null && round < 20; round++) {
    await rig.legacy.query(`UPDATE workspaces SET title = title || '.'`);
    await rig.legacy.query(
      `INSERT INTO workspaces (id, title) SELECT 'new-' || $1 || '-' || n, 'New' FROM generate_series(1, 6) n`,
      [round],
    );
    await waitUntil(
      'the new version has applied its part',
      async () => {
        const rows = await names(rig.legacy, 'SELECT id, title AS name FROM workspaces');
        const found = await live();
        return old.error !== null || Object.keys(rows).every((id) => found[id] === rows[id]);
      },
      60_000,
    );
  }
  expect(old.error).toMatchObject({ code: 'source_changed', message: expect.stringContaining('workspaces.name') });
  expect(current.error).toBeNull();
  await waitUntil(
    'every row is as the legacy row is',
    async () => {
      const rows = await names(rig.legacy, 'SELECT id, title AS name FROM workspaces');
      return JSON.stringify(Object.entries(await live()).sort()) === JSON.stringify(Object.entries(rows).sort());
    },
    60_000,
  );
  expect((await target.query('SELECT FROM crosswalk.dead_letter')).rows).toEqual([]);
}, 180_000);
