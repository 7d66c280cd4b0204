import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Aggregate, Implied, LegacyRow, Projection } from '../../../projectors/projection.ts';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import { loadFastCheck } from '../../../testkit/load-fast-check.ts';
import { type CheckOptions, checkProjection, type Projections } from '../../../testkit/testkit.ts';
import { createShop, examples, keys, newest, orderHistory, people } from './shop.ts';

const SEED = 3;
const check = (of: Projections, more: CheckOptions = {}) => checkProjection(of, { keys, examples, ...more });

/** The shop, where orders are mapped to something else. */
const mapped = (change: (implied: Implied, row: LegacyRow) => Implied) =>
  createShop(people, (orders) => ({ ...orders, map: (row, tenants) => change(orders.map(row, tenants), row) }));
/** The shop, where rows of the new orders are something else. */
const withOrder = (change: (order: Record<string, unknown>, row: LegacyRow) => unknown) =>
  mapped((implied, row) => ({
    ...implied,
    rows: { ...implied.rows, orders_new: implied.rows.orders_new!.map((order) => change(order, row)) as never },
  }));
const merged = (aggregate: Partial<Aggregate>) => createShop({ ...people, ...aggregate });
const history = (change: Partial<NonNullable<Projection['history']>>) => ({
  ...orderHistory,
  history: { ...orderHistory.history!, ...change },
});

test('a pipeline that keeps its promises passes', () => {
  expect(() => check(createShop())).not.toThrow();
});

