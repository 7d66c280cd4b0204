import { createRandom } from '../random.ts';
import { someWorkspace } from './activity.ts';
import { uuidOf } from './identifiers.ts';
import { spellPhone } from './phones.ts';
import { type Flaw, type GeneratedRow, type Row, type Setting, toRejects } from './row.ts';
import { UNICODE_NAMES } from './texts.ts';
import { laterUs, randomTimeUs, timeText } from './times.ts';

/** Size of a group of related clients and leads in one workspace. Each group contains every way to record a conversion. */
const GROUP = 6;
const QUOTE_CUSTOMERS = 400;

/** Numbers of clients and leads in a sample of this many contacts. The second half of the leads has no client. */
export const clientsOf = (contacts: number) => Math.floor(contacts / 50);
export const leadsOf = (contacts: number) => 2 * clientsOf(contacts);

/** The id of a row of leads. */
export function leadId(setting: Setting, index: number): string {
  return uuidOf(`${setting.seed}/lead/${index}`);
}

/** The id of a row of clients. */
export function clientId(setting: Setting, index: number): string {
  return uuidOf(`${setting.seed}/client/${index}`);
}

/** Number of the lead that a client names: mostly its own; null if only the lead names the client (2); another client's lead, which proves nothing (5). */
export function leadOfClient(client: number): number | null {
  const kind = client % GROUP;
  if (kind === 2) return null;
  return kind === 5 ? client - 4 : client;
}

/** Number of the client that a lead names: null if only the client names the lead (1); another client than the one that names it (3). */
export function clientOfLead(lead: number, clients: number): number | null {
  if (lead >= clients || lead % GROUP === 1) return null;
  return lead % GROUP === 3 ? lead - 1 : lead;
}

function workspaceOf(setting: Setting, index: number): string | null {
  return someWorkspace(setting, createRandom(`${setting.seed}/client workspace/${Math.floor(index / GROUP)}`));
}

/** A row of clients. An update sets converted_from_lead_id later, since that lead may refer back to the client. Some share the phone of a customer of quotes. */
export function clientRow(setting: Setting, index: number): Row {
  const random = createRandom(`${setting.seed}/clients/${index}`);
  const createdUs = randomTimeUs(random, setting.firstDay, 900);
  return {
    id: clientId(setting, index),
    workspace_id: workspaceOf(setting, index),
    name: random.pick(UNICODE_NAMES),
    email: random.chance(0.8) ? `client${index}@example.org` : null,
    phone: random.chance(0.8) ? spellPhone(index % QUOTE_CUSTOMERS, index) : random.pick([null, '', 'ask']),
    created_at: timeText(createdUs),
    updated_at: timeText(laterUs(random, createdUs, 60)),
  };
}

/** A row of leads, with or without a client. */
export function leadRow(setting: Setting, index: number, client: string | null): GeneratedRow {
  const random = createRandom(`${setting.seed}/leads/${index}`);
  const createdUs = randomTimeUs(random, setting.firstDay, 900);
  const [isUnknown, isOut] = setting.plantRejects ? [index % 11 === 5, index % 7 === 3] : [false, false];
  const flaws: Flaw[] = [
    ...(isUnknown ? [{ path: 'status', reason: 'unknown lead status' }] : []),
    ...(isOut ? [{ path: 'score', reason: 'out of range 0 to 100' }] : []),
  ];
  const id = leadId(setting, index);
  const status = client === null ? random.pick(['new', 'Lost', null, ' ', ' Qualified ']) : 'converted';
  const score = random.chance(0.5) ? String(random.int(0, 100)) : null;
  const row = {
    id,
    workspace_id: workspaceOf(setting, index),
    client_id: client,
    name: random.chance(0.9) ? random.pick(UNICODE_NAMES) : null,
    email: random.chance(0.6) ? `lead${index}@example.net` : null,
    phone: random.chance(0.6) ? spellPhone(index % QUOTE_CUSTOMERS, index + 1) : null,
    status: isUnknown ? 'Hot!' : status,
    score: isOut ? random.pick(['-5', '101', '120']) : score,
    created_at: timeText(createdUs),
    updated_at: timeText(laterUs(random, createdUs, 60)),
  };
  return { row, rejects: toRejects('leads', id, flaws) };
}
