import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Cells, Change, Relation } from '../../../changes/change.ts';
import { createDecoder, createKeyDecoder } from '../../../schemas/avro/decode.ts';
import { createEncoder } from '../../../schemas/avro/encode.ts';
import { toKeySchema, toValueSchema } from '../../../schemas/avro/relation-schema.ts';
import { schemaIdOf } from '../../../schemas/avro/wire.ts';
import { anyCell, TYPE_NAMES } from './any-cell.ts';
import {
  sampleContext as context,
  sampleOptions as options,
  sampleChange,
  sampleRelation,
  TOPIC,
  type TypeName,
} from './sample-relation.ts';

const encode = (change: Change, given = context) => createEncoder(change.relation, options).encodeValue(change, given);
const decoderOf = (relation: Relation) => createDecoder(JSON.stringify(toValueSchema(relation, TOPIC)));

function throughAvro(relation: Relation, cells: Cells): (string | null)[] {
  const row = decoderOf(relation).decode(encode(sampleChange(relation, { after: cells }))).after!;
  return relation.columns.map((column) => row[column.name]!);
}

describe('values', () => {
  const relation = sampleRelation([
    ['id', 'int8'],
    ['note', 'text'],
  ]);

  test('all that a reader needs comes back', () => {
    const change = sampleChange(relation, { op: 'u', before: ['1', 'ä'], after: ['1', null], ordinal: 12 });
    const message = encode(change);
    expect(schemaIdOf(message)).toBe(8);
    expect(decoderOf(relation).decode(message)).toEqual({
      op: 'u',
      before: { id: '1', note: 'ä' },
      after: { id: '1', note: null },
      source: {
        schema: 'public',
        table: 'sample',
        timeline: 3,
        commitLsn: change.commitLsn,
        ordinal: 12,
        lsn: change.lsn,
        txId: 4_000_000_000,
        tsUs: change.commitMicros,
        snapshot: 'false',
      },
      transaction: context.transaction,
    });
  });

  test('a chunk read has no transaction and no old row', () => {
    const change = sampleChange(relation, { op: 'r', after: ['1', 'x'], xid: null });
    const decoded = decoderOf(relation).decode(
      encode(change, { ...context, snapshot: 'incremental', transaction: null }),
    );
    expect(decoded).toMatchObject({ op: 'r', before: null, transaction: null });
    expect(decoded.source).toMatchObject({ txId: null, snapshot: 'incremental' });
  });

  test('positions are exact over their 64 bits, times to the microsecond', () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
        fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
        fc.bigInt(0n, 4_102_444_800_000_000n),
        fc.integer({ min: 0, max: 2 ** 40 }),
        (commitLsn, lsn, commitMicros, ordinal) => {
          const change = sampleChange(relation, { after: ['1', ''], commitLsn, lsn, commitMicros, ordinal });
          const { source } = decoderOf(relation).decode(encode(change));
          expect(source).toMatchObject({ commitLsn, lsn, tsUs: commitMicros, ordinal });
        },
      ),
    );
  });

  test("the bytes are Avro's: a reader that knows the schema alone sees Debezium's envelope", () => {
    const exactLong = avro.types.LongType.__with({
      fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
      toBuffer: () => Buffer.alloc(8),
      fromJSON: BigInt,
      toJSON: Number,
      isValid: (value: unknown) => typeof value === 'bigint',
      compare: (left: bigint, right: bigint) => Number(left - right),
    });
    const schema = toValueSchema(relation, TOPIC);
    const type = avro.Type.forSchema(schema as never, { registry: { long: exactLong }, wrapUnions: 'never' });
    const message = encode(sampleChange(relation, { op: 'd', before: ['9223372036854775807', 'x'] }));
    expect(
      JSON.parse(JSON.stringify(type.fromBuffer(message.subarray(5)), (_, v) => (typeof v === 'bigint' ? `${v}` : v))),
    ).toEqual({
      before: { id: '9223372036854775807', note: 'x' },
      after: null,
      source: {
        version: '0.1.0',
        connector: 'postgresql',
        name: 'legacy',
        ts_ms: '1735718400123',
        snapshot: 'false',
        db: 'shop',
        sequence: '["97500059720","97500059648"]',
        ts_us: '1735718400123456',
        ts_ns: '1735718400123456000',
        schema: 'public',
        table: 'sample',
        txId: '4000000000',
        lsn: '97500059648',
        xmin: null,
        timeline: 3,
        commit_lsn: '97500059720',
        ordinal: '0',
      },
      transaction: { id: '4000000000:97500059720', total_order: '1', data_collection_order: '2' },
      op: 'd',
      ts_ms: '1735718400200',
      ts_us: '1735718400200000',
      ts_ns: '1735718400200000000',
    });
  });

  test('messages stay as they were while others are encoded, also across slabs and with large rows', () => {
    const encoder = createEncoder(relation, options);
    const decoder = decoderOf(relation);
    const notes = Array.from({ length: 400 }, (_, index) => `${index} `.repeat(1 + ((index * 7919) % 3000)));
    notes.push('ü'.repeat(2_000_000), 'after');
    const messages = notes.map((note, index) =>
      encoder.encodeValue(sampleChange(relation, { after: [String(index), note] }), context),
    );
    messages.forEach((message, index) => {
      expect(decoder.decode(message).after).toEqual({ id: String(index), note: notes[index] });
    });
  });

  test('text of every length around the borders of its length prefix', () => {
    for (const unit of ['a', 'é', '語', '😀']) {
      for (const length of [0, 1, 15, 16, 17, 31, 32, 47, 48, 49, 63, 64, 65, 127, 128, 8191, 8192, 20_000]) {
        expect(throughAvro(relation, ['1', unit.repeat(length)])[1]).toBe(unit.repeat(length));
      }
    }
  });

  test('bytes that do not fit the schema are an error', () => {
    const message = encode(sampleChange(relation, { after: ['1', 'x'] }));
    const decoder = decoderOf(relation);
    expect(() => decoder.decode(message.subarray(0, -1))).toThrow('does not fit');
    expect(() => decoder.decode(Buffer.concat([message, Buffer.alloc(1)]))).toThrow('does not fit');
    expect(() => schemaIdOf(Buffer.from('{"json":1}'))).toThrow('wire format');
    expect(() => createDecoder(JSON.stringify(toKeySchema(relation, TOPIC)))).toThrow('expected the record Envelope');
  });

  test.each<[TypeName, string]>([
    ['int4', 'secret'],
    ['int8', '12345678901234567890x'],
    ['bool', 'true'],
    ['float8', 'secret'],
    ['bytea', 'secret\\000'],
    ['bytea', '\\x0g'],
  ])('a text that is not one of %s names the column, not the value', (typeName, text) => {
    const odd = sampleRelation([
      ['id', 'text'],
      ['odd', typeName],
    ]);
    const encoder = createEncoder(odd, options);
    const change = sampleChange(odd, { after: ['1', text] });
    expect(() => encoder.encodeValue(change, context)).toThrow(/^public\.sample: a value of "odd" is not/);
    expect(() => encoder.encodeValue(change, context)).not.toThrow(text);
    const good = sampleChange(odd, { after: ['2', null] });
    expect(decoderOf(odd).decode(encoder.encodeValue(good, context)).after).toEqual({ id: '2', odd: null });
  });
});

