import type { Random } from '../random.ts';
import { messageRow } from '../rows/activity.ts';
import { contactRow } from '../rows/contacts.ts';
import { spellPhone } from '../rows/phones.ts';
import type { GeneratedRow, Row } from '../rows/row.ts';
import { randomName, randomNote, spellStatus } from '../rows/texts.ts';
import { timeText } from '../rows/times.ts';
import { type Action, type Change, inOne, insert, type Transaction, update } from './change.ts';
import type { KnownRow, KnownRows } from './known-rows.ts';
import type { Happening } from './quote-actions.ts';

const commit = (...changes: Change[]): Transaction => ({ changes, rollback: false });
const now = (known: KnownRows) => timeText(known.clockUs);

/** A new contact. `offset`: its number within this action. */
export function newContact(random: Random, known: KnownRows, offset = 0): GeneratedRow {
  const { row, rejects } = contactRow(known.setting, known.made + offset);
  const { workspaces, anyWorkspace } = known.setting;
  const inside = anyWorkspace || workspaces.length === 0 ? {} : { workspace_id: random.pick(workspaces) };
  return { row: { ...row, ...inside, created_at: now(known), updated_at: now(known) }, rejects };
}

/** New contacts: a single one, one with a first message, or a bulk import. */
export const contactCreated: Happening = (random, known) => {
  const { row, rejects } = newContact(random, known);
  const changes: Change[] = [{ op: 'insert', table: 'contacts', rows: [row], rejects }];
  if (random.chance(0.4)) changes.push(insert('messages', messageRow(known.setting, known.made, row.id!)));
  return inOne('contact created', changes, 1);
};

const contactsImported: Happening = (random, known) => {
  const count = Math.min(known.largestTransaction, random.int(50, 300));
  const made = Array.from({ length: count }, (_, i) => newContact(random, known, i));
  const rows = made.map(({ row }) => row);
  const rejects = made.flatMap((contact) => contact.rejects);
  return inOne('contacts imported', [{ op: 'insert', table: 'contacts', rows, rejects }], count);
};

function edit(name: string, set: (random: Random, known: KnownRows, contact: KnownRow) => Row | null): Happening {
  return (random, known) => {
    const contact = known.contacts.pick(random);
    const columns = contact && set(random, known, contact);
    return columns ? inOne(name, [update('contacts', [contact.id], { ...columns, updated_at: now(known) })], 1) : null;
  };
}

const phonesSwapped: Happening = (random, known) => {
  const [one, other] = [known.contacts.pick(random), known.contacts.pick(random)];
  if (!one?.phone_number || !other?.phone_number || one.id === other.id) return null;
  // The column is unique: one of them takes an unused value in between.
  return inOne('phones swapped', [
    update('contacts', [one.id], { phone_number: `swap ${one.id}` }),
    update('contacts', [other.id], { phone_number: one.phone_number }),
    update('contacts', [one.id], { phone_number: other.phone_number, updated_at: now(known) }),
  ]);
};

const phoneHandedOver: Happening = (random, known) => {
  const [giver, taker] = [known.contacts.pick(random), known.contacts.pick(random)];
  if (!giver?.phone_number || !taker || giver.id === taker.id) return null;
  const action: Action = {
    name: 'phone handed over',
    transactions: [
      commit(update('contacts', [giver.id], { phone_number: null, updated_at: now(known) })),
      commit(update('contacts', [taker.id], { phone_number: giver.phone_number, updated_at: now(known) })),
    ],
    made: 0,
  };
  return action;
};

function withoutChildren({ setting }: KnownRows, id: string): Change[] {
  const children = ['messages', 'appointments', 'opportunities', 'campaign_subscribers'];
  const remove = (table: string): Change => ({ op: 'delete', table, by: 'contact_id', keys: [id] });
  // An order without a contact would be of no workspace.
  if (!setting.anyWorkspace) return [...children, 'orders'].map(remove);
  return [
    ...children.map(remove),
    { op: 'update', table: 'orders', by: 'contact_id', keys: [id], set: { contact_id: null }, rejects: [] },
  ];
}

const contactDeleted: Happening = (random, known) => {
  const contact = known.contacts.pick(random);
  if (contact === undefined) return null;
  const { id } = contact;
  return inOne('contact deleted', [
    ...withoutChildren(known, id),
    { op: 'delete', table: 'contacts', by: 'id', keys: [id] },
  ]);
};

