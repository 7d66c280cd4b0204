import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Implied, LegacyRow, Projection } from '../../../projectors/projection.ts';
import { allProjections, projections, readMigrations } from '../../support/crm.ts';
import { legacyTable } from '../../support/legacy-shape.ts';
import { tenants } from './mapped.ts';

const ddl = readMigrations()
  .map(({ up }) => up)
  .join('\n');

function columnsOf(sql: string, table: string): string[] {
  const body = new RegExp(`^CREATE TABLE (?:crm\\.)?${table} \\(\\n([^]*?)\\n\\);`, 'm').exec(sql)?.[1] ?? '';
  const added = sql.matchAll(new RegExp(`^ALTER TABLE crm\\.${table} ADD COLUMN (?:IF NOT EXISTS )?([a-z_]+)`, 'gm'));
  return [
    ...body.split('\n').flatMap((line) => /^ {2}([a-z_0-9]+) /.exec(line)?.[1] ?? []),
    ...[...added].map((match) => match[1]!),
  ];
}

const cell = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.json(),
  fc.json().map((json) => JSON.stringify(`[${json}]`)),
  fc
    .array(
      fc.dictionary(fc.constantFrom('quantity', 'unit_price', 'total', 'sort_order', 'is_upsell', 'x'), fc.jsonValue()),
    )
    .map((items) => JSON.stringify(items)),
  fc.constantFrom(
    'NaN',
    'Infinity',
    '0.00',
    '12.50',
    't',
    'f',
    'infinity',
    'converted',
    'accepted',
    '415-555-2732',
    'a@b.c',
    '[',
    '{"a":',
  ),
);

function rowsOf(projection: Projection): fc.Arbitrary<LegacyRow> {
  const columns = [...projection.reads, 'unheard_of', '__proto__'].map((column) => [column, cell] as const);
  return fc.record(Object.fromEntries(columns), { requiredKeys: [] }) as fc.Arbitrary<LegacyRow>;
}

function foldAll(projection: Projection, implied: Implied) {
  return implied.contributions.map(({ aggregate, mergeKey, data }) =>
    projection.aggregates
      .find(({ name }) => name === aggregate)!
      .fold(mergeKey, [
        { legacyTable: projection.source, legacyKey: 'k', live: true, movedTo: null, committedAt: 'infinity', data },
      ]),
  );
}

describe.each(projections.map((projection) => [projection.name, projection] as const))('%s', (_name, projection) => {
  const targets = [...projection.owned, ...projection.aggregates.flatMap(({ targets: merged }) => merged)];
  const columnsByTable = new Map(targets.map(({ table, columns }) => [table, columns]));

  it('maps any row, always alike, into columns that it declares, and leaves the row alone', { timeout: 30_000 }, () => {
    fc.assert(
      fc.property(rowsOf(projection), (row) => {
        const before = structuredClone(row);
        const implied = projection.map(row, tenants);
        expect(projection.map(row, tenants)).toEqual(implied);
        expect(row).toEqual(before);
        for (const [table, rows] of Object.entries(implied.rows)) {
          const declared = columnsByTable.get(table)!;
          for (const mapped of rows) {
            expect(Object.keys(mapped).filter((column) => !declared.includes(column))).toEqual([]);
            expect(Object.values(mapped).filter((value) => value !== null && typeof value !== 'string')).toEqual([]);
          }
          expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
        }
        for (const folded of foldAll(projection, implied)) {
          for (const [table, rows] of Object.entries(folded)) {
            for (const { row: mapped } of rows) {
              expect(Object.keys(mapped).toSorted()).toEqual([...columnsByTable.get(table)!].toSorted());
            }
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('maps a row without any column', () => {
    expect(() => projection.map({}, tenants)).not.toThrow();
  });

  it.each(targets.map(({ table, columns }) => [table, columns] as const))(
    'declares columns of %s that exist',
    (table, columns) => {
      expect(columns.slice(0, 2)).toEqual(['id', 'tenant_id']);
      expect(new Set(columns).size).toBe(columns.length);
      const existing = columnsOf(ddl, table);
      expect(columns.filter((column) => !existing.includes(column))).toEqual([]);
    },
  );

  it('reads columns that the legacy table has, and requires some of them', () => {
    const columns = legacyTable(projection.source).columns.map(({ name }) => name);
    expect(projection.reads.filter((column) => !columns.includes(column))).toEqual([]);
    expect(projection.requires).toEqual(expect.arrayContaining([...legacyTable(projection.source).key]));
    expect(projection.requires.filter((column) => !projection.reads.includes(column))).toEqual([]);
  });

  it('keeps a column that no rule names', () => {
    const implied = projection.map({ id: '7', unheard_of: 'some value', empty: '', missing: null }, tenants);
    const kept = JSON.stringify(implied);
    expect(kept).toContain('unheard_of');
    expect(kept).toContain('some value');
    expect(kept).toContain('empty');
    expect(kept).not.toContain('missing');
  });
});

it('names are distinct', () => {
  const names = allProjections.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
