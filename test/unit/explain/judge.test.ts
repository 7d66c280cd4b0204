import { describe, expect, it } from 'vitest';
import { toLegacyLines, toRowLines } from '../../../cli/explain-text.ts';
import type { ReadChain } from '../../../projectors/explain/context.ts';
import type {
  LegacyExplanation,
  LoggedEvent,
  RowExplanation,
  RowName,
} from '../../../projectors/explain/explanation.ts';
import { judgeWriter } from '../../../projectors/explain/judge.ts';

const row: RowName = {
  ...{ table: 'leads', id: 'l', state: 'live', origin: 'cdc', deletedAt: null, legacyTable: 'quotes', legacyKey: 'q' },
  ...{ lsn: '0/10', xid: '5', committedAt: '2024-01-01 00:00:00+00', mappingVersion: '1' },
};
const event: LoggedEvent = {
  ...{
    op: 'u',
    lsn: '0/10',
    xid: '5',
    committedAt: '2024-01-01 00:00:00+00',
    identity: '1/0/10/0',
    topic: 't',
    partition: 2,
  },
  ...{ offset: '7', repair: null, unseen: [], progress: 'applied', effects: [] },
  changed: [{ column: 'notes', before: null, after: '(3 characters)' }],
};

function chain(
  legacyKey: string,
  given: Partial<ReadChain> & { wanted?: LoggedEvent; count?: number } = {},
): ReadChain {
  const { wanted, count = 3, ...rest } = given;
  const placed = wanted === undefined ? null : { event: wanted, previous: null, change: {} as never };
  const read = { count, events: [], wanted: placed, applied: null, implying: null, add: () => undefined };
  return { legacyTable: 'quotes', legacyKey, chain: read, partition: 2, from: 0n, to: 9n, isWhole: true, ...rest };
}
const position = { lsn: 0x20n };
const given = { since: null, isMerged: false, isFull: false };
const problemOf = (...parameters: Parameters<typeof judgeWriter>) => judgeWriter(...parameters).problems.join();

describe('the change that a lineage names', () => {
  it('is found in the chain of its key', () => {
    expect(judgeWriter(row, [chain('q', { wanted: event })], position, given)).toEqual({
      writtenBy: { ...event, legacyTable: 'quotes', legacyKey: 'q' },
      ...{ problems: [], notes: [] },
    });
  });

  it('must agree in all parts', () => {
    const other = { ...event, xid: '6', committedAt: '2024-01-02 00:00:00+00' };
    expect(problemOf(row, [chain('q', { wanted: other })], position, given)).toMatch(
      /xid 5, where the log has 6 and commit time 2024-01-01/,
    );
  });

  it('is not there: each reason is another one', () => {
    expect(problemOf(row, [chain('q')], position, given)).toMatch(/none of the 3 events/);
    expect(problemOf(row, [chain('q', { count: 0 })], position, given)).toMatch(/holds no event of that row/);
    expect(problemOf(row, [chain('q', { isWhole: false, from: 4n })], position, given)).toMatch(
      /what is left of its partition begins at offset 4/,
    );
    expect(problemOf({ ...row, lsn: '0/20' }, [chain('q')], position, given)).toMatch(/the log ends at 0\/20/);
    expect(problemOf({ ...row, lsn: '0/20' }, [chain('q')], null, given)).toMatch(/none of the 3/);
    expect(judgeWriter(row, [chain('q')], position, { ...given, since: 1 })).toMatchObject({
      problems: [],
      notes: [/Without --since/],
    });
  });

  it('of a merged row that is gone may be one of another contributor', () => {
    const gone: RowName = { ...row, state: 'soft-deleted' };
    const merged = { ...given, isMerged: true };
    expect(judgeWriter(gone, [chain('q'), chain('p', { wanted: event })], position, merged)).toMatchObject({
      ...{ writtenBy: { legacyKey: 'p' }, problems: [], notes: [/another contributor/] },
    });
    expect(judgeWriter(gone, [chain('q')], position, merged)).toMatchObject({ problems: [], notes: [/With --full/] });
    expect(problemOf(gone, [chain('q')], position, { ...merged, isFull: true })).toMatch(/none of the 3/);
  });
});

