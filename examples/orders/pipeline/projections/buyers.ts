import {
  type Aggregate,
  type Cell,
  type Contribution,
  cellsOf,
  earliest,
  earliestOf,
  firstFilled,
  greatestOf,
  has,
  latest,
  toGreatestFirst,
  uuid5,
} from 'crosswalk';

/** Whoever ordered in a shop, or signed up for its newsletter, under one e-mail address. */
export const buyersAggregate: Aggregate = {
  name: 'buyers',
  targets: [
    {
      table: 'buyers',
      columns: ['id', 'tenant_id', 'email', 'name', 'is_subscribed', 'first_seen_at', 'last_seen_at'],
      key: 'id',
    },
  ],
  needsHistory: false,
  fold: (mergeKey, contributions) => ({ buyers: foldBuyer(mergeKey, contributions) }),
  needs: {
    version: '1',
    whole: [greatestOf(), earliestOf(), greatestOf(({ data }) => has(data.name)), greatestOf(isSubscribed)],
  },
};

/** What a legacy row says of a buyer. `email`: normalised. */
export function toBuyer(
  tenantId: string,
  email: string,
  said: Readonly<Record<'name' | 'subscribed' | 'created_at' | 'updated_at', Cell>>,
) {
  return {
    aggregate: buyersAggregate.name,
    mergeKey: toBuyerId(tenantId, email),
    data: { tenant_id: tenantId, email, ...said },
  };
}

/** The merge key is the id of the row. */
export const toBuyerId = (tenantId: string, email: string) => uuid5(`buyer:${tenantId}|${email}`);

function isSubscribed({ data }: Contribution): boolean {
  return data.subscribed === 't';
}

/** Nobody's row is gone: the one that was there is soft-deleted. */
function foldBuyer(id: string, contributions: readonly Contribution[]) {
  const from = toGreatestFirst(contributions.filter(({ live }) => live));
  const greatest = from[0];
  if (greatest === undefined) return [];
  const { tenant_id = null, email = null } = greatest.data;
  const row = {
    ...{ id, tenant_id, email },
    name: firstFilled(from, 'name'),
    is_subscribed: from.some(isSubscribed) ? 't' : 'f',
    first_seen_at: earliest(cellsOf(from, 'created_at')),
    last_seen_at: latest(cellsOf(from, 'updated_at')),
  };
  return [{ row, deletedAt: null, from }];
}
