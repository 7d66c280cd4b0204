import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { quoteHistory } from '../../../pipelines/crm/projections/lead-history.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import type { LegacyRow, Projection } from '../../../projectors/projection.ts';
import { applySlices } from '../../../projectors/write/apply-changes.ts';
import { topicOf } from '../../support/change-log.ts';
import { pollUntil } from '../../support/poll.ts';
import { contactRow, createScriptedLog, quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';
import { dumpTarget, insertAppRows } from '../../support/target-database.ts';

const idAt = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const [A, B, C] = [idAt(1), idAt(2), idAt(3)];

let client: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;

useScriptedTarget('apply', 8, (target) => {
  ({ client, pool, log } = target);
});

const read = async (sql: string) => (await client.query(sql)).rows;
const liveQuotes = () => read('SELECT id, quote_number FROM crm.quotes_new WHERE deleted_at IS NULL ORDER BY id');
const openLetters = () =>
  read('SELECT legacy_key, reason FROM crosswalk.dead_letter WHERE resolved_at IS NULL ORDER BY record_offset');

/** The quotes projection, broken for rows that some condition holds for. */
function breaking(
  isBad: (row: LegacyRow) => boolean,
  fail: (row: LegacyRow) => ReturnType<Projection['map']>,
): Projection {
  return { ...quotes, map: (row, tenants) => (isBad(row) ? fail(row) : (quotes as Projection).map(row, tenants)) };
}
const throwing = breaking(
  (row) => row.quote_number === 'bad',
  (row) => {
    throw new TypeError(`a message that quotes ${row.quote_number}`);
  },
);
/** Maps to a value that PostgreSQL refuses. */
const refused = (cells: Record<string, string>) =>
  breaking(
    (row) => row.quote_number === 'bad',
    (row) => {
      const implied = quotes.map(row, createTenants({}));
      const rows = implied.rows.quotes_new!.map((quote) => ({ ...quote, ...cells }));
      return { ...implied, rows: { ...implied.rows, quotes_new: rows } };
    },
  );

describe('a batch', () => {
  it('is applied once: at any other offset nothing is written', async () => {
    const first = log.append('quotes', 0, quoteRow(A, { quote_number: '1' }));
    const second = log.append('quotes', 0, quoteRow(A, { quote_number: '2' }), quoteRow(B));
    await expect(log.applyAt('quotes', 0, second, 1n)).rejects.toMatchObject({ code: 'stale_consumer' });
    expect(await liveQuotes()).toEqual([]);
    await log.apply('quotes', 0, first);
    await log.apply('quotes', 0, second);
    const before = await dumpTarget(client, 'all');
    for (const [changes, expected] of [
      [first, 0n],
      [second, 1n],
      [second, 2n],
      [first, 3n + 1n],
    ] as const) {
      await expect(log.applyAt('quotes', 0, changes, expected)).rejects.toMatchObject({ code: 'stale_consumer' });
    }
    expect(await dumpTarget(client, 'all')).toEqual(before);
    expect(await liveQuotes()).toEqual([
      { id: A, quote_number: '2' },
      { id: B, quote_number: null },
    ]);
  });

  it('is applied once, too, by a history, which sends all of it before the first answer', async () => {
    const ofHistory = await createScriptedLog(pool, undefined, [quoteHistory]);
    // Nothing has to be read of rows that are new.
    const changes = ofHistory
      .append('quotes', 0, quoteRow(A), quoteRow(B))
      .map((change) => ({ ...change, op: 'c' as const }));
    const states = async () => (await read('SELECT count(*) AS n FROM crosswalk.history_state'))[0].n;
    await expect(ofHistory.applyAt('quotes', 0, changes, 1n)).rejects.toMatchObject({ code: 'stale_consumer' });
    expect(await states()).toBe('0');
    await ofHistory.apply('quotes', 0, changes);
    expect(await states()).toBe('2');
  });

  it('is applied once by two consumers that both believe they own its partition', async () => {
    const changes = log.append('quotes', 0, quoteRow(A), quoteRow(B));
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => log.applyAt('quotes', 0, changes, 0n)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'stale_consumer' });
    }
  });

  it('moves with those of the partitions applied beside it, or none of them does', async () => {
    const [first, second] = [log.append('quotes', 0, quoteRow(A)), log.append('quotes', 1, quoteRow(B))];
    const of = (partition: number, changes: typeof first, expected: bigint) => ({
      ...{ projection: 'quotes', topic: topicOf('quotes'), partition, changes, expected, next: expected + 1n },
    });
    const applier = { projection: quotes, tenants: createTenants({}), shapes: log.shapes };
    const stale = [of(0, first, 0n), of(1, second, 7n)];
    await expect(applySlices(pool, applier, stale)).rejects.toMatchObject({ code: 'stale_consumer' });
    expect(await liveQuotes()).toEqual([]);
    await applySlices(pool, applier, [of(0, first, 0n), of(1, second, 0n)]);
    expect((await liveQuotes()).map(({ id }) => id)).toEqual([A, B]);
  });

  it('moves with its rows or not at all', async () => {
    await client.query(
      `CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stop' USING ERRCODE = '57014'; END $$`,
    );
    await client.query(
      'CREATE TRIGGER fail BEFORE INSERT ON crm.payments FOR EACH ROW EXECUTE FUNCTION pg_temp.fail()',
    );
    const paid = { invoice_number: 'I', paid_at: '2024-01-01 00:00:00+00', total: '5.00' };
    const before = await dumpTarget(client, 'all');
    await expect(log.deliver('quotes', 0, quoteRow(A, paid))).rejects.toMatchObject({ code: '57014' });
    expect(await dumpTarget(client, 'all')).toEqual(before);
    await client.query('DROP TRIGGER fail ON crm.payments');
  });

  it('retracts what its last version no longer implies, and brings it back', async () => {
    const full = {
      invoice_number: 'I',
      paid_at: '2024-01-01 00:00:00+00',
      total: '5.00',
      items: '[{}, {}]',
      lead_status: 'x',
    };
    const counts = () =>
      read(`SELECT (SELECT count(*) FROM crm.quotes_new WHERE deleted_at IS NULL) AS quotes, (SELECT count(*) FROM crm.quote_items_new) AS items,
        (SELECT count(*) FROM crm.jobs_new WHERE deleted_at IS NULL) AS jobs, (SELECT count(*) FROM crm.invoices_new WHERE deleted_at IS NULL) AS invoices,
        (SELECT count(*) FROM crm.payments WHERE deleted_at IS NULL) AS payments, (SELECT count(*) FROM crm.leads WHERE deleted_at IS NULL) AS leads,
        (SELECT count(*) FROM crm.rejects) AS rejects, (SELECT count(*) FROM crm.customers WHERE deleted_at IS NULL) AS customers`);
    const whole = [
      { quotes: '1', items: '2', jobs: '1', invoices: '1', payments: '1', leads: '1', rejects: '1', customers: '1' },
    ];
    const nothing = [
      { quotes: '0', items: '0', jobs: '0', invoices: '0', payments: '0', leads: '0', rejects: '0', customers: '0' },
    ];
    await log.deliver('quotes', 0, quoteRow(A, full));
    expect(await counts()).toEqual(whole);
    await log.deliver('quotes', 0, quoteRow(A, { ...full, paid_at: null, items: '[{}]' }));
    expect(await counts()).toMatchObject([{ items: '1', payments: '0', invoices: '1' }]);
    await log.deliver('quotes', 0, { deleted: A });
    expect(await counts()).toEqual(nothing);
    expect(await read(`SELECT deleted_at, source_committed_at = deleted_at AS same FROM crm.payments`)).toEqual([
      { deleted_at: '2024-06-01 10:00:02+00', same: 't' },
    ]);
    expect(await read(`SELECT deleted_at FROM crm.quotes_new UNION ALL SELECT deleted_at FROM crm.customers`)).toEqual([
      { deleted_at: '2024-06-01 10:00:03+00' },
      { deleted_at: '2024-06-01 10:00:03+00' },
    ]);
    await log.deliver('quotes', 0, quoteRow(A, full));
    expect(await counts()).toEqual(whole);
  });
});

