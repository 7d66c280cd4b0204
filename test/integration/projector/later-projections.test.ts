// Projections that are written when the log has been there for long: they read it from its beginning, and what others wrote stays as it was.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import { mark } from '../../../projectors/mark.ts';
import { waitForLsn } from '../../../projectors/wait.ts';
import { targetTables } from '../../../projectors/write/catalog.ts';
import { createKafka } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { allProjections } from '../../support/crm.ts';
import { createRebuildRig, type RebuildRig } from '../../support/rebuild-rig.ts';

const LATER = ['messages', 'appointments', 'opportunities'];
const later = allProjections.filter(({ name }) => LATER.includes(name));
const earlier = allProjections.filter(({ name }) => !LATER.includes(name));
const ofLater = [...new Set(later.flatMap(targetTables))].filter((table) => table !== 'rejects');
let rig: RebuildRig;

beforeAll(async () => {
  rig = await createRebuildRig('later_projections', { seed: 'later', rows: 200 });
});
afterAll(() => rig?.drop());

const countOf = async (table: string) =>
  Number((await rig.owner.query<{ n: string }>(`SELECT count(*) AS n FROM crm.${table}`)).rows[0]!.n);
/** Rows of the tables that only the earlier projections write. */
const restingRows = async () =>
  new Map([...(await rig.rows())].filter(([name]) => ![...ofLater, 'rejects'].includes(name.split(' ', 1)[0]!)));

test('a log that was written before them fills them', async () => {
  const first = rig.project(earlier);
  const traffic = startTraffic({
    ...{ url: rig.source.env.LEGACY_DATABASE_URL!, seed: 'later', changesPerSecond: Number.POSITIVE_INFINITY },
    ...{ stopAfter: { changes: 1500 }, largestTransaction: 50 },
  });
  const { tables } = await traffic.done;
  for (const table of LATER)
    for (const kind of ['inserted', 'updated', 'deleted'] as const)
      expect(tables[table]![kind], `${table} ${kind}`).toBeGreaterThan(0);
  const lsn = await mark(rig.source.legacy);
  const kafka = createKafka(rig.config.kafka(), createLog('silent'));
  await waitForLsn(rig.config, kafka, rig.owner, earlier, {
    lsn,
    timeoutMs: 120_000,
    signal: AbortSignal.timeout(120_000),
  });
  for (const table of ofLater) expect([table, await countOf(table)]).toEqual([table, 0]);
  await first.stop();
  const before = await restingRows();

  rig.project();
  await rig.untilApplied();
  for (const table of ofLater) expect(await countOf(table), table).toBeGreaterThan(0);
  expect(await rig.differences()).toEqual([]);
  // Histories and all other rows: nobody has written them again.
  expect(await restingRows()).toEqual(before);
}, 240_000);

test('a rebuild of them finds nothing to change, and brings back what is lost', async () => {
  const request = { projections: later };
  expect(await rig.rebuild(request)).toMatchObject({ report: { differences: [], failures: [] } });
  const before = await rig.rows();
  await rig.owner.query('DELETE FROM crm.lead_activities; UPDATE crm.messages SET body = NULL');
  expect(await rig.rebuild(request)).toMatchObject({ state: 'merged', report: { failures: [] } });
  expect(await rig.differences()).toEqual([]);
  expect([...(await rig.rows()).keys()].sort()).toEqual([...before.keys()].sort());
}, 240_000);
