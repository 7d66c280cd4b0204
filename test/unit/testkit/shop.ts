// A small pipeline of a shop: orders under a composite key, customers, people that are merged from both, and the history of an order's status.
import {
  type Aggregate,
  type Contribution,
  defineHistory,
  defineProjection,
  type LegacyRow,
  type NewRow,
  type Projection,
} from '../../../projectors/projection.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';

export const keys = { orders: ['shop', 'number'] };

const orderId = (legacyKey: string) => uuid5(`order:${legacyKey}`);
const keyOf = ({ shop = null, number = null }: LegacyRow) => JSON.stringify([shop, number]);
/** The merge key of whom an e-mail address names; null where it names nobody. */
export const personId = (email: string | null | undefined) =>
  email?.includes('@') ? uuid5(`person:${email.trim().toLowerCase()}`) : null;

const byTable = (a: Contribution, b: Contribution) =>
  `${a.legacyTable} ${a.legacyKey}` < `${b.legacyTable} ${b.legacyKey}` ? -1 : 1;
const byText = (a: string | null | undefined, b: string | null | undefined) =>
  (a ?? '') === (b ?? '') ? 0 : (a ?? '') < (b ?? '') ? -1 : 1;
const nameOf = ({ legacyTable, legacyKey }: Contribution) => `${legacyTable} ${legacyKey}`;
/** By `updated_at`, then by legacy row. */
export const newest = (a: Contribution, b: Contribution) =>
  nameOf(a) === nameOf(b) ? 0 : byText(a.data.updated_at, b.data.updated_at) || byTable(a, b);
const lastRetired = (a: Contribution, b: Contribution) =>
  nameOf(a) === nameOf(b) ? 0 : byText(a.committedAt, b.committedAt) || byTable(a, b);
const greatest = (list: readonly Contribution[], compare: (a: Contribution, b: Contribution) => number) =>
  [...list].sort(compare).at(-1);

/** A person is named by whom wrote the name last, and is gone when nobody names the address any more. */
export const people: Aggregate = {
  name: 'people',
  targets: [{ table: 'people', columns: ['id', 'name', 'moved_to'], key: 'id' }],
  needsHistory: false,
  fold: (mergeKey, contributions) => {
    const live = contributions.filter((each) => each.live);
    const from = live.length > 0 ? live : contributions;
    const named = from.filter(({ data }) => data.name !== null);
    const last = live.length > 0 ? undefined : greatest(contributions, lastRetired);
    const row = {
      id: mergeKey,
      name: greatest(named, newest)?.data.name ?? null,
      moved_to: last?.movedTo ?? null,
    };
    return { people: [{ row, deletedAt: last?.committedAt ?? null, from }] };
  },
  needs: {
    version: '1',
    whole: [
      { among: ({ data }) => data.name !== null, compare: newest },
      { among: () => true, compare: lastRetired },
    ],
  },
};

/** The shop with another aggregate of people, or with another projection of orders. */
export function createShop(
  aggregate: Aggregate = people,
  change: (orders: Projection) => Projection = (same) => same,
): { projections: Projection[]; rejects: string } {
  const contribute = ({ email = null, name = null, updated_at = null }: LegacyRow) => {
    const mergeKey = personId(email);
    return mergeKey === null ? [] : [{ aggregate: aggregate.name, mergeKey, data: { name, updated_at } }];
  };
  const customers = defineProjection({
    name: 'customers',
    version: '1',
    source: 'customers',
    requires: ['id', 'email'],
    reads: ['id', 'email', 'name', 'updated_at'],
    owned: [],
    aggregates: [aggregate],
    map: (row) => ({ rows: {}, contributions: contribute(row) }),
  });
  const orders = defineProjection({
    name: 'orders',
    version: '1',
    source: 'orders',
    requires: ['shop', 'number'],
    reads: ['shop', 'number', 'email', 'name', 'total', 'status', 'updated_at'],
    owned: [
      {
        table: 'orders_new',
        columns: ['id', 'number', 'total', 'person_id'],
        blank: ['note'],
        retract: 'soft-delete',
        scope: { column: 'id', of: orderId },
      },
      {
        table: 'rejects',
        columns: ['id', 'path', 'raw_value', 'reason'],
        retract: 'delete',
        scope: { column: 'legacy_key', of: (legacyKey) => legacyKey },
      },
    ],
    aggregates: [aggregate],
    map: (row) => {
      const { number = null, total = null, email } = row;
      const id = orderId(keyOf(row));
      const isAmount = total === null || /^-?\d+(\.\d+)?$/.test(total);
      const reject = { id: uuid5(`reject:${id}`), path: 'total', raw_value: total, reason: 'not a finite number' };
      return {
        rows: {
          orders_new: [{ id, number, total: isAmount ? total : null, person_id: personId(email) }],
          rejects: isAmount ? [] : [reject],
        },
        contributions: contribute(row),
      };
    },
  });
  return { projections: [customers, change(orders), orderHistory], rejects: 'rejects' };
}

/** Rows of the history: a status, and what it was before. */
export const orderHistory = defineHistory({
  name: 'order_history',
  version: '1',
  source: 'orders',
  requires: ['shop', 'number', 'status'],
  reads: ['shop', 'number', 'status'],
  history: {
    targets: [{ table: 'order_statuses', columns: ['id', 'order_id', 'was', 'is', 'changed_at'] }],
    scope: { column: 'order_id', of: orderId },
    stateOf: (row) => ({ order_id: orderId(keyOf(row)), status: row.status ?? null }),
    rowsOf: ({ id, before, after, committedAt: changed_at }) => ({
      order_statuses: [
        {
          id: uuid5(`status:${id}`),
          order_id: (after ?? before)?.order_id ?? null,
          was: before?.status ?? null,
          is: after?.status ?? null,
          changed_at,
        } satisfies NewRow,
      ],
    }),
  },
});

/** Orders and customers such as those of the shop. */
export const examples = {
  customers: [{ id: '1', email: 'ada@example.org', name: 'Ada', updated_at: '2024-01-01 00:00:00+00' }],
  orders: [
    {
      ...{ shop: 'north', number: '1', email: 'Ada@Example.org ', name: 'Ada L.', total: '10.00' },
      ...{ status: 'paid', updated_at: '2024-02-01 00:00:00+00' },
    },
    { shop: 'north', number: '2', email: 'bob@example.org', name: null, total: 'NaN', status: null, updated_at: null },
  ],
};

/** The shop itself. */
export const shop = createShop();
