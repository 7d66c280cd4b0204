import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cells, Relation } from '../../../changes/change.ts';
import { decodeMessage, type InsertMessage } from '../../../changes/pgoutput.ts';
import type { SentRow } from '../../../changes/sent-row.ts';
import { AvroWriter } from '../../../schemas/avro/avro-writer.ts';
import { createEncoder, type ValueContext } from '../../../schemas/avro/encode.ts';
import { byte, int32, message, tuple } from '../connectors/pgoutput-message.ts';
import { anyCell, TYPE_NAMES } from './any-cell.ts';
import {
  sampleContext as context,
  sampleOptions as options,
  sampleChange,
  sampleRelation,
  type TypeName,
} from './sample-relation.ts';

/** A row as it is sent, with so many other bytes before and behind its message. */
function sent(cells: Cells, before = 0, behind = 0): SentRow {
  const one = message(byte('I'), int32(9), byte('N'), tuple(cells));
  const run = message(Buffer.alloc(before, 1), one, Buffer.alloc(behind, 2));
  return (decodeMessage(run, 2 ** 30, before, before + one.length) as InsertMessage).after;
}

/** Key and value of a change as bytes, in hex; or the error. */
function encode(relation: Relation, before: Cells | SentRow | null, after: Cells | SentRow): string[] {
  const encoder = createEncoder(relation, options);
  const change = sampleChange(relation, { op: 'u', before, after });
  const toHex = (work: () => Buffer | null) => {
    try {
      return work()!.toString('hex');
    } catch (error) {
      return (error as Error).message;
    }
  };
  return [toHex(() => encoder.encodeKey(change)), toHex(() => encoder.encodeValue(change, context))];
}

