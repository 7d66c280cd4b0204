// A pipeline in which two legacy tables feed one aggregate: verified, repaired, rebuilt and explained.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planUnload } from '../../cli/phases/unload.ts';
import { createTenants } from '../../pipelines/crm/tenants.ts';
import type { ExplainContext } from '../../projectors/explain/context.ts';
import { explainLegacy } from '../../projectors/explain/explain-legacy.ts';
import { explainRow } from '../../projectors/explain/explain-row.ts';
import { type RebuildRequest, rebuild } from '../../projectors/rebuild/rebuild.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createLog } from '../../runtime/log.ts';
import { createRegistry } from '../../schemas/avro/registry.ts';
import {
  returns,
  signups,
  TWO_SOURCES_LEGACY,
  TWO_SOURCES_TARGET,
  toPersonId,
  toPhoneId,
  twoSources,
} from '../support/two-sources.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../support/verify-rig.ts';

const [ANN, BOB] = [toPersonId('ann'), toPersonId('bob')];
const GIVEN_BACK = toPhoneId('ann', '555');
const tenants = createTenants({});
let rig: VerifyRig;

beforeAll(async () => {
  rig = await createVerifyRig('two_sources', {
    ...{ seed: '1', contacts: 0, quotes: 0, projections: twoSources, targetSchema: TWO_SOURCES_TARGET },
    schema:
      readFileSync(new URL('../../pipelines/crm/sample/legacy-schema.sql', import.meta.url), 'utf8') +
      TWO_SOURCES_LEGACY,
    env: { CROSSWALK_TABLES: 'signups,returns' },
  });
  // Keys of both tables are the same texts.
  await rig.legacy.query(
    `INSERT INTO public.signups VALUES ('1', 't', 'ann', 'Ann', '555'), ('2', 't', 'ann', NULL, '556'), ('3', 't', 'bob', 'Bob', '557')`,
  );
  await rig.untilApplied();
  await rig.legacy.query(
    `INSERT INTO public.returns VALUES ('1', 't', 'ann', 'Anna', '555'), ('3', 't', 'bob', NULL, NULL)`,
  );
  await rig.untilApplied();
});
afterAll(() => rig?.drop());

const live = async (table: string) =>
  (
    await rig.target.query<{ id: string }>(`SELECT id::text FROM crm.${table} WHERE deleted_at IS NULL ORDER BY 1`)
  ).rows.map(({ id }) => id);
/** As if the change of the other table had not taken it away. */
const revive = (id: string) =>
  rig.target.query(
    `UPDATE crm.phones SET deleted_at = NULL, legacy_table = 'signups', legacy_key = '1' WHERE id = $1 AND deleted_at IS NOT NULL`,
    [id],
  );

/** A row that names a legacy table of no projection. */
const fabricate = (id: string) =>
  rig.target.query(
    `INSERT INTO crm.phones SELECT (jsonb_populate_record(p, jsonb_build_object('id', $1::text, 'phone', '1', 'deleted_at', NULL, 'legacy_table', 'nowhere'))).* FROM crm.phones p WHERE id = $2`,
    [id, GIVEN_BACK],
  );

async function rebuilt(request: Partial<RebuildRequest> = {}) {
  return await rebuild(
    rig.rig.config,
    {
      ...{
        name: 'test',
        projections: twoSources,
        all: twoSources,
        tenants,
        mapping: 'test',
        start: { kind: 'beginning' },
      },
      ...{ resume: false, dryRun: false, maxRate: null, limit: 100, lockTimeoutMs: 30_000, ...request },
    },
    {
      log: createLog('silent'),
      signal: AbortSignal.timeout(120_000),
      onProgress: () => undefined,
      confirm: async () => true,
    },
  );
}

test('what one table has taken away is gone, and everything is verified', async () => {
  expect(await live('people')).toEqual([ANN, BOB].sort());
  expect(await live('phones')).toEqual([toPhoneId('ann', '556'), toPhoneId('bob', '557')].sort());
  const found = await rig.verify();
  expect(namesOf(found)).toEqual([]);
  expect(found.ok).toBe(true);
});

test('a row that should be gone is found, and repaired by a legacy row of either table', async () => {
  await revive(GIVEN_BACK);
  await fabricate(toPhoneId('ann', '1'));
  const found = await rig.verify();
  expect(namesOf(found).sort()).toEqual([`phones ${GIVEN_BACK} extra`, `phones ${toPhoneId('ann', '1')} extra`].sort());
  expect(await rig.repair(found.run)).toMatchObject({ repaired: 2, left: [] });
  expect((await rig.verify()).ok).toBe(true);
});

test('what two tables contribute under one key is told apart', async () => {
  await rig.target.query(
    `UPDATE crosswalk.contribution SET data = data || '{"name": "Zoe"}' WHERE aggregate = 'people' AND legacy_key = '1'`,
  );
  const found = await rig.verify();
  const contributions = namesOf(found).filter((name) => name.startsWith('contribution'));
  expect(contributions.sort()).toEqual([
    `contribution people ${ANN} returns 1 data.name`,
    `contribution people ${ANN} signups 1 data.name`,
  ]);
  expect((await rig.repair(found.run)).left).toEqual([]);
  expect((await rig.verify()).ok).toBe(true);
});

