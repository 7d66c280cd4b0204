// The benchmark's own projection copies a table as it is, and the check behind it sees when it does not.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { flatQuotes, flatTable } from '../../bench/flat/flat-quotes.ts';
import { assertCopied } from '../../bench/workload.ts';
import { createVerifyRig, type VerifyRig } from '../support/verify-rig.ts';

let pipeline: VerifyRig;

beforeAll(async () => {
  pipeline = await createVerifyRig('bench_flat', {
    ...{ seed: 'bench-flat', contacts: 20, quotes: 200, projections: [flatQuotes], targetSchema: flatTable },
  });
}, 120_000);
afterAll(async () => await pipeline?.drop());

const check = async () => {
  const { legacy, target } = pipeline;
  const { rows } = await legacy.query<{ count: string }>('SELECT count(*)::text AS count FROM public.quotes');
  const lastRow = Number(rows[0]!.count);
  await assertCopied({ legacy, target, lastRow, ownerUrl: '', visibleIn: 'crm.quotes' }, 'crm.quotes');
};

it('copies the rows that are there, those that change, and those that go', async () => {
  await check();
  await pipeline.legacy.query(`UPDATE public.quotes SET notes = 'changed', total = total + 1 WHERE id::text < 'a'`);
  await pipeline.legacy.query(`DELETE FROM public.quotes WHERE id::text > 'e'`);
  await pipeline.untilApplied();
  await check();
});

it('refuses a copy that differs in one cell, and one that lacks a row', async () => {
  const one = 'id = (SELECT min(id::text)::uuid FROM crm.quotes)';
  await pipeline.target.query(`UPDATE crm.quotes SET notes = 'another' WHERE ${one}`);
  await expect(check()).rejects.toThrow('not the same rows');
  await pipeline.target.query(`DELETE FROM crm.quotes WHERE ${one}`);
  await expect(check()).rejects.toThrow(/\d+ legacy quotes .* rows in crm\.quotes/);
});