describe('rows that were sent are written as their texts are, to the byte', () => {
  const anyType = fc.constantFrom(...TYPE_NAMES);
  const anyPlace = { before: fc.nat(3), behind: fc.nat(12) };

  test('in relations of any shape, with keys of any type', () => {
    const withRows = fc.array(anyType, { minLength: 1, maxLength: 12 }).chain((types) => {
      const cellOf = (type: TypeName, at: number) => (at === 0 ? anyCell(type) : fc.option(anyCell(type)));
      const row = fc.tuple(...types.map(cellOf));
      return fc.record({ types: fc.constant(types), old: fc.option(row), row, ...anyPlace });
    });
    fc.assert(
      fc.property(withRows, ({ types, old, row, before, behind }) => {
        const relation = sampleRelation(types.map((type, at) => [`c${at}`, type]));
        const sentOld = old === null ? null : sent(old, before, behind);
        expect(encode(relation, sentOld, sent(row, before, behind))).toEqual(encode(relation, old, row));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(TYPE_NAMES)('texts of every kind where a %s is expected: the same bytes, or the same error', (type) => {
    const relation = sampleRelation([
      ['id', 'text'],
      ['odd', type],
    ]);
    const anyText = fc.oneof(
      fc.string({ unit: 'grapheme-ascii', maxLength: 30 }).filter((text) => !text.includes('\0')),
      fc.stringMatching(/^[-+ 0-9.eEx\\:]{0,30}$/),
      fc.stringMatching(/^\\x[0-9a-fA-FgG]{0,20}$/),
      fc.stringMatching(/^[0-9]{1,4}-[0-9]{2}-[0-9]{2}( [0-9:.]{5,15}([+-]00)?)?$/),
      anyType.chain(anyCell),
    );
    fc.assert(
      fc.property(anyText, anyPlace.before, anyPlace.behind, (text, before, behind) => {
        expect(encode(relation, null, sent(['1', text], before, behind))).toEqual(encode(relation, null, ['1', text]));
      }),
      { numRuns: 500 },
    );
  });

  test('texts of every length around the borders of their length and of the ways to copy them', () => {
    const relation = sampleRelation([
      ['id', 'text'],
      ['note', 'text'],
      ['end', 'text'],
    ]);
    for (const unit of ['a', 'é', '語', '😀'])
      for (const length of [0, 1, 7, 8, 9, 47, 48, 63, 64, 65, 95, 96, 97, 127, 128, 8191, 8192, 70_000]) {
        const row = ['1', unit.repeat(length), 'x'];
        for (const behind of [0, 7, 8, 9])
          expect(encode(relation, null, sent(row, 1, behind))).toEqual(encode(relation, null, row));
      }
  });
});

test('messages stay as they were while others are written behind them', () => {
  const relation = sampleRelation([['id', 'text']]);
  const encoder = createEncoder(relation, options);
  const rows = Array.from({ length: 3000 }, (_, at) => [`${at} ${'z'.repeat((at * 7919) % 400)}`]);
  const messages = rows.map((row) => encoder.encodeValue(sampleChange(relation, { after: sent(row, 0, 20) }), context));
  const again = createEncoder(relation, options);
  for (const [at, row] of rows.entries())
    expect(messages[at]!.equals(again.encodeValue(sampleChange(relation, { after: row }), context))).toBe(true);
});

test('slabs are written over once they are given back, and not before', () => {
  const relation = sampleRelation([['id', 'text']]);
  const writer = new AvroWriter();
  const encoder = createEncoder(relation, options, writer);
  const encodeSome = (of: string) =>
    Array.from({ length: 900 }, (_, at) => {
      const row = [`${of} ${at} ${'z'.repeat((at * 7919) % 700)}`];
      return { row, message: encoder.encodeValue(sampleChange(relation, { after: sent(row) }), context) };
    });
  const assertWhole = (all: ReturnType<typeof encodeSome>) => {
    const fresh = createEncoder(relation, options);
    for (const { row, message: one } of all)
      expect(one.equals(fresh.encodeValue(sampleChange(relation, { after: row }), context))).toBe(true);
  };
  const memory = (all: ReturnType<typeof encodeSome>) => new Set(all.map((one) => one.message.buffer));
  expect(writer.retire()).toEqual([]);
  const first = encodeSome('first');
  const retired = writer.retire();
  expect(new Set(retired.map((slab) => slab.buffer))).toEqual(memory(first));
  const second = encodeSome('second');
  for (const buffer of memory(second)) expect(memory(first).has(buffer)).toBe(false);
  assertWhole(first);
  writer.reuse(retired);
  const third = encodeSome('third');
  assertWhole([...second, ...third]);
  const used = [...memory(third)].filter((buffer) => memory(first).has(buffer));
  expect(used.length).toBe(retired.length);
});

test('a change of another transaction, or read from its table, says so', () => {
  const relation = sampleRelation([['id', 'text']]);
  const one = createEncoder(relation, options);
  const anyOf = fc.record({
    commitLsn: fc.constantFrom(1n, 2n, 2n ** 60n),
    lsn: fc.constantFrom(
      0n,
      9n,
      10n,
      2n ** 31n - 1n,
      2n ** 31n,
      0x4000_0000n,
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 64n - 1n,
    ),
    ordinal: fc.nat(3),
    xid: fc.constantFrom(null, 5, 6),
    commitMicros: fc.constantFrom(1n, 1_735_718_400_123_456n),
    snapshot: fc.constantFrom('false', 'incremental'),
    id: fc.constantFrom(null, '5:1', '6:1'),
    timeline: fc.constantFrom(1, 2),
    processedMs: fc.constantFrom(1, 2),
  });
  fc.assert(
    fc.property(fc.array(anyOf, { maxLength: 8 }), (changes) => {
      for (const { snapshot, id, timeline, processedMs, ...place } of changes) {
        const transaction = id === null ? null : { id, totalOrder: 1, dataCollectionOrder: 1 };
        const of = { timeline, processedMs, transaction, snapshot } as ValueContext;
        const change = sampleChange(relation, { after: ['1'], ...place });
        const fresh = createEncoder(relation, options).encodeValue(change, of);
        expect(one.encodeValue(change, of).equals(fresh)).toBe(true);
      }
    }),
  );
});
