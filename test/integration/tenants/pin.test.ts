// The country that a workspace names: in the pinned configuration after `tenants pin`, named by doctor before.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { pinTenants } from '../../../cli/commands/tenants.ts';
import { findCountryDifferences } from '../../../pipelines/crm/pinned-countries.ts';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { createLegacySchema } from '../../../pipelines/crm/sample/load.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { crm, parseConfig } from '../../support/crm.ts';
import { createDatabases } from '../../support/stack.ts';

const BERLIN = '11111111-2222-4333-8444-000000000001';
let databases: Awaited<ReturnType<typeof createDatabases>>;
let legacy: pg.Client;
let folder: string;
const printed: string[] = [];
beforeAll(async () => {
  databases = await createDatabases('tenants');
  legacy = new pg.Client({ connectionString: databases.legacyUrl });
  await legacy.connect();
  await createLegacySchema(legacy);
  await legacy.query(
    `INSERT INTO public.workspaces (id, name, country) VALUES ($1, 'Berlin', 'de'), ('us', 'US', 'US'), ('none', 'None', NULL), ('odd', 'Odd', 'C '), (' ', 'Blank', 'GB')`,
    [BERLIN],
  );
  folder = mkdtempSync(join(tmpdir(), 'tenants-'));
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
});
afterAll(async () => {
  vi.restoreAllMocks();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  await legacy?.end();
  await databases?.drop();
});

const pin = async (file: string, options = {}) => {
  printed.length = 0;
  const config = parseConfig({ LEGACY_DATABASE_URL: databases.legacyUrl });
  expect(await pinTenants({ pipeline: crm, config }, { file, ...options })).toBe(true);
  return printed.join('');
};

test('is pinned beside what is there, and changes what a phone of its tenant is', async () => {
  const file = join(folder, 'tenants.json');
  const before = { default: { country: 'US' }, tenants: { [BERLIN]: { userId: '7' }, other: { country: 'FR' } } };
  writeFileSync(file, JSON.stringify(before));

  const preview = await pin(file, { dryRun: true });
  expect(preview).toContain(`${BERLIN}: country DE, was US`);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(before);

  expect(JSON.parse(await pin(file, { json: true }))).toEqual({
    ...{ file, written: true },
    differences: [
      { tenantId: 'unassigned', setting: 'country', legacy: 'GB', pinned: 'US' },
      { tenantId: BERLIN, setting: 'country', legacy: 'DE', pinned: 'US' },
    ],
  });
  const pinned = JSON.parse(readFileSync(file, 'utf8')) as unknown;
  expect(pinned).toEqual({
    default: { country: 'US' },
    tenants: { [BERLIN]: { userId: '7', country: 'DE' }, other: { country: 'FR' }, unassigned: { country: 'GB' } },
  });
  expect(await pin(file)).toContain('has every setting that the legacy database names');

  const quote = { id: BERLIN, company_id: BERLIN, phone: '030 9018345' };
  const contact = { id: BERLIN, workspace_id: BERLIN, phone_number: '030 9018345', opted_out: 't' };
  const keysOf = (configuration: unknown) => {
    const tenants = createTenants(configuration);
    const [customer] = quotes.map(quote, tenants).contributions;
    return [customer!.data.customer_key, contacts.map(contact, tenants).rows.contacts![0]!.phone_e164];
  };
  expect(keysOf(before)).toEqual([`q:${BERLIN}`, null]);
  expect(keysOf(pinned)).toEqual(['p:+49309018345', '+49309018345']);
});

test.each([
  ['{', /tenants\.json: .*JSON/],
  ['{"tenants": {"acme": {"country": "XX"}}}', /tenants\.json: tenants\.acme\.country must be a country/],
])('is not written into a file that holds %s', async (content, message) => {
  const file = join(folder, 'tenants.json');
  writeFileSync(file, content);
  const config = parseConfig({ LEGACY_DATABASE_URL: databases.legacyUrl });
  const refused = pinTenants({ pipeline: crm, config }, { file });
  await expect(refused).rejects.toMatchObject({
    ...{ code: 'config_invalid', message: expect.stringMatching(message) },
    remedy: expect.stringContaining('Correct the file'),
  });
  expect(readFileSync(file, 'utf8')).toBe(content);
});

test('is asked for only where the legacy schema has it', async () => {
  const tenants = createTenants({});
  expect(await findCountryDifferences(legacy, 'public', tenants)).toHaveLength(2);
  expect(await findCountryDifferences(legacy, 'elsewhere', tenants)).toEqual([]);
  await legacy.query('ALTER TABLE public.workspaces DROP country');
  expect(await findCountryDifferences(legacy, 'public', tenants)).toEqual([]);
});