describe('keys', () => {
  const relation = sampleRelation(
    [
      ['a', 'text'],
      ['b', 'int8'],
      ['c', 'timestamptz'],
    ],
    ['b', 'a'],
  );
  const encoder = createEncoder(relation, options);

  test('hold the primary key in key order, of the new row or else the old', () => {
    const decoder = createKeyDecoder(JSON.stringify(toKeySchema(relation, TOPIC)));
    const key = encoder.encodeKey(
      sampleChange(relation, { op: 'u', before: ['x', '1', null], after: ['y', '-5', null] }),
    )!;
    expect(schemaIdOf(key)).toBe(7);
    expect(Object.entries(decoder.decode(key))).toEqual([
      ['b', '-5'],
      ['a', 'y'],
    ]);
    const deleted = encoder.encodeKey(sampleChange(relation, { op: 'd', before: ['x', '1', null] }))!;
    expect(decoder.decode(deleted)).toEqual({ b: '1', a: 'x' });
  });

  test('are the same bytes whatever else is in the row', () => {
    const one = encoder.encodeKey(sampleChange(relation, { after: ['x', '1', null] }))!;
    const two = encoder.encodeKey(sampleChange(relation, { op: 'd', before: ['x', '1', 'infinity'], commitLsn: 1n }))!;
    expect(one.equals(two)).toBe(true);
  });

  test('are refused when a key column is null, and absent without a primary key', () => {
    expect(() => encoder.encodeKey(sampleChange(relation, { after: ['x', null, null] }))).toThrow('key columns');
    const keyless = createEncoder({ ...relation, key: [] }, { ...options, ids: { key: null, value: 8 } });
    expect(keyless.encodeKey(sampleChange(relation, { after: ['x', '1', null] }))).toBe(null);
    expect(toKeySchema({ ...relation, key: [] }, TOPIC)).toBe(null);
    expect(() => createEncoder(relation, { ...options, ids: { key: null, value: 8 } })).toThrow('register it first');
  });
});

describe('every cell comes back in the text PostgreSQL gave', () => {
  test.each(TYPE_NAMES)('%s', (typeName) => {
    const relation = sampleRelation([
      ['id', 'text'],
      ['value', typeName],
    ]);
    const encoder = createEncoder(relation, options);
    const decoder = decoderOf(relation);
    fc.assert(
      fc.property(anyCell(typeName), (text) => {
        const message = encoder.encodeValue(sampleChange(relation, { after: ['1', text] }), context);
        expect(decoder.decode(message).after).toEqual({ id: '1', value: text });
      }),
      { numRuns: 300 },
    );
  });

  test('in relations of any shape, with any column names', () => {
    const column = fc.tuple(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
      fc.constantFrom(...TYPE_NAMES),
    );
    const relations = fc
      .uniqueArray(column, { minLength: 1, maxLength: 12, selector: ([name]) => name })
      .map((columns) => sampleRelation(columns));
    const withRows = relations.chain((relation) =>
      fc.tuple(
        fc.constant(relation),
        fc.tuple(...relation.columns.map((c) => fc.option(anyCell(c.typeName as TypeName), { nil: null }))),
      ),
    );
    fc.assert(
      fc.property(withRows, ([relation, cells]) => {
        expect(throughAvro(relation, cells)).toEqual(cells);
      }),
    );
  });
});
