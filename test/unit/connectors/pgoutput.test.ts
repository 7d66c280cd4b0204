import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMessage } from '../../../changes/pgoutput.ts';
import { type TupleCell, UNCHANGED } from '../../../changes/sent-row.ts';
import { byte, inCells, int16, int32, int64, message, name, tuple } from './pgoutput-message.ts';

/** 2025-01-01 08:00:00.123456 UTC, since 2000 as PostgreSQL sends it and since 1970. */
const SENT_MICROS = 789_033_600_123_456n;
const UNIX_MICROS = 1_735_718_400_123_456n;

describe('pgoutput messages', () => {
  test('begin: times since 1970, an xid beyond 2^31 stays positive', () => {
    const bytes = message(byte('B'), int64(0x16_b374_d848n), int64(SENT_MICROS), int32(4_000_000_000));
    expect(decodeMessage(bytes)).toEqual({
      kind: 'begin',
      finalLsn: 0x16_b374_d848n,
      commitMicros: UNIX_MICROS,
      xid: 4_000_000_000,
    });
  });

  test('commit', () => {
    const bytes = message(byte('C'), byte(0), int64(10n), int64(48n), int64(SENT_MICROS));
    expect(decodeMessage(bytes)).toEqual({ kind: 'commit', commitLsn: 10n, endLsn: 48n, commitMicros: UNIX_MICROS });
  });

  test('the content of a message outlives the buffer that it came in', () => {
    const bytes = message(byte('M'), byte(1), int64(7n), name('mark'), int32(5), Buffer.from('token'));
    const decoded = decodeMessage(bytes);
    bytes.fill(0);
    expect(decoded.kind === 'message' && decoded.content.toString()).toBe('token');
  });

  test('a time before 2000', () => {
    const bytes = message(byte('B'), int64(1n), int64(-1_000_000n), int32(1));
    expect(decodeMessage(bytes)).toMatchObject({ commitMicros: 946_684_799_000_000n });
  });

  test('relation, with names in UTF-8, a negative modifier and pg_catalog sent as nothing', () => {
    const column = (flag: number, title: string, oid: number, modifier: number) =>
      message(byte(flag), name(title), int32(oid), int32(modifier));
    const bytes = message(
      byte('R'),
      int32(3_000_000_001),
      name(''),
      name('größe'),
      byte('f'),
      int16(2),
      column(1, 'id', 2950, -1),
      column(0, 'naïve', 1043, 36),
    );
    expect(decodeMessage(bytes)).toEqual({
      kind: 'relation',
      oid: 3_000_000_001,
      schema: 'pg_catalog',
      table: 'größe',
      replicaIdentity: 'f',
      columns: [
        { name: 'id', typeOid: 2950, typeModifier: -1, keyFlag: true },
        { name: 'naïve', typeOid: 1043, typeModifier: 36, keyFlag: false },
      ],
    });
  });

  test('type and origin', () => {
    expect(decodeMessage(message(byte('Y'), int32(16_400), name('public'), name('mood')))).toEqual({
      kind: 'type',
      oid: 16_400,
      schema: 'public',
      name: 'mood',
    });
    expect(decodeMessage(message(byte('O'), int64(7n), name('node_a')))).toEqual({
      kind: 'origin',
      lsn: 7n,
      name: 'node_a',
    });
  });

  test('of a cell that is too large only its size is read, wherever it stands, and the others are there', () => {
    const row: TupleCell[] = ['1', { tooLarge: 11 }, 'x'.repeat(10), null];
    const insert = message(byte('I'), int32(9), byte('N'), tuple(row));
    expect(inCells(decodeMessage(insert, 10))).toMatchObject({ after: row });
    expect(inCells(decodeMessage(insert, 11))).toMatchObject({ after: ['1', 'x'.repeat(11), 'x'.repeat(10), null] });
    const update = message(byte('U'), int32(9), byte('O'), tuple(row), byte('N'), tuple(['1', UNCHANGED, 'y', null]));
    expect(inCells(decodeMessage(update, 10))).toMatchObject({ before: row, after: ['1', UNCHANGED, 'y', null] });
  });

  test('insert, update and delete in each form of the old row', () => {
    const row: TupleCell[] = ['1', null, 'ünï 😀', ''];
    expect(inCells(decodeMessage(message(byte('I'), int32(9), byte('N'), tuple(row))))).toEqual({
      kind: 'insert',
      oid: 9,
      after: row,
    });
    const after: TupleCell[] = ['1', UNCHANGED, 'x', null];
    const update = (...old: Buffer[]) =>
      inCells(decodeMessage(message(byte('U'), int32(9), ...old, byte('N'), tuple(after))));
    expect(update()).toEqual({ kind: 'update', oid: 9, before: null, beforeIsKeyOnly: false, after });
    expect(update(byte('O'), tuple(row))).toEqual({
      kind: 'update',
      oid: 9,
      before: row,
      beforeIsKeyOnly: false,
      after,
    });
    expect(update(byte('K'), tuple(row))).toEqual({
      kind: 'update',
      oid: 9,
      before: row,
      beforeIsKeyOnly: true,
      after,
    });
    const remove = (tag: string) => inCells(decodeMessage(message(byte('D'), int32(9), byte(tag), tuple(row))));
    expect(remove('O')).toEqual({ kind: 'delete', oid: 9, before: row, beforeIsKeyOnly: false });
    expect(remove('K')).toEqual({ kind: 'delete', oid: 9, before: row, beforeIsKeyOnly: true });
  });

  test.each([
    [0, false, false],
    [1, true, false],
    [2, false, true],
    [3, true, true],
  ])('truncate with options %i', (options, cascade, restartIdentity) => {
    const bytes = message(byte('T'), int32(2), byte(options), int32(5), int32(6));
    expect(decodeMessage(bytes)).toEqual({ kind: 'truncate', oids: [5, 6], cascade, restartIdentity });
  });

  test('logical message: any bytes, also a zero', () => {
    const content = Buffer.from([0, 1, 255]);
    const bytes = message(byte('M'), byte(1), int64(77n), name('mark'), int32(3), content);
    const decoded = decodeMessage(bytes);
    expect(decoded).toMatchObject({ kind: 'message', transactional: true, lsn: 77n, prefix: 'mark' });
    expect(decoded.kind === 'message' && decoded.content.equals(content)).toBe(true);
  });

  test('takes any Uint8Array, also a view into a larger buffer', () => {
    const bytes = message(byte('I'), int32(9), byte('N'), tuple(['abc']));
    const larger = new Uint8Array(bytes.length + 10);
    larger.set(bytes, 4);
    const expected = { kind: 'insert', oid: 9, after: ['abc'] };
    expect(inCells(decodeMessage(larger.subarray(4, 4 + bytes.length)))).toEqual(expected);
    expect(inCells(decodeMessage(larger, 100, 4, 4 + bytes.length))).toEqual(expected);
  });

  test('any row comes back', () => {
    const cell = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.constant(null),
      fc.constant<typeof UNCHANGED>(UNCHANGED),
    );
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 40 }), (cells) => {
        const decoded = decodeMessage(message(byte('I'), int32(1), byte('N'), tuple(cells)));
        expect(inCells(decoded)).toEqual({ kind: 'insert', oid: 1, after: cells });
      }),
    );
  });
});

