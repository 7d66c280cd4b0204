// Rows that are refused, thrown out or huge, among healthy ones: what they cost is counted in statements, never in time.

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { createProjectorPool } from '../../support/crm.ts';
import { pollUntil } from '../../support/poll.ts';
import { contactRow, createScriptedLog, optionRow, quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { createDatabases } from '../../support/stack.ts';
import { clearTarget, openTarget } from '../../support/target-database.ts';

const idAt = (n: number) => `e0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const [A, B, C, D, E] = [1, 2, 3, 4, 5].map(idAt) as [string, string, string, string, string];

let databases: Awaited<ReturnType<typeof createDatabases>>;
let client: pg.Client;
let pool: pg.Pool;
let log: ScriptedLog;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  databases = await createDatabases('poison');
  client = await openTarget(databases.targetUrl);
  pool = createProjectorPool(databases.targetUrl, 'projector', 4);
  // The names of contacts decide: what the new schema refuses by a check, or by a trigger of the application.
  await client.query(`ALTER TABLE crm.contacts ADD CONSTRAINT contacts_name_check CHECK (name <> 'unchecked')`);
  await client.query(`CREATE FUNCTION crm.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.name = 'triggered' THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$`);
  await client.query(
    'CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON crm.contacts FOR EACH ROW EXECUTE FUNCTION crm.refuse()',
  );
});
beforeEach(async () => {
  await clearTarget(client);
  log = await createScriptedLog(pool);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const retry of open.splice(0)) await retry.close();
});
afterAll(async () => {
  await pool?.end();
  await client?.end();
  await databases?.drop();
});

const read = async (sql: string) => (await client.query(sql)).rows;
const letters = () =>
  read('SELECT legacy_key AS key, reason FROM crosswalk.dead_letter WHERE resolved_at IS NULL ORDER BY legacy_key');
const live = async () =>
  (await read('SELECT id FROM crm.contacts WHERE deleted_at IS NULL ORDER BY id')).map((row) => row.id);

/** Statements that a delivery took. */
async function countStatements(work: () => Promise<unknown>): Promise<number> {
  const spy = vi.spyOn(pg.Client.prototype, 'query');
  await work();
  const { length } = spy.mock.calls;
  spy.mockRestore();
  return length;
}

describe('a batch with bad rows', () => {
  const ROWS = 400;
  const NAMES: [string, Record<string, string>, RegExp][] = [
    ['a check', { name: 'unchecked' }, /^23514 contacts contacts_name_check$/],
    ['a value that does not fit', { created_at: 'never' }, /^22007/],
    ['a text that PostgreSQL cannot hold', { name: 'a\0b' }, /^22P05/],
    ['invalid UTF-16', { name: 'a\ud800b' }, /^22P02/],
  ];

  it.each(NAMES)('in ten, by %s, costs a few statements for each of them', async (_, cells, reason) => {
    const isBad = (n: number) => n % 10 === 3;
    const rows = Array.from({ length: ROWS }, (_, n) => contactRow(idAt(n), isBad(n) ? cells : {}));
    const statements = await countStatements(() => log.deliver('contacts', 0, ...rows));
    expect(await live()).toEqual(rows.map(({ id }) => id).filter((_, n) => !isBad(n)));
    const found = await letters();
    expect(found.map(({ key }) => key)).toEqual(rows.map(({ id }) => id).filter((_, n) => isBad(n)));
    for (const letter of found) expect(letter.reason).toMatch(reason);
    // One by one it would be thousands.
    expect(statements).toBeLessThan(5 * (ROWS / 10) + 60);
  });

  it.each([
    ['a parent that is missing', { lead_status_id: '404' }],
    ['a unique value that is taken', { phone_number: 'taken' }],
  ])('in ten, by %s, lets them wait at the same price', async (_, cells) => {
    await log.deliver('contacts', 1, contactRow(idAt(9999), { phone_number: 'taken' }));
    const rows = Array.from({ length: ROWS }, (_, n) => contactRow(idAt(n), n % 10 === 3 ? cells : {}));
    const statements = await countStatements(() => log.deliver('contacts', 0, ...rows));
    expect(await live()).toHaveLength(ROWS - ROWS / 10 + 1);
    expect(await read('SELECT count(*) AS n FROM crosswalk.parked_change')).toEqual([{ n: String(ROWS / 10) }]);
    expect(statements).toBeLessThan(5 * (ROWS / 10) + 60);
  });

  it('that only a trigger refuses is halved: a logarithm of statements for each', async () => {
    const random = createRandom('triggers');
    const bad = new Set(Array.from({ length: 12 }, () => random.int(0, ROWS - 1)));
    const rows = Array.from({ length: ROWS }, (_, n) => contactRow(idAt(n), bad.has(n) ? { name: 'triggered' } : {}));
    const statements = await countStatements(() => log.deliver('contacts', 0, ...rows));
    expect(await live()).toHaveLength(ROWS - bad.size);
    expect(await letters()).toEqual([...bad].sort((a, b) => a - b).map((n) => ({ key: idAt(n), reason: 'P0001' })));
    expect(statements).toBeLessThan(bad.size * Math.ceil(Math.log2(ROWS)) * 2 * 7);
  });

  it('of every kind at once harms none of the others', async () => {
    await log.deliver('contacts', 1, contactRow(idAt(9999), { phone_number: 'taken' }));
    const kinds = [
      ...NAMES.map(([, cells]) => cells),
      { name: 'triggered' },
      { lead_status_id: '404' },
      { phone_number: 'taken' },
      { thread_id: 'twice' },
    ];
    const random = createRandom('every kind');
    const rows = Array.from({ length: 200 }, (_, n) =>
      random.chance(0.2) ? { cells: random.pick(kinds), id: idAt(n) } : { cells: {}, id: idAt(n) },
    );
    const twice = rows.filter(({ cells }) => 'thread_id' in cells).map(({ id }) => id);
    const good = rows.filter(({ cells }) => Object.keys(cells).length === 0).map(({ id }) => id);
    await log.deliver('contacts', 0, ...rows.map(({ id, cells }) => contactRow(id, cells)));
    expect(twice.length).toBeGreaterThan(1);
    // One of those that claim the same value has it.
    expect((await live()).filter((id) => !twice.includes(id))).toEqual([...good, idAt(9999)]);
    expect((await live()).filter((id) => twice.includes(id))).toHaveLength(1);
  });

  it('is parted all the same where the rules cannot be looked at', async () => {
    // The expression of this check fails on the values of others.
    await client.query(`ALTER TABLE crm.contacts ADD CONSTRAINT contacts_market_check CHECK (market::int > 0)`);
    try {
      const cells = [{}, { market: '0' }, { market: 'none' }, { market: '1' }];
      await log.deliver('contacts', 0, ...cells.map((some, n) => contactRow(idAt(n), some)));
      expect(await live()).toEqual([idAt(0), idAt(3)]);
      expect(await letters()).toMatchObject(
        [{ reason: /23514/ }, { reason: /22P02/ }].map(({ reason }) => ({ reason: expect.stringMatching(reason) })),
      );
    } finally {
      await client.query('ALTER TABLE crm.contacts DROP CONSTRAINT contacts_market_check');
    }
  });

  it('whose map throws costs nothing but its letters', async () => {
    const rows = Array.from({ length: ROWS }, (_, n) => contactRow(idAt(n), n % 10 === 3 ? { name: 'bad' } : {}));
    const map: Projection['map'] = (row, tenants) => {
      if (row.name === 'bad') throw new TypeError('no');
      return (contacts as Projection).map(row, tenants);
    };
    log.replace({ ...contacts, map });
    expect(await countStatements(() => log.deliver('contacts', 0, ...rows))).toBeLessThan(20);
    expect(await letters()).toHaveLength(ROWS / 10);
  });

  it('of one id is a letter where its projection implies a row twice', async () => {
    const map: Projection['map'] = (row, tenants) => {
      const implied = (contacts as Projection).map(row, tenants);
      const { contacts: own = [] } = implied.rows;
      return row.id === B ? { ...implied, rows: { ...implied.rows, contacts: [...own, ...own] } } : implied;
    };
    log.replace({ ...contacts, map });
    await log.deliver('contacts', 0, contactRow(A), contactRow(B), contactRow(C));
    expect(await live()).toEqual([A, C]);
    expect(await letters()).toEqual([{ key: B, reason: '21000' }]);
  });
});

// Random, so that compression does not make it small.
const hex = (bytes: number) => randomBytes(bytes).toString('hex');

describe('a large value', () => {
  it('of ten megabytes is applied like any other', async () => {
    const notes = hex(5_000_000);
    await log.deliver('contacts', 0, contactRow(A), contactRow(B, { notes }), contactRow(C));
    expect(await live()).toEqual([A, B, C]);
    expect(await read(`SELECT md5(notes) = md5('${notes}') AS same FROM crm.leads WHERE contact_id = '${B}'`)).toEqual([
      { same: 't' },
    ]);
  });

  it.each(['thread_id', 'lead_source'])(
    'of %s that no index holds is a letter, and is parted from its batch',
    async (column) => {
      await log.deliver('contacts', 0, contactRow(A), contactRow(B, { [column]: hex(10_000) }), contactRow(C));
      expect(await live()).toEqual([A, C]);
      expect(await letters()).toEqual([{ key: B, reason: expect.stringMatching(/^54000/) }]);
      await log.deliver('contacts', 0, contactRow(B, { [column]: 'short' }));
      expect(await letters()).toEqual([]);
    },
  );

  it('of ten megabytes in a letter can be parked and written with others', async () => {
    const notes = 'x'.repeat(10_000_000);
    await log.deliver(
      'contacts',
      0,
      contactRow(A, { notes, lead_status_id: '5' }),
      contactRow(B),
      contactRow(C, { notes, name: 'unchecked' }),
    );
    expect(await letters()).toMatchObject([{ key: C }]);
    await log.deliver('status_options', 0, optionRow('5'));
    open.push(log.retryParked('contacts'));
    await pollUntil(live, (ids) => ids.length === 2);
  });
});

describe('values that go round in a circle', () => {
  const phone = (id: string, phone_number: string) => contactRow(id, { phone_number });
  const phones = async () =>
    Object.fromEntries(
      (await read('SELECT id, phone_number FROM crm.contacts')).map((row) => [row.id, row.phone_number]),
    );

  // The clash stands where halving parts the circle, wherever that is.
  it.each([[0], [1], [2], [3]])('are applied in one batch with a clash for good at place %i', async (place) => {
    await log.deliver('contacts', 0, phone(A, 'x'), phone(B, 'y'), phone(C, 'z'), phone(D, 'w'));
    const circle = [phone(A, 'y'), phone(B, 'z'), phone(C, 'x')];
    await log.deliver('contacts', 0, ...circle.toSpliced(place, 0, phone(E, 'w')));
    expect(await phones()).toEqual({ [A]: 'y', [B]: 'z', [C]: 'x', [D]: 'w' });
  });

  it.each([[1], [2]])('are applied from where they are parked, the clash being the change number %i', async (place) => {
    await log.deliver('contacts', 0, phone(A, 'x'), phone(B, 'y'), phone(C, 'z'), phone(D, 'w'));
    for (const change of [phone(A, 'y'), phone(B, 'z'), phone(C, 'x')].toSpliced(place, 0, phone(E, 'w')))
      await log.deliver('contacts', 0, change);
    open.push(log.retryParked('contacts'));
    await pollUntil(
      () => read('SELECT FROM crosswalk.parked_change'),
      (rows) => rows.length === 0,
    );
    expect(await phones()).toEqual({ [A]: 'y', [B]: 'z', [C]: 'x', [D]: 'w' });
    expect(await letters()).toMatchObject([{ key: E }]);
  });

  it('are applied beside rows that nothing foresees to fail', async () => {
    await log.deliver('contacts', 0, phone(A, 'x'), phone(B, 'y'));
    await log.deliver(
      'contacts',
      0,
      phone(A, 'y'),
      contactRow(C, { name: 'triggered' }),
      contactRow(D, { name: 'triggered' }),
      phone(B, 'x'),
    );
    expect(await phones()).toEqual({ [A]: 'y', [B]: 'x' });
    expect(await letters()).toMatchObject([{ key: C }, { key: D }]);
  });
});

describe('numbers out of range', () => {
  it('in items are rejects, and no letters', async () => {
    const items = '[{"quantity": 1e2000}, {"unit_price": "1e400", "total": "NaN", "sort_order": 99999999999}]';
    await log.deliver('quotes', 0, quoteRow(A, { items, total: 'NaN' }));
    expect(await read('SELECT path FROM crm.rejects ORDER BY path')).toEqual(
      ['items[1].quantity', 'items[2].sort_order', 'items[2].total', 'total'].map((path) => ({ path })),
    );
    expect(await letters()).toEqual([]);
  });
});
