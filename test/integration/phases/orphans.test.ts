// Legacy rows that refer to rows which are not there are counted before anything is begun.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bareRow } from '../../support/legacy-shape.ts';
import { carry, createPhaseRig, type PhaseRig } from '../../support/phases.ts';

const NOBODY = 'f0000000-0000-4000-8000-000000000001';
let rig: PhaseRig;

beforeAll(async () => {
  rig = await createPhaseRig('orphans');
});
afterAll(async () => {
  await rig?.drop();
});

async function rowChecks() {
  const [result] = await carry(rig, ['prepare'], 'run');
  return result!.checks.filter(({ area, name }) => area === 'source' && name === 'rows');
}
const add = async (table: string, cells: Record<string, string>) => {
  const row = bareRow(table, 7, cells);
  const columns = Object.keys(row);
  await rig.legacy.query(
    `INSERT INTO public.${table} (${columns.join(', ')}) VALUES (${columns.map((_, at) => `$${at + 1}`).join(', ')})`,
    Object.values(row),
  );
};

test('none of a sound database', async () => {
  expect(await rowChecks()).toMatchObject([{ state: 'ok' }]);
});

test('rows whose parents are missing, and ids that two tables share', async () => {
  for (const [table, constraint] of [
    ['leads', 'leads_client_id_fkey'],
    ['clients', 'clients_converted_from_lead_id_fkey'],
    ['messages', 'messages_contact_id_fkey'],
  ])
    await rig.legacy.query(`ALTER TABLE public.${table} DROP CONSTRAINT ${constraint}`);
  expect(await rowChecks()).toMatchObject([{ state: 'ok' }]);
  await add('leads', { client_id: NOBODY });
  await add('clients', { converted_from_lead_id: NOBODY });
  await add('messages', { contact_id: NOBODY });
  const { rows } = await rig.legacy.query<{ id: string }>(
    `SELECT id FROM public.quotes WHERE btrim(lead_status) <> '' ORDER BY id LIMIT 1`,
  );
  await add('leads', { id: rows[0]!.id });
  expect(await rowChecks()).toMatchObject([
    { state: 'warning', what: '1 clients name a lead that is not there' },
    { state: 'failing', what: '1 leads name a client that is not there' },
    { state: 'failing', what: '1 messages name a contact that is not there' },
    { state: 'failing', what: '1 leads have the id of a quote that is a lead too' },
  ]);
});
