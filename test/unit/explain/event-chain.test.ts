import { describe, expect, it } from 'vitest';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { toCellChanges } from '../../../projectors/explain/changed-cells.ts';
import { createEventChain, toChain } from '../../../projectors/explain/event-chain.ts';
import { toImpliedRows } from '../../../projectors/explain/implied-rows.ts';
import type { LegacyRow } from '../../../projectors/projection.ts';
import type { SourceChange } from '../../../projectors/source-change.ts';
import { quoteId, tenants } from '../projections/mapped.ts';

function change(
  offset: number,
  op: SourceChange['op'],
  before: LegacyRow | null,
  after: LegacyRow | null,
): SourceChange {
  return {
    ...{ legacyKey: 'k', op, before, after, identity: `1/0/${offset}/0`, repair: null },
    lineage: { lsn: `0/${offset}`, xid: String(offset), committedAt: '2024-01-01 00:00:00+00' },
    record: { topic: 't', partition: 0, offset: BigInt(offset), key: Buffer.from('k'), value: Buffer.from('v') },
  };
}

describe('what a change did to its legacy row', () => {
  it('is told from its old row, or from the change before', () => {
    const of = (
      op: SourceChange['op'],
      before: LegacyRow | null,
      after: LegacyRow | null,
      previous?: LegacyRow | null,
    ) => toCellChanges({ op, before, after }, previous);
    expect(of('c', null, { a: '1', b: null }, null)).toEqual({
      changed: [{ column: 'a', before: null, after: '1' }],
      unseen: [],
    });
    expect(of('u', { a: '1', b: '2' }, { a: '1', b: '3' }, { a: '1', b: '2' }).changed).toEqual([
      { column: 'b', before: '2', after: '3' },
    ]);
    expect(of('u', null, { a: '9', b: '3' }, { a: '1', b: '3' }).changed).toEqual([
      { column: 'a', before: '1', after: '9' },
    ]);
    expect(of('r', null, { a: '9' }, { a: '1' }).changed).toEqual([{ column: 'a', before: '1', after: '9' }]);
    expect(of('d', { a: '1' }, null, { a: '1' }).changed).toEqual([{ column: 'a', before: '1', after: null }]);
  });

  it('shows what changed without an event, and not what is a new column', () => {
    const before = { a: 'x', b: '2', added: '0' };
    expect(toCellChanges({ op: 'u', before, after: before }, { a: '1', b: '2', dropped: 'y' })).toEqual({
      changed: [],
      unseen: ['a'],
    });
    expect(toCellChanges({ op: 'u', before, after: before }, undefined).unseen).toEqual([]);
  });
});

const options = {
  ...{ limit: 3, unmask: false, isWhole: true, progressOf: () => 'applied' as const, isWanted: () => false },
  impliedBy: (row: LegacyRow | null) => toImpliedRows(quotes, tenants, row),
  appendedBy: () => new Map(),
};
const row = (cells: LegacyRow): LegacyRow => ({ id: quoteId, total: '5', ...cells });

describe('a chain', () => {
  it('says what each event means for the new rows', () => {
    const chain = createEventChain(options);
    chain.add(change(1, 'c', null, row({ status: 'sent' })));
    chain.add(change(2, 'u', row({ status: 'sent' }), row({ status: 'accepted', notes: 'x' })));
    chain.add(change(3, 'd', row({ status: 'accepted', notes: 'x' }), null));
    const text = chain.events.map(({ effects }) =>
      effects.map(({ what, kind, rows, columns }) => `${what} ${kind} ${rows} ${columns.toSorted().join(',')}`),
    );
    expect(text).toEqual([
      ['quotes_new appears 1 ', 'contribution to customers appears 1 '],
      ['quotes_new changes 1 notes,status', 'jobs_new appears 1 '],
      ['quotes_new disappears 1 ', 'jobs_new disappears 1 ', 'contribution to customers disappears 1 '],
    ]);
    expect(chain.applied?.event.op).toBe('d');
    expect(chain.implying?.event.op).toBe('u');
  });

  it('keeps the first event and the last ones, and counts all', () => {
    const chain = createEventChain(options);
    for (let offset = 1; offset <= 1000; offset++) chain.add(change(offset, 'u', null, row({ notes: String(offset) })));
    const told = toChain(chain, 3, {
      table: 'quotes',
      key: 'k',
      topic: 't',
      partition: 0,
      from: '0',
      to: '1001',
      isWhole: true,
    });
    expect(told.events.map(({ offset }) => offset)).toEqual(['1', '999', '1000']);
    expect(told).toMatchObject({ count: 1000, omitted: 997 });
    expect(chain.events.length).toBeLessThan(10);
    expect(toChain(chain, 1, told).events.map(({ offset }) => offset)).toEqual(['1']);
  });

  it('masks values, remembers the last change that is wanted, and passes over what has not taken effect', () => {
    const progress = ['applied', 'parked', 'failed', 'not applied yet'] as const;
    const chain = createEventChain({
      ...options,
      progressOf: ({ record }) => progress[Number(record.offset)]!,
      isWanted: ({ lineage }) => lineage.lsn === '0/1',
    });
    for (const offset of [0, 1, 2, 3]) chain.add(change(offset, 'u', row({}), row({ notes: `secret${offset}` })));
    expect(chain.events.map((event) => event.progress)).toEqual([...progress]);
    expect(JSON.stringify(chain.events)).not.toContain('secret');
    expect(chain.events[1]!.changed).toContainEqual({ column: 'notes', before: null, after: '(7 characters)' });
    expect(chain.applied?.event.offset).toBe('0');
    expect(chain.wanted?.event.offset).toBe('1');
    expect(chain.wanted?.change.record.value.length).toBe(0);
  });

  it('says where the mapping throws', () => {
    const chain = createEventChain({
      ...options,
      impliedBy: () => {
        throw new Error('no');
      },
    });
    chain.add(change(1, 'c', null, row({})));
    expect(chain.events[0]!.effects).toEqual([{ what: 'mapping', kind: 'fails', rows: 0, columns: [] }]);
    expect(chain.implying).toBeNull();
  });
});
