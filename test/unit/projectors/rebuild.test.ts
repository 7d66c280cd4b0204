import { afterEach, describe, expect, test, vi } from 'vitest';
import { toReportLines, toResultLines } from '../../../cli/rebuild-text.ts';
import { contacts } from '../../../pipelines/crm/projections/contacts.ts';
import { contactHistory } from '../../../pipelines/crm/projections/lead-history.ts';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { createEnds } from '../../../projectors/rebuild/ends.ts';
import { createLag } from '../../../projectors/rebuild/lag.ts';
import { parentsFirst } from '../../../projectors/rebuild/merge-sql.ts';
import type { RebuildResult } from '../../../projectors/rebuild/rebuild.ts';
import type { Report } from '../../../projectors/rebuild/report.ts';
import { parseStart, toStartText } from '../../../projectors/rebuild/start.ts';
import { inseparableFrom } from '../../../projectors/rebuild/units.ts';
import { targetTables } from '../../../projectors/write/catalog.ts';
import { allProjections, mappingFiles, readMapping, toUnits } from '../../support/crm.ts';

/** Every table with the columns that anybody declares. */
function shapesOf(projections: readonly Projection[]) {
  const types: Record<string, Record<string, string>> = {};
  for (const { owned, aggregates, history } of projections) {
    for (const { table, columns } of [
      ...owned,
      ...aggregates.flatMap(({ targets }) => targets),
      ...(history?.targets ?? []),
    ]) {
      types[table] ??= {};
      for (const column of [...columns, 'legacy_table', 'legacy_key', 'deleted_at']) types[table]![column] = 'text';
    }
  }
  return new Map(Object.entries(types).map(([table, of]) => [table, { table, types: of }]));
}

describe('units', () => {
  const shapes = shapesOf(allProjections);
  const of = (projections: readonly Projection[]) => toUnits(projections, allProjections, shapes);

  test('cover every table that a projection writes, once for each projection that does', () => {
    for (const projection of allProjections) {
      const own = of(allProjections).filter((unit) => unit.projection === projection.name && unit.schema === 'crm');
      // Tables of an aggregate are those of the first projection that feeds it.
      const folded = projection.aggregates
        .filter(({ name }) => allProjections.find(({ aggregates }) => aggregates.some((a) => a.name === name)) !== projection)
        .flatMap(({ targets }) => targets.map(({ table }) => table));
      const tables = new Set(targetTables(projection).filter((table) => !folded.includes(table)));
      expect(own.map(({ table }) => table).sort()).toEqual([...tables].sort());
    }
    expect(of(allProjections).map(({ number }) => number)).toEqual(of(allProjections).map((_, at) => at));
  });

  test('answer for rows of unknown legacy tables where nobody else may have written them, and once only', () => {
    const leads = (projections: readonly Projection[]) =>
      of(projections)
        .filter(({ table }) => table === 'leads')
        .map(({ projection, others }) => [projection, others]);
    expect(leads(allProjections)).toEqual([
      ['contacts', ['quotes', 'clients', 'leads']],
      ['quotes', null],
      ['clients', null],
    ]);
    // The other projection's rows stay out of it.
    expect(leads([quotes])).toEqual([['quotes', null]]);
    expect(of([quotes]).find(({ table }) => table === 'payments')!.others).toEqual([]);
  });

  test('compare whose row it is, but not which contributor a merged row names', () => {
    const compared = (table: string) =>
      of([quotes])
        .find((unit) => unit.table === table)!
        .compared.map(({ name }) => name);
    expect(compared('jobs_new')).toEqual(expect.arrayContaining(['legacy_table', 'legacy_key', 'status']));
    expect(compared('customers')).not.toContain('legacy_key');
    expect(compared('jobs_new')).not.toContain('source_lsn');
  });
});

test('rows of a history are found by the lead that their legacy row implies', () => {
  const histories = toUnits([contactHistory], allProjections, shapesOf(allProjections)).filter(
    ({ kind }) => kind === 'history',
  );
  expect(histories.map(({ table }) => table).sort()).toEqual([...targetTables(contactHistory)].sort());
  const leadOf = contacts.owned.find(({ table }) => table === 'leads')!.scope.of;
  for (const { scope } of histories) {
    expect(scope!.column.name).toBe('lead_id');
    expect(scope!.of('a')).toBe(leadOf('a'));
  }
});

