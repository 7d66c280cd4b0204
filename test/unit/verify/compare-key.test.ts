import { describe, expect, test } from 'vitest';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { defineProjection, type Projection } from '../../../projectors/projection.ts';
import { compareKey, type Found, type FoundRow, toDifferenceText } from '../../../projectors/verify/compare-key.ts';
import { toExpected, toPlans, verifiedTables } from '../../../projectors/verify/plan.ts';

const projection: Projection = defineProjection({
  name: 'things',
  version: '1',
  source: 'old_things',
  requires: [],
  reads: [],
  owned: [
    {
      ...{ table: 'things', columns: ['id', 'tenant_id', 'price'], blank: ['other'], retract: 'soft-delete' },
      scope: { column: 'id', of: (key) => key },
    },
  ],
  aggregates: [
    {
      name: 'owners',
      targets: [{ table: 'owners', columns: ['id', 'tenant_id'], key: 'id' }],
      needsHistory: false,
      fold: () => ({}),
    },
  ],
  map: (row) => {
    if (row.id === 'bad') throw new Error('a defect');
    return {
      rows: { things: [{ id: row.id!, tenant_id: 't', price: row.price! }] },
      contributions: [{ aggregate: 'owners', mergeKey: 'm', data: { tenant_id: 't', name: row.name ?? null } }],
    };
  },
});
const shapes = new Map([
  [
    'things',
    {
      table: 'things',
      types: { id: 'uuid', tenant_id: 'text', price: 'numeric', other: 'text', deleted_at: 'timestamptz' },
    },
  ],
  ['owners', { table: 'owners', types: { id: 'uuid', tenant_id: 'text' } }],
]);
const [plan] = toPlans([projection], shapes) as [ReturnType<typeof toPlans>[number]];
const tenants = createTenants({});
const expected = toExpected(plan, 'a', { id: 'a', price: '1.50', name: 'n' }, tenants)!;

const lineage = { lsn: '0/1', xid: '5', committedAt: 'then', mappingVersion: '1' };
const row = (of: Partial<FoundRow> = {}): FoundRow => ({
  ...{
    id: 'a',
    cells: ['a', 't', '1.50', null],
    origin: 'cdc',
    deletedAt: null,
    legacyTable: 'old_things',
    legacyKey: 'a',
  },
  ...{ lineage, physical: '(0,1) 9 0' },
  ...of,
});
const contribution = {
  aggregate: 'owners',
  mergeKey: 'm',
  live: true,
  data: { tenant_id: 't', name: 'n' },
  lineage,
  physical: '(0,1) 9 0',
};
const found = (rows: FoundRow[], contributions: Found['contributions'] = [contribution]): Found => ({
  ...{ rows: [new Map(rows.map((of) => [of.id, of]))], contributions, isParked: false, isDead: false },
});
const none = new Map<string, ReadonlySet<string>>();
const namesOf = (results: ReturnType<typeof compareKey>) =>
  results
    .filter(({ kind }) => kind !== 'equal')
    .map(({ table, id, kind, cells }) => [table, id, kind, ...cells.map(({ column }) => column)].join(' '));

describe('rows of one legacy key', () => {
  test('are equal where all of it is', () => {
    const results = compareKey(plan, expected, found([row()]), none);
    expect(namesOf(results)).toEqual([]);
    expect(results.map(({ table, tenant }) => `${table} ${tenant}`)).toEqual(['things t', 'contribution t']);
    expect(toDifferenceText(results, true)).toBe('');
  });

  test.each<[string, Partial<FoundRow>]>([
    ['things a differs price', { cells: ['a', 't', '1.5', null] }],
    ['things a differs other', { cells: ['a', 't', '1.50', 'x'] }],
    ['things a differs deleted_at', { deletedAt: 'now' }],
    ['things a differs origin', { origin: 'app' }],
    ['things a differs legacy_table', { legacyTable: 'others' }],
    ['things a differs legacy_key', { legacyKey: 'b' }],
  ])('%s', (name, of) => {
    expect(namesOf(compareKey(plan, expected, found([row(of)]), none))).toEqual([name]);
  });

  test('are missing, or too many', () => {
    expect(namesOf(compareKey(plan, expected, found([]), none))).toEqual(['things a missing']);
    const extra = row({ id: 'x', cells: ['x', 't', '1', null] });
    expect(namesOf(compareKey(plan, expected, found([row(), extra]), none))).toEqual(['things x extra']);
    // Retracted rows, those of the application and those of another projection are nobody's business here.
    for (const of of [{ deletedAt: 'then' }, { origin: 'app' }, { legacyTable: 'others' }])
      expect(namesOf(compareKey(plan, expected, found([row(), { ...extra, ...of }]), none))).toEqual([]);
  });

  test('that stand elsewhere are theirs as long as they name the key', () => {
    const strays = new Map([['things', new Set(['x'])]]);
    const stray = row({ id: 'x', cells: ['x', 't', '1', null] });
    expect(namesOf(compareKey(plan, expected, found([row(), stray]), strays))).toEqual(['things x extra']);
    expect(namesOf(compareKey(plan, expected, found([row(), { ...stray, legacyKey: 'b' }]), strays))).toEqual([]);
  });

  test('imply nothing where there is no legacy row', () => {
    const nothing = toExpected(plan, 'a', null, tenants)!;
    expect(namesOf(compareKey(plan, nothing, found([], []), none))).toEqual([]);
    expect(namesOf(compareKey(plan, nothing, found([row()]), none))).toEqual([
      'things a extra',
      'contribution owners m old_things a extra',
    ]);
  });

  test('cannot be told where the projection throws', () => {
    expect(toExpected(plan, 'bad', { id: 'bad' }, tenants)).toBeNull();
  });
});

test('contributions are compared field by field, and null is as good as nothing', () => {
  const compare = (of: Partial<typeof contribution>) =>
    namesOf(compareKey(plan, expected, found([row()], [{ ...contribution, ...of }]), none));
  expect(compare({ data: { tenant_id: 't', name: 'other' } })).toEqual([
    'contribution owners m old_things a differs data.name',
  ]);
  expect(compare({ data: { tenant_id: 't', name: 'n', more: null } as typeof contribution.data })).toEqual([]);
  expect(compare({ live: false })).toEqual(['contribution owners m old_things a differs live']);
  expect(compare({ mergeKey: 'k' })).toEqual([
    'contribution owners m old_things a missing',
    'contribution owners k old_things a extra',
  ]);
  expect(compare({ mergeKey: 'k', live: false })).toEqual(['contribution owners m old_things a missing']);
});

test('the text of a difference tells physical versions apart where asked to', () => {
  const text = (physical: string, withVersions: boolean) =>
    toDifferenceText(compareKey(plan, expected, found([row({ deletedAt: 'now', physical })]), none), withVersions);
  expect(text('(0,1) 9 0', false)).toBe(text('(0,1) 9 10', false));
  expect(text('(0,1) 9 0', true)).not.toBe(text('(0,1) 9 10', true));
});

test('every table that is verified is known without a database', () => {
  expect(verifiedTables([projection])).toEqual(['owners', 'things', 'contribution']);
});
