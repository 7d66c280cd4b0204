// Changes whose commit hangs are streamed and applied while nobody can see them in the legacy database: the new schema is ahead of what verification reads.
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnPostgres, startOwnPostgres } from '../../support/own-postgres.ts';
import { createVerifyRig, namesOf, type VerifyRig } from '../../support/verify-rig.ts';
import { waitUntil } from '../../support/wait-until.ts';

let server: OwnPostgres;
let pipeline: VerifyRig;
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await startOwnPostgres();
  pipeline = await createVerifyRig('verify_hang', { seed: 'hang', contacts: 120, quotes: 120, legacyUrl: server.url });
});
afterAll(async () => {
  await release();
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  await pipeline?.drop();
  await server?.close();
});

async function open(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url, application_name: 'writer' });
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}

const hang = () => server.admin(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, 'SELECT pg_reload_conf()');
const release = () => server?.admin('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');

async function ids(table: string, count: number): Promise<string[]> {
  const { rows } = await pipeline.legacy.query<{ id: string }>(
    `SELECT id FROM public.${table} ORDER BY id LIMIT ${count}`,
  );
  return rows.map(({ id }) => id);
}

test('what only the new schema shows yet is unsettled, and equal once it is visible', async () => {
  const quotes = await ids('quotes', 12);
  const contacts = await ids('contacts', 4);
  // Holds a lock beside the writers: the rows that both have in hand name several transactions at once.
  const locker = await open();
  await locker.query('BEGIN');
  await locker.query('SELECT FROM public.quotes WHERE id = ANY ($1) FOR KEY SHARE', [quotes.slice(0, 4)]);
  const writes: string[][] = [
    [`UPDATE public.quotes SET notes = 'hanging' WHERE id = '${quotes[0]}'`],
    // Only rows without lineage tell of this one: items that are gone.
    [
      `UPDATE public.quotes SET items = '[]' WHERE id = '${quotes[1]}'`,
      `UPDATE public.quotes SET items = '[{"name": "one"}, {"name": "two"}]' WHERE id = '${quotes[4]}'`,
    ],
    [
      'SAVEPOINT s',
      `UPDATE public.quotes SET total = 1234.5 WHERE id = '${quotes[2]}'`,
      'RELEASE s',
      'SAVEPOINT t',
      `UPDATE public.quotes SET phone = '+12015552777' WHERE id = '${quotes[5]}'`,
    ],
    [`DELETE FROM public.quotes WHERE id = '${quotes[6]}'`],
    [
      `INSERT INTO public.quotes (id, company_id, status, total, phone) VALUES ('11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111112', 'draft', 5, '+12015552778')`,
    ],
    [`UPDATE public.quotes SET id = '22222222-2222-4222-8222-222222222222' WHERE id = '${quotes[7]}'`],
    [
      `UPDATE public.contacts SET opted_out = NOT coalesce(opted_out, false), custom_fields = '{}' WHERE id = '${contacts[0]}'`,
    ],
    [
      `DELETE FROM public.quotes WHERE id = '${quotes[8]}'`,
      `UPDATE public.contacts SET lead_status = 'won' WHERE id = '${contacts[1]}'`,
    ],
  ];
  await hang();
  const probe = await open();
  await waitUntil('commits wait for a standby', async () => {
    const { rows } = await probe.query<{ value: string }>(
      `SELECT current_setting('synchronous_standby_names') AS value`,
    );
    return rows[0]!.value === 'nobody';
  });
  const commits = await Promise.all(
    writes.map(async (statements) => {
      const writer = await open();
      await writer.query('BEGIN');
      for (const statement of statements) await writer.query(statement);
      const commit = writer.query('COMMIT');
      commit.catch(() => undefined);
      return { commit };
    }),
  );
  await waitUntil('the new schema shows them all', async () => {
    const { rows } = await pipeline.target.query<{ done: string }>(
      `SELECT (SELECT count(*) FROM crm.quotes_new WHERE notes = 'hanging' OR id IN ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222') AND deleted_at IS NULL)
        + (SELECT count(*) FROM crm.leads WHERE contact_id = $1 AND status = 'won') AS done`,
      [contacts[1]],
    );
    return rows[0]!.done === '4';
  });
  // Everything that comes later is visible, and so are its transactions' ids: it is not enough that some later transaction has ended.
  await server.admin(`UPDATE public.quotes SET notes = 'visible' WHERE id = '${quotes[9]}'`);

  for (const suspectAll of [false, true]) {
    const during = await pipeline.verify({ chunkRows: 20, suspectAll, limits: { mostLooks: 7 } });
    const different = namesOf(during).filter((name) => !name.endsWith(' unsettled'));
    expect(different).toEqual([]);
    expect(during.tables.reduce((sum, { unsettled }) => sum + unsettled, 0)).toBeGreaterThanOrEqual(8);
    expect(during.ok).toBe(false);
  }

  await release();
  await Promise.all(commits.map(({ commit }) => commit));
  await locker.query('COMMIT');
  const after = await pipeline.verify();
  expect(namesOf(after)).toEqual([]);
  expect(after.ok).toBe(true);
}, 300_000);
