// A legacy table without a column that the mapping names, and with one that no rule names: doctor tells both, and neither is a failure.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toLines } from '../../../cli/commands/doctor.ts';
import type { Check } from '../../../monitor/checks.ts';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { workspaces } from '../../../pipelines/crm/projections/workspaces.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { readSourceChecks, sources } from '../../support/crm.ts';

const GONE = 'instagram_handle';
const root = fileURLToPath(new URL('../../..', import.meta.url));
let rig: ConnectorRig;

beforeAll(async () => {
  const schema = readFileSync(new URL('../../../pipelines/crm/sample/legacy-schema.sql', import.meta.url), 'utf8');
  rig = await createConnectorRig('columns', {
    schema: `${schema}; ALTER TABLE public.contacts DROP COLUMN ${GONE}; ALTER TABLE public.contacts ADD COLUMN spouse text;`,
    env: { CROSSWALK_TABLES: sources.join(), LOG_LEVEL: 'silent' },
  });
});
afterAll(() => rig?.drop());

/** The projection of contacts, naming the column without requiring it, or requiring it. */
const naming = (isRequired: boolean): Projection => {
  return { ...contacts, requires: isRequired ? [...contacts.requires, GONE] : contacts.requires };
};
const columnChecks = async (projections: readonly Projection[]): Promise<Check[]> =>
  (await readSourceChecks(rig.legacy, rig.config, null, AbortSignal.timeout(30_000), projections)).filter(
    ({ name }) => name === 'columns',
  );

test('a column that is named and not there, and one that is there and not named, are notes', async () => {
  const checks = await columnChecks([naming(false), workspaces]);
  expect(checks).toMatchObject([
    { area: 'source', state: 'note', what: expect.stringContaining(`Legacy table contacts lacks ${GONE}: `) },
    {
      area: 'source',
      state: 'note',
      what: expect.stringContaining('Legacy table contacts has spouse, which no rule names'),
    },
    {
      area: 'source',
      state: 'note',
      what: expect.stringContaining('Legacy table workspaces has industry, which no rule names'),
    },
  ]);
  expect(toLines(checks).join('\n')).toMatch(/^note {5}source columns +Legacy table contacts lacks instagram_handle/);
});

test('a column that is required and not there fails: its projection stops', async () => {
  expect((await columnChecks([naming(true)])).map(({ state }) => state)).toEqual(['failing', 'note']);
});

test('doctor prints them, also as JSON', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['cli/main.ts', 'doctor', ...args], {
      cwd: root,
      env: { PATH: process.env.PATH, CROSSWALK_ENV_FILE: '/nowhere/env', ...rig.env },
      encoding: 'utf8',
    }).stdout;
  expect(run()).toMatch(/^note +source columns +Legacy table contacts has .*spouse.*, which no rule names/m);
  const { checks } = JSON.parse(run('--json')) as { checks: Check[] };
  expect(checks).toContainEqual(
    expect.objectContaining({
      area: 'source',
      name: 'columns',
      state: 'note',
      what: expect.stringContaining('spouse'),
    }),
  );
  expect(checks.some(({ name, what }) => name === 'columns' && what.includes(`lacks ${GONE}`))).toBe(true);
});
