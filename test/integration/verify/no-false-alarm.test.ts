// Passes of the verification while everything changes all the time: whatever is on its way, nothing is a difference.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTraffic } from '../../../pipelines/crm/sample/traffic.ts';
import { compareRows } from '../../support/compare-rows.ts';
import { startHotRows } from '../../support/hot-rows.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
/** Fences to pass; a long run has thousands. Without it: passes for some 20 s. */
const FENCES = Number(process.env.CROSSWALK_FENCES ?? 0);
const SECONDS = 20;

let pipeline: VerifyRig;

beforeAll(async () => {
  pipeline = await createVerifyRig('verify_alarm', { seed, contacts: 250, quotes: 250 });
});
afterAll(() => pipeline?.drop());

test(`no difference is named under traffic, seed ${seed}`, async () => {
  const url = pipeline.rig.env.LEGACY_DATABASE_URL!;
  const traffic = startTraffic({ url, seed, changesPerSecond: 250, largestTransaction: 40 });
  const hot = await startHotRows(url, seed);
  const endAtMs = performance.now() + SECONDS * 1000;
  let [fences, passes, rows, unsettled] = [0, 0, 0, 0];
  try {
    while (fences < FENCES || performance.now() < endAtMs) {
      const result = await pipeline.verify({
        chunkRows: 15,
        suspectAll: true,
        limits: { mostLooks: 6, keysAtOnce: 4, sessions: 6 },
      });
      expect(namesOf(result).filter((name) => !name.endsWith(' unsettled'))).toEqual([]);
      expect(result.checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(result.sums.filter(({ expected, actual }) => expected !== actual)).toEqual([]);
      expect(result.unmappable).toEqual([]);
      fences += result.fences;
      passes += 1;
      rows += result.legacyRows + result.targetRows;
      unsettled += result.tables.reduce((sum, table) => sum + table.unsettled, 0);
      console.log(
        `pass ${passes}: ${result.seconds.toFixed(1)} s, ${result.fences} fences, ${traffic.progress().rowChanges} changes, hot ${hot.committed()}, unsettled so far ${unsettled}`,
      );
    }
  } finally {
    await hot.stop();
    await traffic.stop();
  }
  console.log(
    `verify: ${passes} passes, ${rows} rows compared, ${fences} fences, ${unsettled} times a row was unsettled, ${traffic.progress().rowChanges} changes and ${hot.committed()} of hot rows`,
  );
  await pipeline.untilApplied();
  const result = await pipeline.verify();
  expect(namesOf(result)).toEqual([]);
  expect(result.ok).toBe(true);
  const { LEGACY_DATABASE_URL: legacyUrl, TARGET_DATABASE_URL: targetUrl } = pipeline.rig.env;
  expect(await compareRows({ legacyUrl: legacyUrl!, targetUrl: targetUrl! })).toEqual([]);
}, 1_200_000);
