// A small legacy world in which everything collides: few phones, few people, few ids, used again and again.
import pg from 'pg';
import { type ColumnTypes, insertRows, readColumnTypes } from '../../pipelines/crm/sample/insert-rows.ts';
import type { Random } from '../../pipelines/crm/sample/random.ts';
import { contactRow } from '../../pipelines/crm/sample/rows/contacts.ts';
import { spellPhone } from '../../pipelines/crm/sample/rows/phones.ts';
import { quoteRow } from '../../pipelines/crm/sample/rows/quotes.ts';
import type { Row, Setting } from '../../pipelines/crm/sample/rows/row.ts';
import { HISTORY_TABLES } from './legacy-history.ts';
import { legacyKeyOf, legacyKeySql, legacyTable, legacyTables } from './legacy-shape.ts';
import { anyRowOf } from './random-rows.ts';

export const WORKSPACES = [
  'c0000000-0000-4000-8000-00000000000a',
  'c0000000-0000-4000-8000-00000000000b',
  'ws-c',
] as const;
const COMPANIES = [...WORKSPACES.slice(0, 2), null] as const;
const idOf = (kind: string, n: number) => `${kind}000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const CONTACTS = Array.from({ length: 24 }, (_, n) => idOf('a0', n));
const QUOTES = Array.from({ length: 24 }, (_, n) => idOf('b0', n));
const CLIENTS = Array.from({ length: 6 }, (_, n) => idOf('c1', n));
const LEADS = Array.from({ length: 6 }, (_, n) => idOf('e0', n));
const CAMPAIGNS = Array.from({ length: 3 }, (_, n) => idOf('c0', n));
const OPTIONS = Array.from({ length: 6 }, (_, n) => String(n + 1));
const THREADS = ['t1', 't2', 't3', 't4', null];
const EMAILS = ['ada@example.org', 'ADA@example.org ', 'bob@example.org', 'noreply@example.org', 'x', ' ', null];
const NAMES = ['Ada', 'Bob', 'cash', 'ＪＯ', null];
const ADDRESSES = ['1 Main St', '1, MAIN ST.', '2 Side Rd', '-', null];
const STATUSES = ['draft', 'sent', 'accepted', ' Completed', 'scheduled', 'odd', ' ', null];
const LEAD_STATUSES = ['new', 'Converted', 'won', 'purple', '', null];
const PRICES = ['0.00', '10.00', '10.5', 'NaN', '9999999999.99', null];
const ITEMS = [
  '[]',
  '[{"name": "A", "quantity": "2.50", "unit_price": 3}, {"total": "x"}, 7]',
  '"[{}]"',
  '{"a": 1}',
  null,
];

/** A statement; answers how many rows it changed. */
type Step = (write: Writer) => Promise<number>;

interface Writer {
  insert(table: string, row: Row): Promise<number>;
  /** `key`: as changes name it. */
  update(table: string, key: string, set: Row): Promise<number>;
  /** With the rows of arbitrary cells that refer to it. */
  remove(table: string, key: string): Promise<number>;
}
/** Tables whose rows are made up here with what matters of them; any other one has rows of arbitrary cells. */
const MADE_UP = ['workspaces', 'status_options', 'contacts', 'quotes'];

const CONFLICTS = ['23505', '23503'];

/** Executes random transactions until at least so many row changes have been committed; those that violate a constraint are rolled back. */
export async function writeHistory(client: pg.Client, random: Random, seed: string, changes: number): Promise<void> {
  const types = await readColumnTypes(client, HISTORY_TABLES);
  const write = createWriter(client, types);
  const world = createWorld(random, seed);
  let written = 0;
  for (let round = 0, ended = false; !ended; round++) {
    ended = written >= changes;
    const transactions =
      round === 0 ? world.firstTransactions() : ended ? world.lastTransactions() : world.nextTransactions();
    for (const steps of transactions) {
      let rows = 0;
      await client.query('BEGIN');
      try {
        for (const step of steps) rows += await step(write);
        await client.query('COMMIT');
        written += rows;
      } catch (error) {
        await client.query('ROLLBACK');
        if (!(error instanceof pg.DatabaseError) || !CONFLICTS.includes(error.code ?? '')) throw error;
      }
    }
  }
}

function createWriter(client: pg.Client, types: ReadonlyMap<string, ColumnTypes>): Writer {
  return {
    insert: async (table, row) => {
      await client.query('SAVEPOINT insertion');
      try {
        return await insertRows(client, table, types.get(table)!, [row]);
      } catch (error) {
        // The row is there: it is changed instead.
        if ((error as pg.DatabaseError).constraint !== `${table}_pkey`) throw error;
        await client.query('ROLLBACK TO SAVEPOINT insertion');
        const { key } = legacyTable(table);
        const set = Object.fromEntries(Object.entries(row).filter(([column]) => !key.includes(column)));
        return await updateRow(client, table, legacyKeyOf(table, row), set);
      }
    },
    update: (table, id, set) => updateRow(client, table, id, set),
    remove: async (table, key) => {
      let rows = 0;
      for (const { name, columns } of legacyTables.values()) {
        if (MADE_UP.includes(name)) continue;
        for (const column of columns.filter(({ references }) => references === table))
          rows += (await client.query(`DELETE FROM ${name} WHERE ${column.name}::text = $1`, [key])).rowCount ?? 0;
      }
      const deletion = `DELETE FROM ${table} t WHERE ${legacyKeySql(table, 't')} = $1`;
      return rows + ((await client.query(deletion, [key])).rowCount ?? 0);
    },
  };
}

async function updateRow(client: pg.Client, table: string, key: string, set: Row): Promise<number> {
  const columns = Object.keys(set);
  const assignments = columns.map((column, i) => `"${column}" = $${i + 2}`).join(', ');
  if (columns.length === 0) return 0;
  const text = `UPDATE ${table} t SET ${assignments} WHERE ${legacyKeySql(table, 't')} = $1`;
  return (await client.query(text, [key, ...Object.values(set)])).rowCount ?? 0;
}

function createWorld(
  random: Random,
  seed: string,
): { firstTransactions(): Step[][]; nextTransactions(): Step[][]; lastTransactions(): Step[][] } {
  const setting: Setting = {
    ...{
      seed,
      workspaces: [...WORKSPACES],
      anyWorkspace: true,
      companies: WORKSPACES.slice(0, 2),
      statusOptions: [],
      plantRejects: true,
    },
    ...{ firstPhone: 0, firstDay: 19_000 },
  };
  let made = 0;
  const contact = () => random.pick(CONTACTS);
  const quote = () => random.pick(QUOTES);
  const phone = () =>
    random.pick([spellPhone(random.int(0, 5), random.int(0, 4)), `desk ${random.int(1, 3)}`, 'ask', null]);
  // Few times, so that contributors tie.
  const time = () => `2024-0${random.int(1, 5)}-01 10:00:00.00000${random.int(1, 2)}+00`;
  const someOf = (row: Row) => Object.fromEntries(Object.entries(row).filter(() => random.chance(0.3)));

  const contactCells = (): Row => ({
    ...{ workspace_id: random.pick([...WORKSPACES, null, ' ']), phone_number: phone(), email: random.pick(EMAILS) },
    ...{ thread_id: random.pick(THREADS), lead_status: random.pick(LEAD_STATUSES), updated_at: time() },
    ...{ lead_status_id: random.chance(0.5) ? random.pick(OPTIONS) : null, lead_score: random.pick(['-1', '7', null]) },
    ...(random.chance(0.3) ? { opted_out: 'true', opted_out_at: time() } : { opted_out: 'false', opted_out_at: null }),
  });
  const newContact = (): Row => ({ ...contactRow(setting, made++).row, ...contactCells(), id: contact() });
  const quoteCells = (): Row => ({
    ...{ company_id: random.pick(COMPANIES), phone: phone(), email: random.pick(EMAILS) },
    ...{ customer_name: random.pick(NAMES), address: random.pick(ADDRESSES), items: random.pick(ITEMS) },
    ...{ status: random.pick(STATUSES), lead_status: random.pick(LEAD_STATUSES), total: random.pick(PRICES) },
    ...{ invoice_number: random.pick(['I', ' ', null, null]), paid_at: random.pick([time(), null]) },
    ...{
      quote_number: random.pick(['Q', null, null]),
      job_number: random.pick(['J', null]),
      sent_at: random.pick([time(), null]),
    },
    ...{ created_at: random.pick([time(), null]), updated_at: random.pick([time(), time(), null]) },
  });
  const newQuote = (): Row => ({
    ...quoteRow(setting, made++).row,
    ...(random.chance(0.8) ? quoteCells() : {}),
    id: quote(),
  });
  const option = (): Row => ({
    ...{ id: random.pick(OPTIONS), workspace_id: random.pick(WORKSPACES), category: 'lead' },
    ...{ name: random.pick(['New', 'Won', 'Lost', 'Odd']), color: random.pick(['#123', null]), updated_at: time() },
  });
  const set =
    (table: string, id: string, row: Row): Step =>
    (write) =>
      write.update(table, id, row);
  const nonEmpty = (row: Row): Row => (Object.keys(row).length > 0 ? row : { updated_at: time() });

  /** Values of a unique column handed around in a circle within one transaction: the first one steps aside. */
  const rotate = (count: number): Step[] => {
    const ids = [...new Set(Array.from({ length: count }, contact))];
    const numbers = ids.map((_, n) => spellPhone(n, 4));
    const aside = ids.map((id): Step => set('contacts', id, { phone_number: `aside ${id}` }));
    const next = ids.map((id, n): Step => set('contacts', id, { phone_number: numbers[(n + made) % ids.length]! }));
    made++;
    return [...aside, ...next];
  };

  const ids: Readonly<Record<string, readonly string[]>> = {
    ...{
      contacts: CONTACTS,
      quotes: QUOTES,
      status_options: OPTIONS,
      workspaces: WORKSPACES,
      clients: CLIENTS,
      leads: LEADS,
      campaigns: CAMPAIGNS,
    },
  };
  const anyRow = (table: string) => anyRowOf(table, random, { ids, workspaces: WORKSPACES, time });
  /** Something happens to a row of few, which may not be there; half of the time it comes just before. */
  const knownOrNew = (table: string, step: (key: string) => Step): Step[][] => {
    const row = anyRow(table);
    const happens = [step(legacyKeyOf(table, row))];
    return random.chance(0.5) ? [happens] : [[(write) => write.insert(table, row)], happens];
  };
  /** A row comes, or one that is there is changed; one goes; one gets another key. */
  const arbitrary = HISTORY_TABLES.filter((table) => !MADE_UP.includes(table)).flatMap(
    (table): (readonly [() => Step[][], number])[] => [
      [() => [[(write) => write.insert(table, anyRow(table))]], 12],
      [() => knownOrNew(table, (key) => set(table, key, someOf(anyRow(table)))), 9],
      [() => knownOrNew(table, (key) => (write) => write.remove(table, key)), 9],
    ],
  );
  const actions: (readonly [() => Step[][], number])[] = [
    ...arbitrary,
    [() => [[(write) => write.insert('quotes', newQuote())]], 20],
    [() => [[set('quotes', quote(), nonEmpty(someOf(quoteCells())))]], 20],
    [
      () => [
        [
          set('quotes', quote(), {
            phone: spellPhone(0, random.int(0, 4)),
            company_id: WORKSPACES[0],
            updated_at: time(),
          }),
        ],
      ],
      25,
    ],
    [() => [[(write) => write.remove('quotes', quote())]], 8],
    [() => [[set('quotes', quote(), { id: quote() })]], 3],
    [() => [[set('quotes', quote(), { items: random.pick(ITEMS) })]], 8],
    [() => [[(write) => write.insert('contacts', newContact())]], 20],
    [() => [[set('contacts', contact(), nonEmpty(someOf(contactCells())))]], 20],
    [() => [[(write) => write.remove('contacts', contact())]], 8],
    [() => [rotate(random.int(2, 5))], 12],
    [() => handOver(), 8],
    [() => optOutAndIn(), 10],
    [() => hammer(), 4],
    [() => [[(write) => write.insert('status_options', option())]], 5],
    [() => addAndUse(), 6],
    [() => [tellConversion()], 12],
    [() => [partClient()], 6],
    [() => subscribe(), 10],
    [() => [[(write) => write.remove('status_options', random.pick(OPTIONS))]], 5],
    [() => [[(write) => write.insert('workspaces', workspace())]], 4],
    [() => closeWorkspace(), 8],
  ];
  /** A lead and clients that come, are told of each other, by one, both or two differently, or take it back. Each is there afterwards, or all are as before. */
  const tellConversion = (): Step[] => {
    const [lead, client, other] = [random.pick(LEADS), random.pick(CLIENTS), random.pick(CLIENTS)];
    const named = (id: string) => random.pick([id, id, null]);
    const cells = (): Row => ({ phone: phone(), workspace_id: random.pick([...WORKSPACES, null]), updated_at: time() });
    const clientCells = (): Row => ({ ...cells(), name: 'C', created_at: time() });
    const leadCells = (): Row => ({
      ...cells(),
      status: random.pick([...LEAD_STATUSES, 'new']),
      score: random.pick(['7', '101', null]),
    });
    return [
      ...(random.chance(0.5) ? [(write: Writer) => write.insert('leads', { id: lead, ...leadCells() })] : []),
      ...[client, other].map((id) => (write: Writer) => write.insert('clients', { id, ...clientCells() })),
      set('clients', client, { converted_from_lead_id: named(lead) }),
      ...(random.chance(0.5) ? [set('clients', other, { converted_from_lead_id: named(lead) })] : []),
      set('leads', lead, { client_id: named(random.pick([client, other])) }),
    ];
  };
  /** A client goes, or a lead, where nothing else names it. */
  const partClient = (): Step[] => {
    const [lead, client] = [random.pick(LEADS), random.pick(CLIENTS)];
    return [
      set('leads', lead, { client_id: null }),
      ...CLIENTS.map((id) => set('clients', id, { converted_from_lead_id: null })),
      random.chance(0.5) ? (write) => write.remove('leads', lead) : (write) => write.remove('clients', client),
    ];
  };
  const workspace = (): Row => ({
    ...{ id: random.pick(WORKSPACES), name: random.pick(['W', ' ']), country: random.pick(['US', 'C ', null]) },
    ...{ plan: random.pick(['free', null]), settings: '{"vat": 19.00}', updated_at: time() },
  });
  /** A workspace goes; half of the time it comes just before, so that there is one. */
  const closeWorkspace = (): Step[][] => {
    const row = workspace();
    const goes: Step[] = [(write) => write.remove('workspaces', row.id!)];
    return random.chance(0.5) ? [goes] : [[(write) => write.insert('workspaces', row)], goes];
  };
  const handOver = (): Step[][] => {
    const [giver, taker, number] = [contact(), contact(), spellPhone(random.int(0, 3), 4)];
    return [
      [set('contacts', giver, { phone_number: number, updated_at: time() })],
      [set('contacts', giver, { phone_number: null })],
      [set('contacts', taker, { phone_number: number, updated_at: time() })],
    ];
  };
  const optOutAndIn = (): Step[][] => {
    const id = contact();
    const steps: Row[] = [
      { opted_out: 'true', opted_out_at: time() },
      { phone_number: phone() },
      { opted_out: 'false', opted_out_at: null },
      { phone_number: phone(), email: random.pick(EMAILS) },
      { opted_out: 'true' },
    ];
    return steps.slice(random.int(0, 2), random.int(3, 5)).map((cells) => [set('contacts', id, cells)]);
  };
  const hammer = (): Step[][] => {
    const [table, id] = random.chance(0.5) ? (['quotes', quote()] as const) : (['contacts', contact()] as const);
    const cells = table === 'quotes' ? quoteCells : contactCells;
    return Array.from({ length: random.int(5, 12) }, () => [set(table, id, nonEmpty(someOf(cells())))]);
  };
  /** A campaign comes or changes, of few contacts some subscribe or change, and it moves. */
  const subscribe = (): Step[][] => {
    const campaign = random.pick(CAMPAIGNS);
    const subscriber = (): Row => ({
      ...anyRow('campaign_subscribers'),
      campaign_id: campaign,
      contact_id: random.pick(CONTACTS.slice(0, 4)),
    });
    return [
      [(write) => write.insert('campaigns', { ...anyRow('campaigns'), id: campaign })],
      ...Array.from({ length: 3 }, (): Step[] => [(write) => write.insert('campaign_subscribers', subscriber())]),
      [set('campaigns', campaign, { workspace_id: random.pick(WORKSPACES) })],
    ];
  };
  const addAndUse = (): Step[][] => {
    const row = option();
    const user = contact();
    return [
      [(write) => write.insert('status_options', row), set('contacts', user, { lead_status_id: row.id! })],
      ...(random.chance(0.5)
        ? [
            [set('contacts', user, { lead_status_id: null })],
            [(write: Writer) => write.remove('status_options', row.id!)],
          ]
        : []),
    ];
  };

  return {
    // The last word on one customer is said by many at once: nothing that is folded later mends what a race has lost.
    lastTransactions: () =>
      random.chance(0.3)
        ? []
        : QUOTES.filter(() => random.chance(0.7)).map((id): Step[] => [
            set('quotes', id, { phone: spellPhone(0, 4), company_id: WORKSPACES[0], updated_at: time() }),
          ]),
    firstTransactions: () => [
      ...Array.from({ length: 6 }, (): Step[] => [(write) => write.insert('status_options', option())]),
      ...Array.from({ length: 30 }, (): Step[] => [(write) => write.insert('contacts', newContact())]),
      ...Array.from({ length: 20 }, (): Step[] => [(write) => write.insert('quotes', newQuote())]),
    ],
    nextTransactions: () => {
      const first = random.weighted(actions)();
      if (!random.chance(0.2)) return first;
      // Several things in one transaction.
      return [[...first, ...random.weighted(actions)()].flat()];
    },
  };
}
