import type { Random } from '../random.ts';
import { appointmentRow, messageRow, opportunityRow } from '../rows/activity.ts';
import type { Row } from '../rows/row.ts';
import { decimalText, randomNote } from '../rows/texts.ts';
import { timeText } from '../rows/times.ts';
import { workspaceRow } from '../rows/workspaces.ts';
import { type Action, inOne, insert, update } from './change.ts';
import { belongingsOf, type KnownRow, type KnownRows } from './known-rows.ts';
import type { Happening } from './quote-actions.ts';

function withContact(act: (random: Random, known: KnownRows, contact: KnownRow) => Action | null): Happening {
  return (random, known) => {
    const contact = known.contacts.pick(random);
    return contact === undefined ? null : act(random, known, contact);
  };
}

const messageReceived = withContact((random, known, { id }) =>
  inOne(
    'message received',
    [
      insert('messages', messageRow(known.setting, known.made, id)),
      update('contacts', [id], { last_message_at: timeText(known.clockUs), unread_count: String(random.int(0, 20)) }),
    ],
    1,
  ),
);

const added = (name: string, table: string, rowOf: (known: KnownRows, contact: string) => Row): Happening =>
  withContact((_, known, { id }) => inOne(name, [insert(table, rowOf(known, id))], 1));

/** Changes a row that belongs to a contact. */
const edited =
  (name: string, table: string, set: (random: Random, now: string) => Row): Happening =>
  (random, known) => {
    const row = belongingsOf(known, table).pick(random);
    return row === undefined ? null : inOne(name, [update(table, [row.id], set(random, timeText(known.clockUs)))]);
  };

/** Deletes a single row that belongs to a contact. */
const removed =
  (name: string, table: string): Happening =>
  (random, known) => {
    const row = belongingsOf(known, table).pick(random);
    return row === undefined ? null : inOne(name, [{ op: 'delete', table, by: 'id', keys: [row.id] }]);
  };

/** A new tenant. */
export const workspaceCreated: Happening = (_, known) => {
  if (!known.setting.anyWorkspace) return null;
  return inOne(
    'workspace created',
    [insert('workspaces', workspaceRow(known.setting.seed, known.made, known.setting.firstDay))],
    1,
  );
};

const workspaceEdited: Happening = (random, known) => {
  if (known.setting.workspaces.length === 0) return null;
  const set = {
    plan: random.pick(['team', 'free', null]),
    country: random.pick(['US', 'GB', null]),
    updated_at: timeText(known.clockUs),
  };
  return inOne('workspace edited', [update('workspaces', [random.pick(known.setting.workspaces)], set)]);
};

/** All actions beside those on contacts, quotes, clients, campaigns and orders, with their weights. */
export const OTHER_HAPPENINGS: readonly (readonly [Happening, number])[] = [
  [messageReceived, 80],
  [edited('message read', 'messages', (_, now) => ({ status: 'read', delivered_at: now, read_at: now })), 30],
  [removed('message erased', 'messages'), 6],
  [added('appointment booked', 'appointments', (known, id) => appointmentRow(known.setting, known.made, id)), 12],
  [
    edited('appointment moved', 'appointments', (random, now) => ({
      starts_at: now,
      status: random.pick(['booked', 'Done', 'no-show']),
      notes: random.pick([randomNote(random), null]),
      updated_at: now,
    })),
    8,
  ],
  [removed('appointment cancelled', 'appointments'), 3],
  [added('opportunity opened', 'opportunities', (known, id) => opportunityRow(known.setting, known.made, id)), 12],
  [
    edited('opportunity moved on', 'opportunities', (random, now) => ({
      stage: random.pick(['Proposal', 'won', 'lost', null]),
      amount: random.pick([decimalText(random.int(0, 9_000_000), 2), null]),
      updated_at: now,
    })),
    10,
  ],
  [removed('opportunity dropped', 'opportunities'), 3],
  [workspaceCreated, 1],
  [workspaceEdited, 3],
];
