// Writers that never rest, on a few rows: what a verification must not take for a difference.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createRandom } from '../../pipelines/crm/sample/random.ts';

export interface HotRows {
  /** Transactions committed. */
  committed(): number;
  /** Ends every writer; throws what one of them met. */
  stop(): Promise<void>;
}

type Write = (client: pg.Client) => Promise<void>;

/**
 * Starts writers on existing rows of the sample: rows changed every few milliseconds, also in subtransactions and under shared locks, quotes that move from customer to customer and back,
 * rows that are deleted and put in again, contacts that opt in and out.
 */
export async function startHotRows(url: string, seed: string): Promise<HotRows> {
  const clients = await Promise.all(Array.from({ length: 6 }, () => open(url)));
  const [first] = clients as [pg.Client];
  const idsOf = async (table: string, count: number) => {
    const { rows } = await first.query<{ id: string }>(`SELECT id::text FROM public.${table} ORDER BY id LIMIT $1`, [
      count,
    ]);
    return rows.map(({ id }) => id);
  };
  const quotes = await idsOf('quotes', 24);
  const contacts = await idsOf('contacts', 12);
  const random = createRandom(`hot rows ${seed}`);
  const phones = ['+12015552743', '+12015552744', '+12015552745'];
  const writes: Write[] = [
    // The hottest one.
    (client) =>
      run(client, `UPDATE public.quotes SET notes = $2, updated_at = clock_timestamp() WHERE id = $1`, [
        quotes[0],
        String(random.int(0, 9)),
      ]),
    (client) =>
      run(
        client,
        `UPDATE public.quotes SET items = (ARRAY['[]', '[{"name": "a", "unit_price": 1}]', '[{"name": "a"}, {"name": "b"}, {"name": "c"}]'])[$2::int]::jsonb WHERE id = $1`,
        [random.pick(quotes.slice(1, 6)), String(random.int(1, 3))],
      ),
    // From customer to customer.
    (client) =>
      run(client, `UPDATE public.quotes SET phone = $2, address = $3, updated_at = clock_timestamp() WHERE id = $1`, [
        random.pick(quotes.slice(6, 12)),
        random.pick(phones),
        random.pick(['1 Main St', '2 Side St', null]),
      ]),
    // Put in again as it was, or a little different.
    async (client) => {
      const id = random.pick(quotes.slice(12, 18));
      const { rows } = await client.query<{ row: string }>(
        'SELECT to_jsonb(q)::text AS row FROM public.quotes q WHERE id = $1',
        [id],
      );
      if (rows[0] === undefined) return;
      await run(client, 'DELETE FROM public.quotes WHERE id = $1', [id]);
      await sleep(random.int(0, 30));
      await run(
        client,
        'INSERT INTO public.quotes SELECT * FROM jsonb_populate_record(NULL::public.quotes, $1::jsonb)',
        [rows[0].row],
      );
    },
    // A row that is locked by one transaction and changed by another in a subtransaction has several transactions in its xmax.
    async (client) => {
      const id = random.pick(quotes.slice(18, 24));
      await client.query('BEGIN');
      try {
        await client.query('SELECT FROM public.quotes WHERE id = $1 FOR KEY SHARE', [id]);
        await client.query('SAVEPOINT s');
        await client.query('UPDATE public.quotes SET notes = $2 WHERE id = $1', [id, String(random.int(0, 99))]);
        await client.query(random.chance(0.3) ? 'ROLLBACK TO s' : 'RELEASE s');
        await client.query('COMMIT');
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      }
    },
    (client) =>
      run(
        client,
        `UPDATE public.contacts SET opted_out = NOT coalesce(opted_out, false), custom_fields = (ARRAY['{}', '{"a": 1}', '{"a": 2, "b": 3}'])[$2::int]::jsonb, updated_at = clock_timestamp() WHERE id = $1`,
        [random.pick(contacts), String(random.int(1, 3))],
      ),
  ];
  let isStopped = false;
  let committed = 0;
  const lanes = clients.map(async (client, at) => {
    while (!isStopped) {
      try {
        await writes[at]!(client);
        committed += 1;
      } catch (error) {
        // Another writer was there first.
        if (!['23505', '23503', '40P01', '40001'].includes((error as { code?: string }).code ?? '')) throw error;
      }
      await sleep(at === 0 ? 3 : random.int(2, 40));
    }
  });
  return {
    committed: () => committed,
    async stop() {
      isStopped = true;
      try {
        await Promise.all(lanes);
      } finally {
        await Promise.all(clients.map((client) => client.end()));
      }
    },
  };
}

async function open(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'hot rows' });
  await client.connect();
  return client;
}

async function run(client: pg.Client, text: string, values: unknown[]): Promise<void> {
  await client.query(text, values);
}
