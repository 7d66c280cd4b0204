import { expect, test } from 'vitest';
import { MappingTally } from '../../../assess/mapping.ts';
import type { LegacyRow, Projection } from '../../../projectors/projection.ts';

const people = {
  name: 'people',
  source: 'people',
  tenant: { column: 'ws' },
  aggregates: [],
  map: (row: LegacyRow) => {
    if (row.id === 'bad') throw new RangeError('value 12015550123 is bad');
    return {
      rows: {
        persons: [{ id: row.id ?? null }],
        faults:
          row.score === 'high'
            ? [
                { path: 'items.12.score', reason: 'not a number', raw_value: 'high' },
                { path: 'items.3.score', reason: 'not a number', raw_value: 'high' },
              ]
            : [],
      },
      contributions: [{ aggregate: 'homes', mergeKey: `home ${row.home}`, data: {} }],
    };
  },
} as unknown as Projection;
const history = {
  name: 'past',
  source: 'people',
  history: {
    stateOf: (row: { id?: string }) => {
      if (row.id === 'odd') throw 'odd';
      return null;
    },
  },
} as unknown as Projection;

test('rows are mapped by every projection of their table, and only counted', () => {
  const tally = new MappingTally({
    ...{ name: 'test', legacySchema: 'public', sources: ['people'], projections: [people, history] },
    ...{ tenants: () => ({}), hints: null, rejects: 'faults' },
  });
  const rows = [
    { id: '1', ws: 'a', home: 'x', score: 'high' },
    { id: '2', ws: 'a', home: 'x', score: '1' },
    { id: 'bad', ws: 'b' },
    { id: 'odd', ws: ' ', home: 'y' },
    { id: '5', ws: null, home: 'z', score: 'high' },
  ];
  for (const row of rows) tally.add('people', row);
  tally.add('unknown', { id: '1' });
  const { tables, merges, tenants } = tally.summary();
  expect(tables[0]).toEqual({
    table: 'people',
    rows: 5,
    rejectedRows: 2,
    rejects: [{ path: 'items.*.score', reason: 'not a number', count: 4 }],
    throws: [
      { projection: 'past', reason: 'map threw string', count: 1 },
      { projection: 'people', reason: 'map threw RangeError', count: 1 },
    ],
    targets: [{ table: 'persons', rows: 4 }],
    contributions: 4,
  });
  expect(merges).toMatchObject([{ aggregate: 'homes', tables: ['people'], contributions: 4, keys: 3 }]);
  expect(tenants).toEqual({
    count: 2,
    unassignedRows: 2,
    largest: [
      { tenant: 'a', rows: 2 },
      { tenant: 'b', rows: 1 },
    ],
    isExact: true,
  });
  expect(JSON.stringify({ tables, merges })).not.toContain('12015550123');
});