const contactsMerged: Happening = (random, known) => {
  const [kept, lost] = [known.contacts.pick(random), known.contacts.pick(random)];
  if (!kept || !lost || kept.id === lost.id) return null;
  const children = ['messages', 'appointments', 'opportunities', 'orders'];
  return inOne('contacts merged', [
    ...children.map(
      (table): Change => ({
        op: 'update',
        table,
        by: 'contact_id',
        keys: [lost.id],
        set: { contact_id: kept.id },
        rejects: [],
      }),
    ),
    { op: 'delete', table: 'campaign_subscribers', by: 'contact_id', keys: [lost.id] },
    { op: 'delete', table: 'contacts', by: 'id', keys: [lost.id] },
    // The delete frees the number, which may move in the same transaction.
    update('contacts', [kept.id], {
      ...(lost.phone_number ? { phone_number: lost.phone_number } : {}),
      updated_at: now(known),
    }),
  ]);
};

const statusOptionUsed: Happening = (random, known) => {
  const contact = known.contacts.pick(random);
  if (contact === undefined) return null;
  const id = String(random.int(1_000_000, 2_100_000_000));
  const option: Row = {
    id,
    workspace_id: contact.workspace_id!,
    category: 'lead',
    name: `Step ${id}`,
    color: '#123',
    sort_order: '5',
  };
  return inOne('status option added and used', [
    insert('status_options', option),
    update('contacts', [contact.id], { lead_status_id: id, lead_status: 'nurturing', updated_at: now(known) }),
  ]);
};

const contactsUpdatedInBulk: Happening = (random, known) => {
  const contacts = known.contacts.pickMany(random, Math.min(known.largestTransaction, random.int(50, 500)));
  if (contacts.length === 0) return null;
  const set = {
    market: random.pick(['north', 'west', null]),
    tags: random.pick(['{bulk}', null]),
    updated_at: now(known),
  };
  return inOne('contacts updated in bulk', [
    update(
      'contacts',
      contacts.map(({ id }) => id),
      set,
    ),
  ]);
};

const contactSavedUnchanged: Happening = (random, known) => {
  const contacts = known.contacts.pickMany(random, Math.min(known.largestTransaction, random.int(1, 3)));
  if (contacts.length === 0) return null;
  return inOne('contact saved unchanged', [
    { op: 'touch', table: 'contacts', by: 'id', keys: contacts.map(({ id }) => id), column: 'name' },
  ]);
};

const passingContact: Happening = (random, known) => {
  const { row } = newContact(random, known);
  const id = row.id!;
  return inOne(
    'contact created and discarded',
    [
      { op: 'insert', table: 'contacts', rows: [row], rejects: [] },
      update('contacts', [id], { notes: randomNote(random) }),
      { op: 'delete', table: 'contacts', by: 'id', keys: [id] },
    ],
    1,
  );
};

/** All actions on contacts, with their weights. */
export const CONTACT_HAPPENINGS: readonly (readonly [Happening, number])[] = [
  [contactCreated, 90],
  [contactsImported, 1],
  [
    edit('contact edited', (random) => ({
      ...contactName(random),
      notes: random.chance(0.5) ? randomNote(random) : null,
      custom_fields: random.pick(['{"vip": true}', null, '{"a": {"b": 1.50}}']),
      priority: random.pick(['high', 'low', null]),
    })),
    80,
  ],
  [
    edit('contact contacted', (random, known) => ({
      lead_status: spellStatus(random, 'contacted'),
      last_contacted_at: now(known),
    })),
    50,
  ],
  [
    edit('contact qualified', (random) => ({
      lead_status: spellStatus(random, 'qualified'),
      lead_score: String(random.int(60, 100)),
      qualification_status: 'qualified',
    })),
    40,
  ],
  [
    edit('contact opted out', (_, known, contact) =>
      contact.opted_out === 'true' ? null : { opted_out: 'true', opted_out_at: now(known) },
    ),
    20,
  ],
  [
    edit('contact opted in', (_, __, contact) =>
      contact.opted_out === 'true' ? { opted_out: 'false', opted_out_at: null } : null,
    ),
    60,
  ],
  [
    edit('contact phone changed', (random, known) => ({
      phone_number: random.chance(0.15) ? null : spellPhone(known.setting.firstPhone + known.made, random.int(0, 4)),
    })),
    30,
  ],
  [phonesSwapped, 12],
  [phoneHandedOver, 12],
  [
    edit('contact moved', (random, { setting }) =>
      setting.anyWorkspace && random.chance(0.2)
        ? { workspace_id: null }
        : setting.workspaces.length === 0
          ? null
          : { workspace_id: random.pick(setting.workspaces) },
    ),
    12,
  ],
  [contactDeleted, 15],
  [contactsMerged, 12],
  [statusOptionUsed, 5],
  [contactsUpdatedInBulk, 1],
  [contactSavedUnchanged, 20],
  [passingContact, 6],
];

function contactName(random: Random): Row {
  const { first, last } = randomName(random);
  return { firstname: first, lastname: last, name: `${first} ${last}` };
}
