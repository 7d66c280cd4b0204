import type { Random } from '../random.ts';
import { clientRow, leadRow } from '../rows/clients.ts';
import type { Row } from '../rows/row.ts';
import { timeText } from '../rows/times.ts';
import { type Action, type Change, inOne, insert, update } from './change.ts';
import type { KnownRow, KnownRows } from './known-rows.ts';
import type { Happening } from './quote-actions.ts';

const MOST_LOOKED_AT = 20;

const newLead = (known: KnownRows) => leadRow(known.setting, known.made, null);

const inserted = ({ row, rejects }: ReturnType<typeof leadRow>): Change => ({
  op: 'insert',
  table: 'leads',
  rows: [row],
  rejects,
});

const prospectAdded: Happening = (_, known) => inOne('prospect added', [inserted(newLead(known))], 1);

/** Both client and lead record the conversion. */
const leadConverted: Happening = (_, known) => {
  const lead = newLead(known);
  const client: Row = { ...clientRow(known.setting, known.made), workspace_id: lead.row.workspace_id! };
  return inOne(
    'lead converted to client',
    [
      inserted(lead),
      insert('clients', { ...client, converted_from_lead_id: lead.row.id! }),
      update('leads', [lead.row.id!], { client_id: client.id!, updated_at: timeText(known.clockUs) }),
    ],
    1,
  );
};

/** A client and a lead of one workspace; null if none are known. */
function withPair(act: (known: KnownRows, client: KnownRow, lead: KnownRow, random: Random) => Action): Happening {
  return (random, known) => {
    const client = known.clients.pick(random);
    const ofClient = ({ workspace_id }: KnownRow) => workspace_id === client?.workspace_id;
    const lead = known.leads.pickMany(random, MOST_LOOKED_AT).find(ofClient);
    return client === undefined || lead === undefined ? null : act(known, client, lead, random);
  };
}

const clientNamesLead = withPair((known, client, lead) =>
  inOne('client names a lead', [
    update('clients', [client.id], { converted_from_lead_id: lead.id, updated_at: timeText(known.clockUs) }),
  ]),
);

const leadNamesClient = withPair((known, client, lead) =>
  inOne('lead names a client', [
    update('leads', [lead.id], { client_id: client.id, updated_at: timeText(known.clockUs) }),
  ]),
);

/** The lead names one client, while another client names the lead. */
const conversionDisputed = withPair((known, client, lead) => {
  const other = { ...clientRow(known.setting, known.made), workspace_id: client.workspace_id! };
  return inOne(
    'conversion disputed',
    [
      insert('clients', { ...other, converted_from_lead_id: lead.id }),
      update('leads', [lead.id], { client_id: client.id, updated_at: timeText(known.clockUs) }),
    ],
    1,
  );
});

const conversionTakenBack = withPair((known, client, lead, random) =>
  inOne('conversion taken back', [
    random.chance(0.5)
      ? update('leads', [lead.id], { client_id: null, updated_at: timeText(known.clockUs) })
      : update('clients', [client.id], { converted_from_lead_id: null }),
  ]),
);

const prospectEdited = withPair((known, _, lead, random) =>
  inOne('prospect edited', [
    update('leads', [lead.id], {
      status: random.pick(['contacted', ' Won', null]),
      score: random.pick(['0', '55', '100', null]),
      updated_at: timeText(known.clockUs),
    }),
  ]),
);

const clientEdited = withPair((known, client, _, random) =>
  inOne('client edited', [
    update('clients', [client.id], {
      email: random.pick(['new@example.org', null]),
      updated_at: timeText(known.clockUs),
    }),
  ]),
);

/** References to the row are cleared first. */
const clientDeleted: Happening = (random, known) => {
  const client = known.clients.pick(random);
  if (client === undefined) return null;
  return inOne('client deleted', [
    { op: 'update', table: 'leads', by: 'client_id', keys: [client.id], set: { client_id: null }, rejects: [] },
    { op: 'delete', table: 'clients', by: 'id', keys: [client.id] },
  ]);
};

const prospectDeleted: Happening = (random, known) => {
  const lead = known.leads.pick(random);
  if (lead === undefined) return null;
  const set = { converted_from_lead_id: null };
  return inOne('prospect deleted', [
    { op: 'update', table: 'clients', by: 'converted_from_lead_id', keys: [lead.id], set, rejects: [] },
    { op: 'delete', table: 'leads', by: 'id', keys: [lead.id] },
  ]);
};

/** All actions on clients and legacy leads, with their weights. */
export const CLIENT_HAPPENINGS: readonly (readonly [Happening, number])[] = [
  [prospectAdded, 5],
  [leadConverted, 5],
  [clientNamesLead, 3],
  [leadNamesClient, 3],
  [conversionDisputed, 2],
  [conversionTakenBack, 2],
  [prospectEdited, 4],
  [clientEdited, 3],
  [clientDeleted, 2],
  [prospectDeleted, 2],
];
