// A mistake in the mapping itself: recomputing with the same mapping cannot see it, SQL of its own does.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { startCli } from '../../support/connector-process.ts';
import { allProjections } from '../../support/crm.ts';
import { createVerifyRig, type VerifyRig } from '../../support/verify-rig.ts';

let pipeline: VerifyRig;

/** Loses the job's title. */
const wrongQuotes = {
  ...quotes,
  map: (...given: Parameters<typeof quotes.map>) => {
    const implied = quotes.map(...given);
    return {
      ...implied,
      rows: { ...implied.rows, jobs_new: implied.rows.jobs_new!.map((row) => ({ ...row, title: null })) },
    };
  },
};

beforeAll(async () => {
  pipeline = await createVerifyRig('verify_oracle', {
    ...{ seed: 'oracle', contacts: 60, quotes: 80 },
    projections: allProjections.map((projection) => (projection.name === quotes.name ? wrongQuotes : projection)),
  });
});
afterAll(() => pipeline?.drop());

test('verify finds nothing, the SQL oracle names what is wrong', async () => {
  expect((await pipeline.verify()).ok).toBe(true);
  const asked = startCli(['verify', '--oracle', 'sql', '--json'], { NODE_NO_WARNINGS: '1', ...pipeline.rig.env });
  expect(`${await asked.ended} ${asked.stderr()}`).toBe('1 ');
  const { ok, differences } = JSON.parse(asked.stdout()) as {
    ok: boolean;
    differences: { table: string; column: string; expected: string }[];
  };
  expect(ok).toBe(false);
  expect(new Set(differences.map(({ table, column }) => `${table}.${column}`))).toEqual(new Set(['jobs_new.title']));
  // No value is printed unless asked for.
  expect(new Set(differences.map(({ expected }) => expected.replace(/\d+/, 'n')))).toEqual(new Set(['(n characters)']));
});
