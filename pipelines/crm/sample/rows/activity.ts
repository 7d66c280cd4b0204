import { createRandom, type Random } from '../random.ts';
import { campaignId } from './contact-details.ts';
import { contactId } from './contacts.ts';
import { uuidOf } from './identifiers.ts';
import { orderItems } from './order-items.ts';
import { kindOf } from './proportions.ts';
import { type GeneratedRow, type Row, type Setting, toRejects } from './row.ts';
import { decimalText, randomNote, randomWork } from './texts.ts';
import { dateText, laterUs, randomTimeUs, timeText } from './times.ts';

const BAD_MONEY = [
  ['sound', 980],
  ['bad', 20],
] as const;

/** A row of messages for the contact. `index`: any number unique to the row. */
export function messageRow(setting: Setting, index: number, contact: string): Row {
  const random = createRandom(`${setting.seed}/messages/${index}`);
  const sentUs = randomTimeUs(random, setting.firstDay, 900);
  const inbound = random.chance(0.6);
  return {
    id: uuidOf(`${setting.seed}/message/${index}`),
    contact_id: contact,
    workspace_id: someWorkspace(setting, random),
    direction: inbound ? 'inbound' : 'outbound',
    channel: random.pick(['whatsapp', 'sms', 'email']),
    body: random.chance(0.95) ? randomNote(random) : random.pick([null, '', '👍🏽', '\u202eabc\u202c']),
    media: random.chance(0.05) ? '[{"url": "https://example.com/m/1.jpg", "bytes": 48213}]' : null,
    status: random.pick(['delivered', 'read', 'Failed', null]),
    external_id: random.chance(0.9) ? `ext-${uuidOf(`${setting.seed}/external/${index}`)}` : null,
    sent_at: timeText(sentUs),
    delivered_at: random.chance(0.7) ? timeText(laterUs(random, sentUs, 0.01)) : null,
    read_at: random.chance(0.4) ? timeText(laterUs(random, sentUs, 1)) : null,
  };
}

/** A row of appointments for the contact. */
export function appointmentRow(setting: Setting, index: number, contact: string): Row {
  const random = createRandom(`${setting.seed}/appointments/${index}`);
  const createdUs = randomTimeUs(random, setting.firstDay, 900);
  const startsUs = laterUs(random, createdUs, 30);
  return {
    id: uuidOf(`${setting.seed}/appointment/${index}`),
    contact_id: contact,
    workspace_id: someWorkspace(setting, random),
    title: random.chance(0.9) ? `Visit: ${randomWork(random)}` : null,
    starts_at: timeText(startsUs),
    ends_at: random.chance(0.8) ? timeText(startsUs + 3_600_000_000) : null,
    location: random.pick(['on site', 'Büro', null]),
    status: random.pick(['booked', 'Done', 'no-show']),
    notes: random.chance(0.3) ? randomNote(random) : null,
    created_at: timeText(createdUs),
    updated_at: timeText(laterUs(random, createdUs, 40)),
  };
}

/** A row of opportunities for the contact. */
export function opportunityRow(setting: Setting, index: number, contact: string): Row {
  const random = createRandom(`${setting.seed}/opportunities/${index}`);
  const createdUs = randomTimeUs(random, setting.firstDay, 900);
  return {
    id: uuidOf(`${setting.seed}/opportunity/${index}`),
    contact_id: contact,
    workspace_id: someWorkspace(setting, random),
    name: randomWork(random),
    stage: random.pick(['discovery', 'Proposal', 'won', 'lost', null]),
    amount: random.chance(0.9) ? decimalText(random.int(0, 9_000_000), 2) : null,
    probability: decimalText(random.int(0, 10_000), 2),
    close_date: random.chance(0.6) ? dateText(setting.firstDay + random.int(100, 1200)) : null,
    created_at: timeText(createdUs),
    updated_at: timeText(laterUs(random, createdUs, 60)),
  };
}

/** A row of orders. */
export function orderRow(setting: Setting, index: number, contact: string | null, id: string): GeneratedRow {
  const random = createRandom(`${setting.seed}/orders/${index}`);
  const placedUs = randomTimeUs(random, setting.firstDay, 900);
  const cents = random.int(900, 400_000);
  const items = orderItems(setting, index);
  const isBad = setting.plantRejects && kindOf(setting.seed, 'order total', index, BAD_MONEY) === 'bad';
  const row = {
    id,
    contact_id: contact,
    order_number: random.chance(0.95) ? `O-${uuidOf(`${setting.seed}/order/${index}`).slice(0, 13)}` : null,
    status: random.pick(['open', 'Shipped', 'cancelled']),
    items: items.value,
    total: isBad ? 'NaN' : decimalText(cents * 2, 2),
    currency: random.pick(['USD', 'EUR', 'C', null]),
    placed_at: timeText(placedUs),
    updated_at: timeText(laterUs(random, placedUs, 20)),
  };
  const flaws = [...items.flaws, ...(isBad ? [{ path: 'total', reason: 'not a finite number' }] : [])];
  return { row, rejects: toRejects('orders', id, flaws) };
}

/** A row of campaigns. */
export function campaignRow(setting: Setting, index: number): GeneratedRow {
  const random = createRandom(`${setting.seed}/campaigns/${index}`);
  const createdUs = randomTimeUs(random, setting.firstDay, 100);
  const isBad = setting.plantRejects && kindOf(setting.seed, 'campaign budget', index, BAD_MONEY) === 'bad';
  const row = {
    id: campaignId(setting.seed, index),
    workspace_id: someWorkspace(setting, random),
    name: `${random.pick(['Spring', 'Gutter week', 'Herbstputz 🍂'])} ${index}`,
    channel: random.pick(['whatsapp', 'email', null]),
    status: random.pick(['running', 'Paused', 'done']),
    budget: isBad ? 'NaN' : random.chance(0.7) ? decimalText(random.int(1, 900_000), 2) : null,
    starts_at: timeText(laterUs(random, createdUs, 10)),
    ends_at: random.chance(0.5) ? timeText(laterUs(random, createdUs, 90)) : null,
    created_at: timeText(createdUs),
    updated_at: timeText(createdUs),
  };
  return {
    row,
    rejects: toRejects('campaigns', row.id, isBad ? [{ path: 'budget', reason: 'not a finite number' }] : []),
  };
}

/** A row of campaign_subscribers: contact `index` of the sample in one of its campaigns. */
export function subscriberRow(setting: Setting, index: number, campaigns: number): Row {
  const random = createRandom(`${setting.seed}/campaign_subscribers/${index}`);
  return {
    campaign_id: campaignId(setting.seed, random.int(0, campaigns - 1)),
    contact_id: contactId(setting.seed, index),
    status: random.pick(['active', 'Bounced', null]),
    subscribed_at: timeText(randomTimeUs(random, setting.firstDay, 900)),
  };
}

/** A workspace, or null if rows may be without one. */
export function someWorkspace({ workspaces, anyWorkspace }: Setting, random: Random): string | null {
  return workspaces.length === 0 || (anyWorkspace && random.chance(0.05)) ? null : random.pick(workspaces);
}
