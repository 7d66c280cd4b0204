// Campaigns with their subscribers, and orders: rows whose tenant comes from another row.
import { hashText, type Random } from '../random.ts';
import { campaignRow, orderRow } from '../rows/activity.ts';
import { orderItems } from '../rows/order-items.ts';
import { toRejects } from '../rows/row.ts';
import { decimalText } from '../rows/texts.ts';
import { timeText } from '../rows/times.ts';
import { type Change, inOne, update } from './change.ts';
import { belongingsOf, type KnownRows } from './known-rows.ts';
import type { Happening } from './quote-actions.ts';

const campaignCreated: Happening = (_, known) => {
  const { row, rejects } = campaignRow(known.setting, known.made);
  return inOne('campaign created', [{ op: 'insert', table: 'campaigns', rows: [row], rejects }], 1);
};

const campaignEdited: Happening = (random, known) => {
  const id = pickCampaign(random, known);
  if (id === undefined) return null;
  const set = { status: random.pick(['running', 'Paused', 'done']), budget: decimalText(random.int(1, 900_000), 2) };
  return inOne('campaign edited', [update('campaigns', [id], { ...set, updated_at: timeText(known.clockUs) })]);
};

/** Moves a campaign together with its subscribers. */
const campaignMoved: Happening = (random, known) => {
  const id = pickCampaign(random, known);
  if (id === undefined || known.setting.workspaces.length === 0) return null;
  const set = { workspace_id: random.pick(known.setting.workspaces), updated_at: timeText(known.clockUs) };
  return inOne('campaign moved', [update('campaigns', [id], set)]);
};

/** Deletes one of this connection's own campaigns: no other connection knows it. */
const campaignDeleted: Happening = (random, known) => {
  const campaign = belongingsOf(known, 'campaigns').pick(random);
  if (campaign === undefined) return null;
  return inOne('campaign deleted', [
    { op: 'delete', table: 'campaign_subscribers', by: 'campaign_id', keys: [campaign.id] },
    { op: 'delete', table: 'campaigns', by: 'id', keys: [campaign.id] },
  ]);
};

const campaignJoined: Happening = (random, known) => {
  const contact = known.contacts.pick(random);
  if (contact === undefined || known.campaigns.length === 0) return null;
  const row = { campaign_id: random.pick(known.campaigns), contact_id: contact.id, status: 'active' };
  return inOne('campaign joined', [
    // Joining again starts over.
    { op: 'delete', table: 'campaign_subscribers', by: 'contact_id', keys: [contact.id] },
    { op: 'insert', table: 'campaign_subscribers', rows: [row], rejects: [] },
  ]);
};

const campaignLeft = withSubscriber('campaign left', (_, keys) => [
  { op: 'delete', table: 'campaign_subscribers', by: 'contact_id', keys },
]);

const subscriberChanged = withSubscriber('subscriber changed', (random, keys) => [
  {
    ...{ op: 'update', table: 'campaign_subscribers', by: 'contact_id', keys, rejects: [] },
    set: { status: random.pick(['active', 'Bounced', null]) },
  },
]);

/** An order gets an id that neither the table's sequence nor another connection assigns. */
const orderPlaced: Happening = (random, known) => {
  const contact = known.contacts.pick(random);
  if (contact === undefined) return null;
  const id = String(1_000_000_000 * (1 + (hashText(known.setting.seed) % 8_999_999)) + known.made);
  const contactId = isWithoutContact(random, known, 0.05) ? null : contact.id;
  const { row, rejects } = orderRow(known.setting, known.made, contactId, id);
  return inOne('order placed', [{ op: 'insert', table: 'orders', rows: [row], rejects }], 1);
};

const orderEdited: Happening = (random, known) => {
  const order = belongingsOf(known, 'orders').pick(random);
  if (order === undefined) return null;
  const { value: items, flaws } = orderItems(known.setting, known.made);
  const total = decimalText(random.int(900, 400_000), 2);
  const set = { items, total, status: random.pick(['open', 'Shipped']), updated_at: timeText(known.clockUs) };
  return inOne('order edited', [update('orders', [order.id], set, toRejects('orders', order.id, flaws))], 1);
};

const orderHandedOver: Happening = (random, known) => {
  const order = belongingsOf(known, 'orders').pick(random);
  const contact = known.contacts.pick(random);
  if (order === undefined || contact === undefined) return null;
  const set = {
    contact_id: isWithoutContact(random, known, 0.1) ? null : contact.id,
    updated_at: timeText(known.clockUs),
  };
  return inOne('order handed over', [update('orders', [order.id], set)]);
};

const orderDeleted: Happening = (random, known) => {
  const order = belongingsOf(known, 'orders').pick(random);
  if (order === undefined) return null;
  return inOne('order deleted', [{ op: 'delete', table: 'orders', by: 'id', keys: [order.id] }]);
};

/** All actions on campaigns and orders, with their weights. */
export const CAMPAIGN_HAPPENINGS: readonly (readonly [Happening, number])[] = [
  [campaignCreated, 2],
  [campaignEdited, 3],
  [campaignMoved, 2],
  [campaignDeleted, 1],
  [campaignJoined, 10],
  [campaignLeft, 3],
  [subscriberChanged, 4],
  [orderPlaced, 12],
  [orderEdited, 8],
  [orderHandedOver, 4],
  [orderDeleted, 2],
];

/** An order without a contact has no workspace either. */
function isWithoutContact(random: Random, { setting }: KnownRows, share: number): boolean {
  return setting.anyWorkspace && random.chance(share);
}

/** A campaign within the application's limits. */
function pickCampaign(random: Random, known: KnownRows): string | undefined {
  if (!known.setting.anyWorkspace) return belongingsOf(known, 'campaigns').pick(random)?.id;
  return known.campaigns.length === 0 ? undefined : random.pick(known.campaigns);
}

function withSubscriber(name: string, toChanges: (random: Random, keys: readonly string[]) => Change[]): Happening {
  return (random, known) => {
    const contact = known.contacts.pick(random);
    return contact === undefined ? null : inOne(name, toChanges(random, [contact.id]));
  };
}
