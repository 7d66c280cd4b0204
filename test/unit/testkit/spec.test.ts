import { AssertionError } from 'node:assert';
import { describe, expect, test } from 'vitest';
import type { Projection } from '../../../projectors/projection.ts';
import { gone, insert, remove, spec, update } from '../../../testkit/testkit.ts';
import { createShop, keys, people, personId } from './shop.ts';

const shop = createShop();
const order = { shop: 'north', number: '1', email: 'ada@example.org', name: 'Ada', total: '10.00', status: 'new' };
const key = ['north', '1'];
const given = () => spec(shop, { keys }).given({ orders: [order] });
const late = { updated_at: '2024-05-05 00:00:00+00' };

/** What a failed expectation says. */
function messageOf(expectation: () => void): string {
  try {
    expectation();
  } catch (error) {
    expect(error).toBeInstanceOf(AssertionError);
    return (error as Error).message;
  }
  return 'as expected';
}

describe('rows of one legacy row', () => {
  test('are there after the initial load, and follow their row', () => {
    given().then({ orders_new: [{ number: '1', total: '10.00', person_id: personId('ada@example.org') }] });
    given()
      .when(update('orders', key, { total: '12.50' }))
      .then({ orders_new: [{ total: '12.50', note: null, deleted_at: null, legacy_key: '["north","1"]' }] });
  });

  test('are soft-deleted, with the time of the change, or deleted', () => {
    const whenGone = spec(shop, { keys })
      .given({ orders: [{ ...order, total: 'NaN' }] })
      .when(remove('orders', key, '2024-06-01 00:00:00+00'));
    whenGone.then({ orders_new: [] }).rejects([]);
    whenGone.then({ orders_new: [gone({ number: '1' })] });
    whenGone.then({
      orders_new: [{ deleted_at: '2024-06-01 00:00:00+00', source_committed_at: '2024-06-01 00:00:00+00' }],
    });
  });

  test('come back', () => {
    given()
      .when(remove('orders', key), insert('orders', { ...order, total: '1' }))
      .then({ orders_new: [{ total: '1', deleted_at: null }] });
  });

  test('are others under another key', () => {
    given()
      .when(update('orders', key, { number: '2' }))
      .then({ orders_new: [{ number: '2', legacy_key: '["north","2"]' }, gone({ number: '1' })] });
  });

  test('keep the lineage of the change that made them', () => {
    given()
      .when(update('orders', key, { status: 'paid' }))
      .then({ orders_new: [{ source_committed_at: '2024-01-01 00:00:00+00' }] });
  });

  test('go with their own legacy row, and not with one of another table that has the same key', () => {
    const notes = (source: string): Projection => ({
      ...{ name: source, version: '1', source, requires: ['id'], reads: ['id'], aggregates: [] },
      owned: [
        {
          ...{ table: 'notes', columns: ['id', 'of'], retract: 'delete' },
          scope: { column: 'legacy_key', of: (legacyKey) => legacyKey },
        },
      ],
      map: ({ id = null }) => ({ rows: { notes: [{ id: `${source} ${id}`, of: source }] }, contributions: [] }),
    });
    spec([notes('calls'), notes('letters')])
      .given({ calls: [{ id: '1' }], letters: [{ id: '1' }] })
      .when(remove('calls', '1'))
      .then({ notes: [{ of: 'letters' }] });
  });

  test('are rejected where they have no valid form', () => {
    given()
      .when(update('orders', key, { total: 'ten' }))
      .rejects([{ path: 'total', raw_value: 'ten', reason: 'not a finite number' }]);
    given()
      .when(update('orders', key, { total: 'ten' }), update('orders', key, { total: '10' }))
      .rejects([]);
  });
});