describe('what is printed', () => {
  const told = {
    table: 'quotes',
    key: 'q',
    topic: 't',
    partition: 2,
    from: '0',
    to: '9',
    isWhole: true,
    count: 12,
    omitted: 10,
  };
  const events: LoggedEvent[] = [
    { ...event, op: 'c', offset: '1', effects: [{ what: 'leads', kind: 'appears', rows: 1, columns: [] }] },
    {
      ...event,
      unseen: ['phone'],
      progress: 'parked',
      effects: [{ what: 'quote_items_new', kind: 'changes', rows: 3, columns: ['name'] }],
    },
  ];

  it('of a row', () => {
    const found: RowExplanation = {
      ...{
        kind: 'row',
        table: 'leads',
        id: 'l',
        row,
        projection: { name: 'quotes', version: '1', role: 'owned' },
        movedTo: null,
      },
      writtenBy: { ...event, legacyTable: 'quotes', legacyKey: 'q' },
      columns: [
        {
          column: 'notes',
          value: '(3 characters)',
          origin: { kind: 'copied', from: [{ column: 'notes' }], settings: [] },
        },
        {
          column: 'phone',
          value: null,
          origin: { kind: 'computed', from: [{ column: 'items', path: [1, 'name'] }], settings: ['country'] },
        },
        { column: 'user_id', value: '(1 characters)', origin: { kind: 'configured', from: [], settings: ['userId'] } },
        { column: 'kind', value: '(1 characters)', origin: { kind: 'constant', from: [], settings: [] } },
      ],
      ...{ existence: ['lead_status'], contributors: [], contributorCount: 0, chains: [{ ...told, events }] },
      ...{ log: { through: '0/20', since: null }, problems: ['It is wrong.'], notes: ['It is so.'] },
    };
    expect(toRowLines(found, { unmask: false, targetSchema: 'crm' })).toEqual([
      'crm.leads l: live',
      '  legacy row  quotes q',
      '  made by     projection quotes, mapping version 1',
      '  written by  update at 2024-01-01 00:00:00+00, LSN 0/10, xid 5, t/2@7',
      '              notes → nothing',
      '',
      'columns',
      '  notes    (3 characters)  copied from notes',
      "  phone    null            computed from items[1].name and the tenant's country",
      "  user_id  (1 characters)  pinned configuration: the tenant's userId",
      '  kind     (1 characters)  constant',
      '  The row is there because of lead_status.',
      '',
      'legacy quotes q: 12 events in t/2, offsets 0 to 9',
      '  2024-01-01 00:00:00+00  insert  LSN 0/10  xid 5  t/2@1          1 column → leads appears',
      '  … 10 events between: --limit and --since show others',
      '  2024-01-01 00:00:00+00  update  LSN 0/10  xid 5  t/2@7  PARKED  notes → 3 × quote_items_new changes: name',
      '      Since the event before it phone had changed without an event.',
      '',
      'The log was read as of LSN 0/20.',
      'note: It is so.',
      'PROBLEM: It is wrong.',
    ]);
  });

  it('of a merged row', () => {
    const found: RowExplanation = {
      ...{
        kind: 'row',
        table: 'customers',
        id: 'm',
        movedTo: null,
        writtenBy: null,
        existence: [],
        chains: [],
        log: null,
      },
      ...{
        row: { ...row, table: 'customers', state: 'soft-deleted', deletedAt: '2024-02-02 00:00:00+00' },
        problems: [],
        notes: [],
      },
      projection: { name: 'quotes', version: '1', role: 'merged' },
      columns: [
        { column: 'id', value: '(1 characters)', origin: { kind: 'key', contributors: [], more: 0 } },
        {
          column: 'name',
          value: '(1 characters)',
          origin: {
            kind: 'copied',
            contributors: [
              {
                legacyTable: 'quotes',
                legacyKey: 'q',
                column: 'name',
                legacy: { kind: 'copied', from: [{ column: 'customer_name' }], settings: [] },
              },
            ],
            more: 2,
          },
        },
        {
          column: 'email',
          value: null,
          origin: {
            kind: 'copied',
            contributors: [{ legacyTable: 'quotes', legacyKey: 'q', column: 'email', legacy: null }],
            more: 0,
          },
        },
        {
          column: 'is_primary',
          value: '(1 characters)',
          origin: {
            kind: 'computed',
            contributors: [{ legacyTable: 'quotes', legacyKey: 'q', column: null, legacy: null }],
            more: 0,
          },
        },
      ],
      contributors: [
        {
          legacyTable: 'quotes',
          legacyKey: 'q',
          live: false,
          movedTo: { mergeKey: 'n', state: 'live' },
          lsn: '0/10',
          xid: '5',
          committedAt: 'then',
          mappingVersion: '1',
          isGreatest: true,
          gives: ['name'],
        },
      ],
      contributorCount: 3,
    };
    expect(toRowLines(found, { unmask: false, targetSchema: 'crm' })).toEqual([
      'crm.customers m: soft-deleted at 2024-02-02 00:00:00+00',
      '  legacy row  quotes q',
      '  merged by   projection quotes, mapping version 1',
      '  deleted by  LSN 0/10, xid 5, 2024-01-01 00:00:00+00: not found in the log',
      '',
      'columns',
      '  id          (1 characters)  the merge key',
      '  name        (1 characters)  copied from quotes q (name, copied from customer_name) and 2 alike',
      '  email       null            no contributor has one',
      '  is_primary  (1 characters)  computed from quotes q',
      '',
      'contributors: 3',
      '  quotes q  retired, greatest  moved to n (live)  LSN 0/10  then  gives name',
      '  … and 2 more: --full',
    ]);
  });

  it('of a legacy row', () => {
    const name = { ...row, mappingVersion: '1' };
    const found: LegacyExplanation = {
      ...{
        kind: 'legacy',
        table: 'quotes',
        key: 'q',
        projections: [],
        movedFrom: 'old',
        movedTo: 'new',
        problems: [],
        notes: [],
      },
      ...{
        rows: [name],
        rejects: [{ ...name, table: 'rejects', path: 'total', reason: 'not a finite number' }],
        log: { through: '0/20', since: null },
      },
      contributions: [
        {
          aggregate: 'customers',
          mergeKey: 'm',
          live: false,
          movedTo: null,
          lsn: '0/10',
          xid: '5',
          committedAt: 'then',
          mappingVersion: '1',
          rows: [{ ...name, table: 'customers', id: 'm' }],
        },
      ],
      held: [
        {
          projection: 'quotes',
          kind: 'parked',
          topic: 't',
          partition: 2,
          offset: '7',
          lsn: '0/10',
          reason: '23503 fk',
          resolution: null,
        },
      ],
      chain: { ...told, omitted: 0, isWhole: false, events: events.slice(0, 1) },
    };
    expect(toLegacyLines(found, { unmask: true, targetSchema: 'crm' })).toEqual([
      'legacy quotes q',
      '',
      'rows',
      '  crm.leads  l  live  LSN 0/10  xid 5  2024-01-01 00:00:00+00  mapping 1',
      '',
      'contributions',
      '  customers m           retired  LSN 0/10  xid 5  then',
      '    in crm.customers m  live',
      '',
      'rejects',
      '  l  total  not a finite number  LSN 0/10  2024-01-01 00:00:00+00',
      '',
      'waiting, failed',
      '  parked  quotes:t/2@7  LSN 0/10  23503 fk  open',
      '',
      'legacy quotes q: 12 events in t/2, offsets 0 to 9, not from the beginning',
      '  2024-01-01 00:00:00+00  insert  LSN 0/10  xid 5  t/2@1    1 column → leads appears',
      '      notes: null → "(3 characters)"',
      '  Before its first event its key was old.',
      '  With its last event its key was changed to new.',
      '',
      'The log was read as of LSN 0/20.',
    ]);
  });
});
