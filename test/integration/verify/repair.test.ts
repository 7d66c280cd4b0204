// Random corruptions of the new schema under traffic: each is found and named, all are repaired through the log, and then nothing differs.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { startTraffic, type Traffic } from '../../../pipelines/crm/sample/traffic.ts';
import { compareRows } from '../../support/compare-rows.ts';
import { corrupt } from '../../support/corruptions.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
const CORRUPTIONS = Number(process.env.CROSSWALK_CORRUPTIONS ?? 200);

let pipeline: VerifyRig;
let traffic: Traffic | undefined;

beforeAll(async () => {
  pipeline = await createVerifyRig('verify_repair', { seed, contacts: 300, quotes: 300 });
});
afterAll(async () => {
  await traffic?.stop().catch(() => undefined);
  await pipeline?.drop();
});

test(`corruptions are found, named and repaired, seed ${seed}`, async () => {
  const { legacy, target } = pipeline;
  const url = pipeline.rig.env.LEGACY_DATABASE_URL!;
  const { rows: workspaces } = await legacy.query<{ id: string }>('SELECT id FROM public.workspaces ORDER BY id');
  const ids = workspaces.map(({ id }) => id);
  // Traffic would mend what it touches: the corrupted tenants are others than those at work.
  const busy = ids.slice(0, 2);
  const quiet = [...ids.slice(2), 'unassigned'];
  // Some rows are retracted before, so that they can come back.
  await legacy.query(
    `DELETE FROM public.quotes WHERE id IN (SELECT id FROM public.quotes WHERE company_id::text = ANY ($1) ORDER BY id LIMIT 15)`,
    [quiet],
  );
  await pipeline.untilApplied();

  traffic = startTraffic({ url, seed, changesPerSecond: 150, largestTransaction: 40, tenants: busy });
  const corruptions = await corrupt(target, createRandom(`corruptions ${seed}`), quiet, CORRUPTIONS);
  const found = await pipeline.verify({ chunkRows: 50 });
  const named = new Set(namesOf(found));
  const missed = corruptions.filter(({ names }) => !names.every((name) => named.has(name)));
  expect(missed).toEqual([]);
  expect(found.ok).toBe(false);
  const ofBusy = found.tables.flatMap(({ differences }) => differences).filter(({ tenant }) => busy.includes(tenant));
  expect(ofBusy.filter(({ kind }) => kind !== 'unsettled')).toEqual([]);

  const repair = await pipeline.repair(found.run);
  expect(
    repair.left.map(({ table, id, column, kind, reason }) => `${table} ${id} ${column ?? kind}: ${reason}`),
  ).toEqual([]);
  expect(repair.repaired).toBeGreaterThanOrEqual(CORRUPTIONS / 2);
  await traffic.stop();
  await pipeline.untilApplied();
  const after = await pipeline.verify();
  expect(namesOf(after)).toEqual([]);
  expect(after.ok).toBe(true);
  const { LEGACY_DATABASE_URL: legacyUrl, TARGET_DATABASE_URL: targetUrl } = pipeline.rig.env;
  expect(await compareRows({ legacyUrl: legacyUrl!, targetUrl: targetUrl! })).toEqual([]);
  const { rows: verified } = await target.query(`SELECT * FROM crosswalk.verified WHERE differences + unsettled > 0`);
  expect(verified).toEqual([]);
}, 600_000);