describe('what breaks a promise is found:', () => {
  test.each<[string, Projections, RegExp]>([
    [
      'a map that throws on a null',
      mapped((implied, row) => (row.total!.length > 0 ? implied : implied)),
      /^orders: map threw TypeError: .*\n {2}on \{/,
    ],
    [
      'a map that throws on text that is no JSON',
      mapped((implied, row) => JSON.parse(row.status ?? '{}') && implied),
      /^orders: map threw SyntaxError/,
    ],
    [
      'a map that writes to its row',
      mapped((implied, row) => {
        (row as Record<string, unknown>).total = '0';
        return implied;
      }),
      /^orders: map threw TypeError: Cannot (assign|add)/,
    ],
    [
      'a random id',
      withOrder((order) => ({ ...order, id: randomUUID() })),
      /^orders: map returns one thing and then another/,
    ],
    [
      'a row without an id',
      withOrder((order) => ({ ...order, id: null })),
      /^orders: map returns a row of orders_new without an id/,
    ],
    [
      'two rows of one id',
      mapped(({ rows, ...implied }) => ({
        ...implied,
        rows: { ...rows, orders_new: [rows.orders_new!, rows.orders_new!].flat() },
      })),
      /^orders: map returns two rows of orders_new with the id "/,
    ],
    [
      'an undeclared column',
      withOrder((order) => ({ ...order, totl: null })),
      /^orders: map returns orders_new\.totl, a column that is not declared/,
    ],
    [
      'an undeclared table',
      mapped(({ rows, ...implied }) => ({ ...implied, rows: { ...rows, order_new: [] } })),
      /^orders: map returns rows of order_new, a table that it does not declare/,
    ],
    [
      'a cell that is no text',
      withOrder((order) => ({ ...order, total: 10 })),
      /^orders: total of orders_new is a number/,
    ],
    [
      'an id that is not in the scope of its legacy row',
      withOrder((order, row) => ({ ...order, id: uuid5(`order:${row.number}`) })),
      /^orders: a row of orders_new is out of its scope: id is "/,
    ],
    [
      'an undeclared aggregate',
      mapped((implied) => ({ ...implied, contributions: [{ aggregate: 'persons', mergeKey: uuid5('a'), data: {} }] })),
      /^orders: map contributes to persons, an aggregate that it does not declare/,
    ],
    [
      'a merge key that PostgreSQL would refuse',
      mapped((implied, row) => ({
        ...implied,
        contributions: [{ aggregate: 'people', mergeKey: row.email ?? '', data: {} }],
      })),
      /^orders: the merge key ".*" of people is no UUID in lower case/,
    ],
    [
      'two contributions of one row under one merge key',
      mapped((implied) => ({ ...implied, contributions: [implied.contributions, implied.contributions].flat() })),
      /^orders: one row contributes twice to people/,
    ],
    [
      'a fold that throws on retired contributions',
      merged({ fold: (key, of) => people.fold(key, [of.find(({ live }) => live)!.live ? of : []].flat()) }),
      /^people: fold threw TypeError: .* contributions/,
    ],
    [
      'a fold that takes the first contribution',
      merged({
        fold: (key, of) => {
          const { people: rows } = people.fold(key, of);
          return { people: rows!.map((each) => ({ ...each, row: { ...each.row, name: of[0]!.data.name! } })) };
        },
      }),
      /^people: the rows of people depend on the order of contributions\n {2}one time \{.*\n {2}another {2}\{/,
    ],
    [
      'a fold that does not write the merge key',
      merged({
        fold: (key, of) => {
          const { people: rows } = people.fold(key, of);
          return { people: rows!.map((each) => ({ ...each, row: { ...each.row, id: uuid5(key) } })) };
        },
      }),
      /^people: a row of people has id ".*" and not the merge key/,
    ],
    [
      'a folded row that rests on nothing',
      merged({ fold: (key, of) => ({ people: people.fold(key, of).people!.map((each) => ({ ...each, from: [] })) }) }),
      /^people: a row of people rests on no contribution/,
    ],
    [
      '`needs` that choose too few',
      merged({ needs: { version: '1', whole: [{ among: () => true, compare: newest }] } }),
      /^people: what `needs` chooses folds to other rows of people than all contributions do/,
    ],
    [
      '`needs` of a sum',
      merged({
        fold: (key, of) => {
          const { people: rows } = people.fold(key, of);
          return { people: rows!.map((each) => ({ ...each, row: { ...each.row, name: String(of.length) } })) };
        },
      }),
      /^people: what `needs` chooses/,
    ],
    [
      'an id that several legacy rows imply',
      createShop(people, (orders) => ({
        ...orders,
        owned: orders.owned.map((target) => ({ ...target, scope: { column: 'id', of: () => uuid5('the order') } })),
        map: (row, tenants) => ({
          ...orders.map(row, tenants),
          rows: { orders_new: [{ ...orders.map(row, tenants).rows.orders_new![0]!, id: uuid5('the order') }] },
        }),
      })),
      /^orders: orders \[.*\] and orders \[.*\] both imply the row ".*" of orders_new/,
    ],
    [
      'a row that is folded under several merge keys',
      merged({
        targets: [{ table: 'people', columns: ['id', 'person', 'name', 'moved_to'], key: 'person' }],
        fold: (key, of) => {
          const { people: rows } = people.fold(key, of);
          return { people: rows!.map((each) => ({ ...each, row: { ...each.row, id: uuid5('all'), person: key } })) };
        },
      }),
      /^customers,orders,order_history: rows depend on the order in which changes of several legacy rows .*\npeople\n/,
    ],
    [
      'a fold that counts what batches pass over',
      merged({
        fold: (key, of) => {
          const { people: rows } = people.fold(key, of);
          const name = String(of.filter(({ data }) => data.name !== null).length);
          return { people: rows!.map((each) => ({ ...each, row: { ...each.row, name } })) };
        },
        needs: { version: '1', whole: [{ among: () => true, compare: null }] },
      }),
      /: rows depend on which changes are applied in one batch: see needsHistory\npeople\n {2}id .*\n {4}name: expected "/,
    ],
    [
      'a state that throws',
      history({ stateOf: (row) => ({ status: row.status!.trim() }) }),
      /^order_history: stateOf threw TypeError/,
    ],
    [
      'ids of a history that derive from the row alone',
      history({
        rowsOf: (change) => ({ order_statuses: orderHistory.history!.rowsOf({ ...change, id: '1' }).order_statuses! }),
      }),
      /^order_history: rowsOf gives rows of order_statuses one id for two changes/,
    ],
    [
      'random ids of a history',
      history({ rowsOf: (change) => orderHistory.history!.rowsOf({ ...change, id: randomUUID() }) }),
      /^order_history: rowsOf returns one thing and then another/,
    ],
    [
      'rows of a history that nobody finds',
      history({ scope: { column: 'order_id', of: (legacyKey) => legacyKey } }),
      /^order_history: a row of order_statuses is out of its scope: order_id/,
    ],
    [
      'a history that stays silent where a row goes, and fails',
      history({ rowsOf: (change) => (change.after!.status === 'paid' ? {} : orderHistory.history!.rowsOf(change)) }),
      /^order_history: rowsOf threw TypeError/,
    ],
  ])('%s', (_, of, message) => {
    expect(() => check(of, { seed: SEED })).toThrow(message);
  });

  test('rows that never meet, of which nobody gave an example', () => {
    const { projections } = createShop({ ...people, name: 'nobody' });
    const alone = projections.filter(({ name }) => name === 'customers');
    const never = alone.map(
      (projection): Projection => ({ ...projection, map: () => ({ rows: {}, contributions: [] }) }),
    );
    expect(() => checkProjection(never)).toThrow(/^nobody: no two of the rows .* give `examples` of rows that do/);
    expect(() => check(never)).not.toThrow();
  });

  test('declarations that contradict each other', () => {
    expect(() => check([createShop().projections, createShop({ ...people }).projections].flat())).toThrow(
      /The aggregate people of customers and that of customers are not one and the same/,
    );
  });
});

describe('a failure', () => {
  const broken = mapped((implied, row) => (row.total!.length > 0 ? implied : implied));
  const messageOf = (more: CheckOptions) => {
    try {
      check(broken, more);
    } catch (error) {
      return (error as Error).message;
    }
    return 'none';
  };

  test('names its seed, and comes back with it', () => {
    const first = messageOf({});
    const [, seed, runs] = /\nRepeat it with checkProjection\(…, \{ seed: (\d+), runs: (\d+) \}\)\.$/.exec(first)!;
    expect(messageOf({ seed: Number(seed), runs: Number(runs) })).toBe(first);
  });

  test('is shown on the smallest row that fails', () => {
    expect(messageOf({ seed: 7 })).toContain('\n  on {  }\n');
  });
});

/** Checks orders that are mapped by something else than they do, with the number of the call. */
function checkCalls(
  more: CheckOptions,
  change: (implied: Implied, call: number, row: LegacyRow) => Implied = (same) => same,
): { calls: number; rows: string[] } {
  const rows: string[] = [];
  check(
    createShop(people, (orders) => ({
      ...orders,
      map: (row, tenants) => {
        rows.push(JSON.stringify(row));
        return change(orders.map(row, tenants), rows.length, row);
      },
    })),
    more,
  );
  return { calls: rows.length, rows };
}

test('the seed alone decides what is tried', () => {
  const tried = (seed: number) => checkCalls({ seed, runs: 5 }).rows;
  expect(tried(1)).toEqual(tried(1));
  expect(tried(1)).not.toEqual(tried(2));
});

test('changes that are applied a second time must leave the same rows', () => {
  // What is mapped last is what is applied for the second time: only there is the row another one.
  const find = (seed: number) => {
    const { calls } = checkCalls({ seed, runs: 3 });
    try {
      checkCalls({ seed, runs: 3 }, (implied, call) => {
        if (call !== calls) return implied;
        const orders = implied.rows.orders_new!.map((order) => ({ ...order, total: 'another' }));
        return { ...implied, rows: { ...implied.rows, orders_new: orders } };
      });
      return 'nothing';
    } catch (error) {
      return (error as Error).message;
    }
  };
  // Of some seeds the last row that is mapped is deleted again.
  const isFound = (seed: number) =>
    find(seed).includes(': changes that are applied twice leave other rows\norders_new\n');
  expect([1, 2, 3, 4, 5, 6, 7, 8].some(isFound)).toBe(true);
});

test('settings of tenants reach what reads them', () => {
  const of = mapped((implied) => implied);
  const seen = new Set<unknown>();
  const [, orders] = of.projections;
  const projection: Projection = {
    ...orders!,
    map: (row, tenants) => {
      seen.add((tenants('north') as unknown as { country: string }).country);
      return orders!.map(row, tenants);
    },
  };
  check(projection, { tenants: () => ({ country: 'DE' }) as never, runs: 5 });
  expect([...seen]).toEqual(['DE']);
});

test('without fast-check it says what to install', () => {
  // From a folder of which no parent has it.
  const from = pathToFileURL(`${tmpdir()}/somewhere/test.ts`).href;
  expect(() => loadFastCheck(from)).toThrow(
    expect.objectContaining({
      code: 'config_invalid',
      message: 'checkProjection needs fast-check, which is not installed',
      remedy: 'Install it: npm install --save-dev fast-check@4',
    }),
  );
});