describe('projections that cannot be rebuilt alone', () => {
  const other = (name: string, changes: Partial<Projection>): Projection => ({
    ...quotes,
    name,
    source: name,
    owned: [],
    aggregates: [],
    ...changes,
  });

  test('are none of those there are, but for clients and the leads that they name', () => {
    const together: Readonly<Record<string, string>> = { clients: 'leads', leads: 'clients' };
    for (const projection of allProjections) {
      const others = together[projection.name];
      expect(inseparableFrom([projection], allProjections)).toEqual(others === undefined ? [] : [others]);
    }
  });

  test('are those that fold the same rows, and those that write the same ones, whoever leads to them', () => {
    const orders = other('orders', { aggregates: quotes.aggregates });
    const twin = other('twin', { source: 'orders', owned: contacts.owned });
    const third = other('third', { source: 'orders', owned: contacts.owned.slice(0, 1) });
    const all = [contacts, quotes, orders, twin, third];
    expect(inseparableFrom([quotes], all)).toEqual(['orders']);
    expect(inseparableFrom([third], all)).toEqual(['twin']);
    expect(inseparableFrom([quotes, orders, twin, third], all)).toEqual([]);
    expect(inseparableFrom([contacts], all)).toEqual([]);
  });
});

describe('places in the log', () => {
  afterEach(() => vi.unstubAllEnvs());
  test.each(['beginning', 'offset:0', 'offset:123456789012', '2026-07-01T10:30:00.000Z'])('%s', (text) => {
    expect(toStartText(parseStart(text))).toBe(text);
  });
  test('a date alone is its midnight, and a time may have a zone', () => {
    expect(toStartText(parseStart('2026-07-01'))).toBe('2026-07-01T00:00:00.000Z');
    expect(toStartText(parseStart('2026-07-01T10:30:00+02:00'))).toBe('2026-07-01T08:30:00.000Z');
  });
  test.each(['UTC', 'America/New_York', 'Asia/Kathmandu'])(
    'a time is the same moment wherever it is read: %s',
    (zone) => {
      vi.stubEnv('TZ', zone);
      expect(toStartText(parseStart('2026-07-01'))).toBe('2026-07-01T00:00:00.000Z');
      expect(toStartText(parseStart('2026-07-01 10:30:00Z'))).toBe('2026-07-01T10:30:00.000Z');
      expect(toStartText(parseStart('2026-07-01T10:30:00.5-0400'))).toBe('2026-07-01T14:30:00.500Z');
      for (const text of ['2026-07-01T10:30:00', '2026-07-01 10:30'])
        expect(() => parseStart(text)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    },
  );
  test.each([
    ...['', 'offset:', 'offset:-1', 'offset:1.5', 'yesterday', '12', '2026-13-01', 'Beginning'],
    ...['2026-07-01 UTC', '2026-07-01T25:00Z', '2026-07-01Z'],
  ])('%j is none', (text) => {
    expect(() => parseStart(text)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});

describe('ends', () => {
  test('let a partition go on once they are behind it, and never go back', async () => {
    const ends = createEnds();
    const passed: string[] = [];
    void ends.behind(0, 5n).then(() => passed.push('0 behind 5'));
    void ends.behind(1, 0n).then(() => passed.push('1 behind 0'));
    expect(ends.of(0)).toBe(0n);
    ends.move(new Map([[0, 5n]]));
    await Promise.resolve();
    expect(passed).toEqual([]);
    ends.move(new Map([[1, 1n]]));
    ends.move(new Map([[0, 6n]]));
    await Promise.resolve();
    expect(passed).toEqual(['1 behind 0', '0 behind 5']);
    ends.move(new Map([[0, 2n]]));
    expect(ends.of(0)).toBe(6n);
    await ends.behind(0, 5n);
  });
});

describe('how far behind a shadow is', () => {
  const at = (offset: bigint) => [{ projection: 'contacts', partition: 0, offset }];

  test('as long as it is since the live projectors were last where it is', () => {
    const lag = createLag(1000);
    expect(lag.look(0, at(5n), at(4n))).toBe(Number.POSITIVE_INFINITY);
    expect(lag.look(100, at(5n), at(4n))).toBe(Number.POSITIVE_INFINITY);
    expect(lag.look(200, at(9n), at(6n))).toBe(100);
    expect(lag.look(900, at(9n), at(8n))).toBe(800);
    expect(lag.look(901, at(9n), at(9n))).toBe(0);
  });

  test('every partition counts, and one that the shadow has not begun', () => {
    const lag = createLag(1000);
    const live = [...at(5n), { projection: 'contacts', partition: 1, offset: 0n }];
    expect(lag.look(0, live, at(5n))).toBe(Number.POSITIVE_INFINITY);
    expect(lag.look(1, live, [...at(5n), { projection: 'quotes', partition: 1, offset: 7n }])).toBe(
      Number.POSITIVE_INFINITY,
    );
    expect(lag.look(2, live, live)).toBe(0);
  });

  test('a replay of hours remembers no more looks than one of seconds', () => {
    const lag = createLag(3000);
    for (let tick = 0; tick < 100_000; tick++) lag.look(tick * 100, at(1_000_000n), at(BigInt(tick)));
    expect(lag.size).toBeLessThanOrEqual(31);
  });
});

describe('the order of a merge', () => {
  const reference = (child: string, parent: string) => ({ child, parent });
  test('has parents before children, and otherwise stays as it is', () => {
    const references = [reference('items', 'quotes'), reference('quotes', 'leads'), reference('leads', 'contacts')];
    expect(parentsFirst(['items', 'tenants', 'quotes', 'leads'], references)).toEqual([
      'tenants',
      'leads',
      'quotes',
      'items',
    ]);
  });
  test('does not mind rows that refer to their own table, or tables that refer to each other', () => {
    const references = [reference('a', 'a'), reference('b', 'c'), reference('c', 'b')];
    expect(parentsFirst(['a', 'b', 'c'], references)).toEqual(['a', 'b', 'c']);
  });
});

test('a mapping is the same until a version or a file of it changes', () => {
  expect(readMapping(allProjections)).toBe(readMapping(allProjections.toReversed()));
  expect(readMapping([quotes])).toMatch(/^quotes \S+ \([0-9a-f]{12}\)$/);
  expect(readMapping([{ ...quotes, version: '99' }])).not.toBe(readMapping([quotes]));
  const files = mappingFiles();
  expect([...files.keys()]).toEqual(
    expect.arrayContaining([
      ...['pipeline/projections/quotes.ts', 'pipeline/projections/quotes/items.ts', 'pipeline/values/phone.ts'],
      ...['pipeline/tenants.json', 'projectors/decode.ts', 'projectors/source-change.ts', 'projectors/values/json.ts'],
      ...['projectors/write/map-changes.ts', 'schemas/avro/decode.ts', 'libphonenumber-js'],
    ]),
  );
  for (const name of ['projectors/decode.ts', 'projectors/write/map-changes.ts', 'libphonenumber-js'])
    expect(readMapping([quotes], new Map([...files, [name, files.get('pipeline/tenants.json')!]]))).not.toBe(
      readMapping([quotes]),
    );
});

describe('what people read', () => {
  const report: Report = {
    projections: [
      {
        projection: 'quotes',
        tables: [
          {
            ...{ table: 'quotes_new', before: 1234, after: 1233, added: 0, changed: 2, removed: 1, ofApplication: 1 },
            columns: { notes: 1, total: 2 },
            sums: { total: { before: '10.5', after: '9.25' }, subtotal: { before: '1', after: '1' } },
          },
        ],
      },
    ],
    failures: [
      { projection: 'quotes', kind: 'failed', reason: '23514 quotes_new some_check', count: 7, legacyKeys: ['a', 'b'] },
    ],
    differences: [
      {
        projection: 'quotes',
        table: 'quotes_new',
        id: '1',
        legacyKey: '1',
        kind: 'change',
        column: 'notes',
        before: 'secret',
        after: null,
      },
      {
        projection: 'quotes',
        table: 'quotes_new',
        id: '2',
        legacyKey: null,
        kind: 'remove',
        column: null,
        before: null,
        after: null,
      },
    ],
    deadLetters: { before: 2, after: 7 },
    waiting: { before: 0, after: 0 },
  };

  test('counts, columns, sums, failures; values by their length unless asked for', () => {
    const text = toReportLines(report, { limit: 10, unmask: false }).join('\n');
    for (const part of [
      'quotes_new  1,234  1,233      0        2        1',
      'quotes_new: total changes in 2, notes changes in 1',
      'sum of quotes_new.total: 10.5 → 9.25',
      '1 rows of quotes_new are left out',
      'open dead letters: 2 → 7, waiting changes: 0',
      'quotes_new 1 (legacy 1) notes: (6 characters) → null',
      'quotes_new 2 remove',
      'quotes: 7 changes cannot be applied: 23514 quotes_new some_check (legacy a, b, …)',
    ])
      expect(text).toContain(part);
    expect(text).not.toContain('secret');
    expect(text).not.toContain('subtotal');
    expect(toReportLines(report, { limit: 10, unmask: true }).join('\n')).toContain('secret');
    expect(toReportLines(report, { limit: 1, unmask: false }).join('\n')).not.toContain('quotes_new 2 remove');
  });

  test('what became of it, with the next step', () => {
    const result: RebuildResult = {
      ...{ state: 'merged', name: 'x', report, replay: { records: 1, seconds: 1 }, compareSeconds: 1 },
      ...{
        paused: { compareMs: 512, mergeMs: 3456, times: 3 },
        merged: {
          quotes_new: { added: 1, changed: 2, removed: 3 },
          contribution: { added: 9, changed: 9, removed: 9 },
        },
      },
    };
    const said = (state: RebuildResult['state']) =>
      toResultLines({ ...result, state }, 'crosswalk rebuild quotes').join('\n');
    expect(said('merged')).toBe(
      'merged: 1 rows added, 2 changed, 3 removed. The live projectors stood still for 4.0 s.',
    );
    expect(toResultLines({ ...result, merged: null }, 'crosswalk rebuild quotes').join('\n')).toBe(
      'merged already: the shadow is dropped',
    );
    expect(said('previewed')).toContain('stood still for 512 ms');
    for (const state of ['paused', 'kept', 'refused'] as const) {
      expect(said(state)).toContain('crosswalk rebuild quotes --resume');
      expect(said(state)).toContain('--discard');
    }
  });
});