test('one of both cannot be rebuilt alone; both together find what should be gone', async () => {
  await expect(rebuilt({ projections: [signups] })).rejects.toMatchObject({
    code: 'config_invalid',
    remedy: expect.stringContaining('rebuild signups returns'),
  });
  expect(await rebuilt()).toMatchObject({ state: 'equal', report: { failures: [] } });
  await revive(GIVEN_BACK);
  const result = await rebuilt();
  expect(result).toMatchObject({ state: 'merged', report: { failures: [] } });
  expect(result.report!.differences).toMatchObject([{ table: 'phones', id: GIVEN_BACK, kind: 'remove' }]);
  expect(await live('phones')).not.toContain(GIVEN_BACK);
  // From the middle of the log: what is not replayed, of both tables, is folded as it is.
  await revive(GIVEN_BACK);
  await rig.legacy.query(`UPDATE public.returns SET name = 'Anne' WHERE id = '1'`);
  await rig.untilApplied();
  expect(await live('phones')).not.toContain(GIVEN_BACK);
  await revive(GIVEN_BACK);
  const atMs = Date.now() - 1;
  await rig.legacy.query(
    `UPDATE public.returns SET name = 'Ana' WHERE id = '3'; UPDATE public.signups SET name = 'An' WHERE id = '2'`,
  );
  await rig.untilApplied();
  expect(await rebuilt({ start: { kind: 'time', atMs } })).toMatchObject({ report: { failures: [] } });
  expect(await live('phones')).not.toContain(GIVEN_BACK);
  expect((await rig.verify()).ok).toBe(true);
});

test('a row tells the legacy rows of both tables, and which change took it away', async () => {
  const { config } = rig.rig;
  const { url: baseUrl, ...credentials } = config.registry();
  const registry = createRegistry({ baseUrl, ...credentials });
  const context: ExplainContext = {
    ...{ config, registry, tenants, projections: twoSources, kafka: createKafka(config.kafka(), createLog('silent')) },
    ...{ rejects: undefined, otherSettings: {} },
    signal: AbortSignal.timeout(60_000),
    onProgress: () => undefined,
  };
  const options = { unmask: true, full: true, sinceMs: null, limit: 100 };
  try {
    const person = await explainRow(context, { table: 'people', id: ANN }, options);
    expect(person.problems).toEqual([]);
    expect(person.contributors.map(({ legacyTable, legacyKey }) => `${legacyTable} ${legacyKey}`).sort()).toEqual([
      'returns 1',
      'signups 1',
      'signups 2',
    ]);
    expect(person.chains.map(({ table, key }) => `${table} ${key}`).sort()).toEqual([
      'returns 1',
      'signups 1',
      'signups 2',
    ]);
    expect(person.columns.find(({ column }) => column === 'name')!.origin).toMatchObject({
      contributors: [
        { legacyTable: 'returns', legacyKey: '1', column: 'name', legacy: { from: [{ column: 'name' }] } },
      ],
    });

    await rig.legacy.query(`INSERT INTO public.returns VALUES ('9', 't', 'bob', NULL, '557')`);
    await rig.untilApplied();
    const phone = await explainRow(
      context,
      { table: 'phones', id: toPhoneId('bob', '557') },
      { ...options, full: false },
    );
    expect(phone.problems).toEqual([]);
    expect(phone).toMatchObject({
      row: { state: 'soft-deleted', legacyTable: 'returns', legacyKey: '9' },
      writtenBy: { op: 'c', legacyTable: 'returns', legacyKey: '9' },
      projection: { name: returns.name },
    });
    const legacy = await explainLegacy(context, { table: 'returns', key: ['1'] }, options);
    expect(legacy.problems).toEqual([]);
    expect(legacy.contributions).toMatchObject([{ aggregate: 'people', mergeKey: ANN, live: true }]);
  } finally {
    registry.close();
  }
});

test('where one of both tables is empty, the other one carries a repair', async () => {
  await rig.legacy.query('DELETE FROM public.signups');
  await rig.untilApplied();
  expect(await live('phones')).toEqual([]);
  // A person whom nobody names: no contribution tells whose legacy row to send.
  await rig.target.query(
    `INSERT INTO crm.people SELECT (jsonb_populate_record(p, jsonb_build_object('id', $1::text, 'legacy_table', 'nowhere'))).* FROM crm.people p WHERE id = $2`,
    [toPersonId('zoe'), ANN],
  );
  const found = await rig.verify();
  expect(namesOf(found)).toEqual([`people ${toPersonId('zoe')} extra`]);
  expect(await rig.repair(found.run)).toMatchObject({ repaired: 1, left: [] });
  expect((await rig.verify()).ok).toBe(true);
});

test('the way back empties the tables of both', async () => {
  const plan = (await planUnload(rig.target, 'crm')).join('\n');
  expect(plan).toContain('"crm"."people"');
  expect(plan).toContain('"crm"."phones"');
});
