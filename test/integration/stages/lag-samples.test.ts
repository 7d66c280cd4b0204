import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import { createLagSampler, readLagSamples, writeLagSamples } from '../../../monitor/stages/lag-samples.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createDatabases } from '../../support/stack.ts';
import { openTarget } from '../../support/target-database.ts';
import { waitUntil } from '../../support/wait-until.ts';

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let projector: pg.Client;
const sample = (projection: string, lagSeconds: number | null, lagOffsets = 0n) => ({
  projection,
  lagSeconds,
  lagOffsets,
});

beforeAll(async () => {
  databases = await createDatabases('lag_samples');
  owner = await openTarget(databases.targetUrl);
  projector = await connect(databases.targetUrl, 'test');
  await projector.query('SET ROLE crosswalk_projector');
});
beforeEach(() => owner.query('TRUNCATE crosswalk.lag_sample'));
afterAll(async () => {
  await projector?.end();
  await owner?.end();
  await databases?.drop();
});

it('are one a quarter of a minute, the worst of those that several processes take', async () => {
  // All four in one quarter of a minute, or the first of them in the one before.
  for (const seconds of [1, 5, 2])
    await writeLagSamples(projector, [sample('quotes', seconds, BigInt(seconds)), sample('contacts', 0)]);
  const { samples, nowSeconds } = await readLagSamples(projector, 3600);
  const quotes = samples.filter(({ projection }) => projection === 'quotes');
  expect(quotes.length).toBeLessThanOrEqual(2);
  expect(Math.max(...quotes.map(({ lagSeconds }) => lagSeconds!))).toBe(5);
  expect(quotes.some(({ lagOffsets }) => lagOffsets === 5n)).toBe(true);
  for (const { atSeconds } of samples) {
    expect(atSeconds % 15).toBe(0);
    expect(nowSeconds - atSeconds).toBeLessThan(60);
  }
  await writeLagSamples(projector, [sample('quotes', null)]);
  await writeLagSamples(projector, [sample('quotes', 1)]);
  expect((await readLagSamples(projector, 3600)).samples.some(({ lagSeconds }) => lagSeconds === null)).toBe(true);
});

it('are kept for 25 hours', async () => {
  await owner.query(
    `INSERT INTO crosswalk.lag_sample SELECT 'quotes', now() - make_interval(hours => h), 1, 0 FROM unnest(ARRAY[24, 26, 100]) h`,
  );
  await writeLagSamples(projector, [sample('quotes', 1)]);
  const { rows } = await owner.query(
    "SELECT max(now() - at) < interval '25 hours' AS kept, count(*) AS n FROM crosswalk.lag_sample",
  );
  expect(rows).toEqual([{ kept: 't', n: '2' }]);
  expect((await readLagSamples(projector, 3600)).samples).toHaveLength(1);
});

it('are taken by a sampler that never throws, whatever the database does', async () => {
  const position = { sourceMicros: BigInt(Date.now()) * 1000n, snapshot: { quotes: { done: true } } } as never;
  const lags = [
    { projection: 'quotes', topic: 't', partition: 0, endOffset: 1n, nextOffset: 1n, lagOffsets: 0n, lagSeconds: 0 },
  ];
  const projections = [{ name: 'quotes', source: 'quotes' }];
  const lost = createLagSampler(`postgres://127.0.0.1:${await findFreePort()}/crm`, projections, {
    log: createLog('silent'),
  });
  lost.note(lags, position);
  const sampler = createLagSampler(databases.targetUrl, projections, { log: createLog('silent') });
  for (let n = 0; n < 5; n++) sampler.note(lags, position);
  await waitUntil(
    'a sample is there',
    async () => (await owner.query('SELECT FROM crosswalk.lag_sample')).rowCount === 1,
    20_000,
  );
});