describe('a customer', () => {
  const superseded = () =>
    read(
      `SELECT c.customer_key AS key, s.customer_key AS by, c.deleted_at IS NOT NULL AS deleted FROM crm.customers c LEFT JOIN crm.customers s ON s.id = c.superseded_by ORDER BY 1`,
    );

  it('that its last quote has left names the one it moved to, and none when that was deleted', async () => {
    await log.deliver('quotes', 0, quoteRow(A, { email: 'one@x.org' }));
    await log.deliver('quotes', 1, quoteRow(B, { email: 'one@x.org' }));
    await log.deliver('quotes', 0, quoteRow(A, { email: 'two@x.org' }));
    expect(await superseded()).toMatchObject([{ key: 'e:one@x.org', by: null, deleted: 'f' }, { key: 'e:two@x.org' }]);
    await log.deliver('quotes', 1, quoteRow(B, { email: 'three@x.org' }));
    expect((await superseded())[0]).toEqual({ key: 'e:one@x.org', by: 'e:three@x.org', deleted: 't' });
    await log.deliver('quotes', 0, { deleted: A });
    expect((await superseded())[2]).toEqual({ key: 'e:two@x.org', by: null, deleted: 't' });
    await log.deliver('quotes', 2, quoteRow(C, { email: 'one@x.org' }));
    expect((await superseded())[0]).toEqual({ key: 'e:one@x.org', by: null, deleted: 'f' });
  });

  it('is folded from what another session is about to commit, too', async () => {
    const holder = await pool.connect();
    try {
      await holder.query('SELECT pg_advisory_lock(7)');
      await client.query(
        `CREATE FUNCTION pg_temp.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$`,
      );
      await client.query(
        'CREATE TRIGGER hold AFTER INSERT ON crm.customers FOR EACH ROW EXECUTE FUNCTION pg_temp.hold()',
      );
      const untilWaiting = (sessions: number) =>
        pollUntil(
          () => read(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`),
          (rows) => rows.length === sessions,
        );
      const named = log.deliver('quotes', 0, quoteRow(A, { email: 'one@x.org', customer_name: 'Ann' }));
      await untilWaiting(1);
      const other = log.deliver('quotes', 1, quoteRow(B, { email: 'one@x.org', phone: 'none' }));
      await untilWaiting(2);
      await holder.query('SELECT pg_advisory_unlock(7)');
      await Promise.all([named, other]);
      expect(await read('SELECT name, phone_raw FROM crm.customers')).toEqual([{ name: 'Ann', phone_raw: 'none' }]);
    } finally {
      holder.release(true);
      await client.query('DROP TRIGGER IF EXISTS hold ON crm.customers');
    }
  });

  it('is written by four at once without a deadlock, and no contribution is lost', async () => {
    const random = createRandom('four writers');
    const emails = Array.from({ length: 6 }, (_, n) => `shared${n}@x.org`);
    const last = new Map<string, string>();
    const writer = async (partition: number) => {
      for (let batch = 0; batch < 50; batch++) {
        const ids = [...new Set(Array.from({ length: 6 }, () => idAt(partition * 100 + random.int(0, 9))))];
        const rows = ids.map((id) => {
          const email = random.pick(emails);
          last.set(id, email);
          return quoteRow(id, { email, customer_name: id });
        });
        const outcome = await log.deliver('quotes', partition, ...rows);
        expect(outcome).toMatchObject({ parked: 0, defects: [] });
      }
    };
    await Promise.all([0, 1, 2, 3].map(writer));
    const expected = [...Map.groupBy(last, ([, email]) => email)].map(([email, entries]) => ({
      email,
      // Times are alike, so the greatest key wins.
      name: entries
        .map(([id]) => id)
        .toSorted()
        .at(-1),
    }));
    const customers = await read(`SELECT email, name FROM crm.customers WHERE deleted_at IS NULL ORDER BY email`);
    expect(customers).toEqual(expected.toSorted((a, b) => (a.email < b.email ? -1 : 1)));
    expect(await read(`SELECT count(*) AS n FROM crosswalk.contribution WHERE live`)).toEqual([
      { n: String(last.size) },
    ]);
  });
});

describe('a defect', () => {
  it('harms its row alone: the last good version stays until a later one resolves it', async () => {
    log.replace(throwing);
    await log.deliver('quotes', 0, quoteRow(A, { quote_number: '1' }));
    const outcome = await log.deliver(
      'quotes',
      0,
      quoteRow(A, { quote_number: '2' }),
      quoteRow(A, { quote_number: 'bad' }),
      quoteRow(B, { quote_number: 'bad' }),
      quoteRow(C, { quote_number: '3' }),
    );
    expect(outcome.defects).toHaveLength(2);
    expect(await liveQuotes()).toEqual([
      { id: A, quote_number: '2' },
      { id: C, quote_number: '3' },
    ]);
    // Never a value: the message of the error quotes one.
    expect(await openLetters()).toEqual([
      { legacy_key: A, reason: 'map threw TypeError' },
      { legacy_key: B, reason: 'map threw TypeError' },
    ]);
    expect(
      await read('SELECT next_offset FROM crosswalk.consumer_offset WHERE topic = $$legacy.quotes$$ AND partition = 0'),
    ).toEqual([{ next_offset: '5' }]);
    await log.deliver('quotes', 0, quoteRow(B, { quote_number: '4' }));
    expect(await openLetters()).toMatchObject([{ legacy_key: A }]);
    await log.deliver('quotes', 0, { deleted: A });
    expect(await openLetters()).toEqual([]);
    expect(await liveQuotes()).toEqual([
      { id: B, quote_number: '4' },
      { id: C, quote_number: '3' },
    ]);
  });

  it.each([
    ['an overflow', { total: `1e131072` }, /^22003/],
    ['a text that is no number', { total: 'many' }, /^22P02/],
    ['a missing customer id', { customer_id: null as unknown as string }, /^23502 quotes_new/],
  ])('%s that PostgreSQL refuses leaves the version before in place', async (_, cells, reason) => {
    log.replace(refused(cells));
    await log.deliver('quotes', 0, quoteRow(A, { quote_number: '1' }));
    await log.deliver(
      'quotes',
      0,
      quoteRow(A, { quote_number: '2' }),
      quoteRow(A, { quote_number: 'bad' }),
      quoteRow(B),
    );
    expect(await liveQuotes()).toEqual([
      { id: A, quote_number: '2' },
      { id: B, quote_number: null },
    ]);
    expect(await openLetters()).toEqual([{ legacy_key: A, reason: expect.stringMatching(reason) }]);
  });

  it('its letter is written with the offset or neither is', async () => {
    log.replace(throwing);
    await client.query(
      `CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stop' USING ERRCODE = '57014'; END $$`,
    );
    await client.query(
      'CREATE TRIGGER refuse BEFORE INSERT ON crosswalk.dead_letter FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse()',
    );
    try {
      const before = await dumpTarget(client, 'all');
      const changes = [quoteRow(A, { quote_number: 'bad' }), quoteRow(B)];
      await expect(log.deliver('quotes', 0, ...changes)).rejects.toMatchObject({ code: '57014' });
      expect(await dumpTarget(client, 'all')).toEqual(before);
    } finally {
      await client.query('DROP TRIGGER refuse ON crosswalk.dead_letter');
    }
  });

  it('among a thousand rows harms one', async () => {
    log.replace(refused({ total: 'many' }));
    const rows = Array.from({ length: 1000 }, (_, n) => quoteRow(idAt(n), n === 617 ? { quote_number: 'bad' } : {}));
    const outcome = await log.deliver('quotes', 0, ...rows);
    expect(outcome.applied).toHaveLength(999);
    expect(await read('SELECT count(*) AS n FROM crm.quotes_new')).toEqual([{ n: '999' }]);
    expect(await openLetters()).toMatchObject([{ legacy_key: idAt(617) }]);
  });
});

describe('rows of the application', () => {
  it('are never touched, even where a projected row has the same id', async () => {
    await insertAppRows(client);
    await client.query(
      `INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id, phone_number) VALUES ($1, 'app', 1, 1, 'mine')`,
      [A],
    );
    await client.query(`INSERT INTO crm.leads (tenant_id, contact_id, status) VALUES ('app', $1, 'new')`, [A]);
    const before = await dumpTarget(client, 'app');
    await log.deliver('contacts', 0, contactRow(A, { phone_number: '2015552788', thread_id: 'own', city: 'X' }));
    await log.deliver(
      'contacts',
      0,
      contactRow(A, { phone_number: '2015552700', thread_id: 't1', city: 'X', opted_out: 't' }),
    );
    await log.deliver('contacts', 0, { deleted: A });
    await log.deliver('quotes', 0, quoteRow(B, { phone: '2015552700', address: '1 Main St' }));
    await log.deliver('quotes', 0, { deleted: B });
    expect(await dumpTarget(client, 'app')).toEqual(before);
  });
});