describe('merged rows', () => {
  test('are folded from the rows of several tables', () => {
    given()
      .when(insert('customers', { id: '7', email: 'ADA@example.org', name: 'Ada L.', ...late }))
      .then({
        people: [{ id: personId('ada@example.org')!, name: 'Ada L.', legacy_table: 'customers', legacy_key: '7' }],
      });
  });

  test('live on as long as one row contributes', () => {
    given()
      .when(
        insert('customers', { id: '7', email: 'ada@example.org', name: 'Ada L.', ...late }),
        remove('customers', '7'),
      )
      .then({ people: [{ name: 'Ada' }] });
  });

  test('are gone with the last one, and say where it moved', () => {
    given()
      .when(update('orders', key, { email: 'bob@example.org' }))
      .then({
        people: [
          { id: personId('bob@example.org')!, name: 'Ada', moved_to: null },
          gone({ id: personId('ada@example.org')!, name: 'Ada', moved_to: personId('bob@example.org') }),
        ],
      });
    given()
      .when(remove('orders', key))
      .then({ people: [gone({ name: 'Ada', moved_to: null })] });
  });

  test('that a fold leaves out are gone', () => {
    const fold: typeof people.fold = (mergeKey, contributions) => ({
      people: people.fold(mergeKey, contributions).people!.filter(({ deletedAt }) => deletedAt === null),
    });
    spec(createShop({ ...people, fold }), { keys })
      .given({ orders: [order] })
      .when(remove('orders', key))
      .then({ people: [gone({ name: 'Ada', source_committed_at: '2024-01-01 00:00:01+00' })] });
  });

  test('do not depend on what `needs` chooses', () => {
    const needs = { version: '1', whole: [] };
    spec(createShop({ ...people, needs }), { keys })
      .given({ orders: [order, { ...order, number: '2', name: 'Bo', ...late }] })
      .then({ people: [{ name: 'Bo' }] });
  });
});

describe('histories', () => {
  const statuses = (is: string | null, was: string | null, changed_at: string) => ({ is, was, changed_at });

  test('begin with what the initial load reads, and add a row for each change of the state', () => {
    given()
      .when(
        update('orders', key, { total: '11' }),
        update('orders', key, { status: 'paid' }, '2024-06-01 00:00:00+00'),
        remove('orders', key),
      )
      .then({
        order_statuses: [
          statuses('paid', 'new', '2024-06-01 00:00:00+00'),
          statuses(null, 'paid', '2024-01-01 00:00:03+00'),
        ],
      });
    given().then({ order_statuses: [] });
  });

  test('have the first state of a row that is inserted', () => {
    spec(shop, { keys })
      .when(insert('orders', order))
      .then({ order_statuses: [statuses('new', null, '2024-01-01 00:00:01+00')] });
  });
});

describe('a difference', () => {
  const two = () => spec(shop, { keys }).given({ orders: [order, { ...order, number: '2', total: '20' }] });

  test('names table, row and column, with both cells', () => {
    const message = messageOf(() => two().then({ orders_new: [{ number: '1', total: '11' }, { number: '2' }] }));
    expect(message).toMatch(
      /^orders_new\n {2}id \S+ \(of orders \["north","1"\]\)\n {4}total: expected "11", is "10\.00"$/,
    );
  });

  test('names rows that are missing, and those that nobody expects', () => {
    const message = messageOf(() =>
      two().then({ orders_new: [{ number: '1' }, { number: '3', total: '30' }], people: [] }),
    );
    expect(message).toMatch(
      /^orders_new\n {2}missing: \{ number: "3", total: "30" \}\n {2}not expected: \{ .*number: "2", total: "20".* \}\npeople\n {2}not expected: \{ id: "\S+", name: "Ada" \}$/,
    );
  });

  test('is found in the number of rows alike, and between live and gone', () => {
    expect(messageOf(() => two().then({ orders_new: [{ total: '10.00' }] }))).toContain('not expected');
    expect(messageOf(() => two().then({ orders_new: [{}, {}, {}] }))).toBe('orders_new\n  missing: {  }');
    expect(messageOf(() => two().then({ orders_new: [{}, {}, gone({ number: '1' })] }))).toBe(
      'orders_new\n  missing among the soft-deleted rows: { number: "1" }',
    );
  });

  test('is none where each expected row has a row of its own', () => {
    two().then({ orders_new: [{}, { number: '1' }] });
    two().then({ orders_new: [{ number: '2' }, {}] });
  });

  test('carries rows for the runner to compare, with the columns that matter', () => {
    try {
      two().then({ orders_new: [{ total: '1' }] });
      expect.unreachable();
    } catch (error) {
      const { actual } = error as AssertionError;
      expect((actual as Record<string, object[]>).orders_new!.map((row) => Object.keys(row))).toEqual([
        ['id', 'total'],
        ['id', 'total'],
      ]);
    }
  });

  test('is not the other specification of the same rows', () => {
    const base = two();
    base.when(remove('orders', key)).then({ orders_new: [{ number: '2' }] });
    base.when(remove('orders', ['north', '2'])).then({ orders_new: [{ number: '1' }] });
    base.then({ orders_new: [{}, {}] });
  });
});