describe('malformed pgoutput messages', () => {
  const secret = 'do-not-log-me';
  const insert = message(byte('I'), int32(9), byte('N'), tuple([secret, null, secret]));

  test('every truncation and every byte too many is an error that names the tag and no value', () => {
    for (let end = 1; end < insert.length; end++) {
      expect(() => decodeMessage(insert.subarray(0, end))).toThrow(/^malformed pgoutput message, tag 0x49, at byte/);
      expect(() => decodeMessage(insert.subarray(0, end))).not.toThrow(secret);
    }
    // What stands behind a message is none of its bytes.
    const run = message(byte(0), insert, insert);
    for (let end = 1; end < insert.length; end++)
      expect(() => decodeMessage(run, 100, 1, 1 + end)).toThrow(/^malformed pgoutput message, tag 0x49, at byte/);
    expect(() => decodeMessage(message(insert, byte(0)))).toThrow('tag 0x49');
    expect(() => decodeMessage(Buffer.alloc(0))).toThrow('tag none');
  });

  test.each([
    ['a streamed transaction', message(byte('S'), int32(1), byte(1)), 'tag 0x53.*protocol version 1'],
    ['a binary cell', message(byte('I'), int32(9), byte('N'), int16(1), byte('b'), int32(1), byte(7)), 'binary format'],
    ['an unknown cell', message(byte('I'), int32(9), byte('N'), int16(1), byte('x')), 'cell tag 0x78'],
    ['another tuple tag', message(byte('I'), int32(9), byte('O'), tuple(['1'])), 'expected the tuple tag N'],
    ['an update without new row', message(byte('U'), int32(9), byte('X'), tuple(['1'])), 'K, O or N'],
    ['a delete of a new row', message(byte('D'), int32(9), byte('N'), tuple(['1'])), 'K or O'],
    ['flags in a commit', message(byte('C'), byte(1), int64(1n), int64(1n), int64(1n)), 'flags must be zero'],
    ['a name without end', message(byte('Y'), int32(1), Buffer.from('public')), 'has no end'],
    [
      'an unknown identity',
      message(byte('R'), int32(1), name('a'), name('b'), byte('z'), int16(0)),
      'replica identity',
    ],
  ])('%s', (_, bytes, error) => {
    expect(() => decodeMessage(bytes)).toThrow(new RegExp(error));
  });

  test('any bytes either decode or throw this error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...'IUDBCRYTMO'), (bytes, tag) => {
        try {
          decodeMessage(message(byte(tag), Buffer.from(bytes)));
        } catch (error) {
          expect((error as Error).message).toMatch(/^malformed pgoutput message/);
        }
      }),
    );
  });
});