describe('a mistake of the specification is told:', () => {
  test.each<[string, () => unknown, RegExp]>([
    [
      'a table that nobody writes',
      () => given().then({ order_new: [] }),
      /^no projection writes the table order_new; they write people, orders_new/,
    ],
    [
      'a column that nobody writes',
      () => given().then({ people: [{ nam: 'x' }] }),
      /^no projection writes people\.nam; its columns are .*name/,
    ],
    [
      'a legacy table that nobody reads',
      () => spec(shop).given({ order: [] }).when(insert('order', order)),
      /^no projection reads the legacy table order; they read customers, orders$/,
    ],
    [
      'a row that is not there',
      () => given().when(remove('orders', ['south', '1'])),
      /^orders has no row "\[\\"south\\",\\"1\\"\]"$/,
    ],
    ['a row that is there already', () => given().when(insert('orders', order)), /^orders has a row .* already$/],
    [
      'a key of another number of columns',
      () => given().when(remove('orders', '1')),
      /^a key of orders has the columns shop, number: 1 values are not one$/,
    ],
    [
      'a row without its key',
      () => spec(shop).given({ orders: [order] }),
      /^a row of orders has no id, which is of its key; `keys` names other key columns$/,
    ],
    [
      'a cell that is no text',
      () => given().when(update('orders', key, { total: 10 as never })),
      /^orders\.total is a number: cells are PostgreSQL's texts, or null$/,
    ],
    [
      'rejects of a list of projections',
      () => spec(shop.projections, { keys }).given({}).rejects([]),
      /^no table of rejects is known/,
    ],
  ])('%s', (_, make, message) => {
    expect(messageOf(make)).toMatch(message);
  });

  test('waiting for it', async () => {
    await expect(async () => await (given() as unknown)).rejects.toThrow('a specification is not awaited');
    // What a test returns may be looked at by its runner.
    expect(await given().then({})).toHaveProperty('rejects');
  });
});

describe('a projection that does what it must not', () => {
  const orders = (change: Partial<Projection>) => createShop(people, (same) => ({ ...same, ...change }));

  test('throws what it throws, with the row', () => {
    const of = orders({ map: (row) => JSON.parse(row.total!) });
    const broken = spec(of, { keys });
    expect(messageOf(() => broken.given({ orders: [{ ...order, total: '{' }] }))).toMatch(
      /^orders: map threw SyntaxError \(SyntaxError: .*\) on orders "\[\\"north\\",\\"1\\"\]"$/,
    );
  });

  test('and returns what is not declared, is told', () => {
    const of = orders({ map: () => ({ rows: { order_lines: [] }, contributions: [] }) });
    expect(messageOf(() => spec(of, { keys }).given({ orders: [order] }))).toBe(
      'orders: map returns rows of order_lines, a table that it does not declare',
    );
  });

  test('reads the settings of tenants', () => {
    const of = orders({
      map: (row, tenants) => ({
        rows: {
          orders_new: [
            {
              id: shop.projections[1]!.owned[0]!.scope.of('["north","1"]'),
              number: Object.keys(tenants(row.shop!))[0]!,
            },
          ],
        },
        contributions: [],
      }),
    });
    spec(of, { keys, tenants: (tenant) => ({ [tenant]: 1 }) as never })
      .given({ orders: [order] })
      .then({ orders_new: [{ number: 'north' }] });
  });
});
