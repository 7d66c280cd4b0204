import { describe, expect, test } from 'vitest';
import { type Change, keyPositions, type Relation, toChanges as toSentChanges } from '../../../changes/change.ts';
import {
  type DeleteMessage,
  decodeMessage,
  type InsertMessage,
  type RowMessage,
  type UpdateMessage,
} from '../../../changes/pgoutput.ts';
import { UNCHANGED } from '../../../changes/sent-row.ts';
import { byte, inCells, int32, message, type TupleText, tuple } from './pgoutput-message.ts';

const column = (name: string) => ({ name, typeOid: 25, typeName: 'text', typeModifier: -1 });
/** The key's order is not that of the columns. */
const relation: Relation = {
  oid: 9,
  schema: 'public',
  table: 'notes',
  columns: [column('a'), column('b'), column('body'), column('other')],
  key: ['b', 'a'],
};
/** A message with cells in the place of its rows. */
type InCells<T> = Omit<T, 'before' | 'after'> & {
  [K in keyof T & ('before' | 'after')]: TupleText | Extract<T[K], null>;
};
type Message = InCells<InsertMessage> | InCells<UpdateMessage> | InCells<DeleteMessage>;

/** The changes of a message that comes as these cells. */
function toChanges(of: Message, relation: Relation, place: Parameters<typeof toSentChanges>[2]): InCells<Change>[] {
  const isKeyOnly = of.kind !== 'insert' && of.beforeIsKeyOnly;
  const old = of.kind === 'insert' || of.before === null ? [] : [byte(isKeyOnly ? 'K' : 'O'), tuple(of.before)];
  const row = of.kind === 'delete' ? [] : [byte('N'), tuple(of.after)];
  const kind = { insert: 'I', update: 'U', delete: 'D' }[of.kind];
  const sent = decodeMessage(message(byte(kind), int32(of.oid), ...old, ...row), 500) as RowMessage;
  return toSentChanges(sent, relation, place).map(inCells) as InCells<Change>[];
}

const place = { commitLsn: 100n, lsn: 90n, ordinal: 4, xid: 7, commitMicros: 5n };
const update = (before: TupleText | null, after: TupleText, beforeIsKeyOnly = false) =>
  toChanges({ kind: 'update', oid: 9, before, beforeIsKeyOnly, after }, relation, place);

describe('changes from row messages', () => {
  test('an insert and a delete', () => {
    const row = ['1', '2', 'x', null];
    expect(toChanges({ kind: 'insert', oid: 9, after: row }, relation, place)).toEqual([
      { relation, op: 'c', before: null, after: row, ...place },
    ]);
    expect(toChanges({ kind: 'delete', oid: 9, before: row, beforeIsKeyOnly: false }, relation, place)).toEqual([
      { relation, op: 'd', before: row, after: null, ...place },
    ]);
  });

  test('an update takes what was not sent from the old row, also when that is null', () => {
    const before = ['1', '2', 'long text', null];
    expect(update(before, ['1', '2', UNCHANGED, 'new'])).toEqual([
      { relation, op: 'u', before, after: ['1', '2', 'long text', 'new'], ...place },
    ]);
    expect(update(['1', '2', null, 'o'], ['1', '2', UNCHANGED, 'n'])[0]!.after).toEqual(['1', '2', null, 'n']);
  });

  test('an update that changes one part of the key is a delete, then a create, each with an ordinal', () => {
    const before = ['1', '2', 'long text', 'o'];
    expect(update(before, ['1', '3', UNCHANGED, 'o'])).toEqual([
      { relation, op: 'd', before, after: null, ...place },
      { relation, op: 'c', before: null, after: ['1', '3', 'long text', 'o'], ...place, ordinal: 5 },
    ]);
    expect(update(before, ['9', '2', 'x', 'o']).map((change) => change.op)).toEqual(['d', 'c']);
  });

  test('an update of another column is one change', () => {
    expect(update(['1', '2', 'x', 'o'], ['1', '2', 'y', 'p']).map((change) => change.op)).toEqual(['u']);
  });

  test('the key-only old row of an identity that is not FULL moves the key, but fills nothing', () => {
    const key = ['1', '2', null, null];
    expect(update(key, ['5', '2', 'x', 'o'], true).map((change) => [change.op, change.ordinal])).toEqual([
      ['d', 4],
      ['c', 5],
    ]);
    expect(() => update(key, ['5', '2', UNCHANGED, 'o'], true)).toThrow(
      /public\.notes: .*"body".*REPLICA IDENTITY FULL/,
    );
  });

  test('a value that was not sent and has no old row is an error with a remedy, never a null', () => {
    expect(() => update(null, ['1', '2', UNCHANGED, 'o'])).toThrow('REPLICA IDENTITY FULL');
    const insert = { kind: 'insert', oid: 9, after: ['1', '2', UNCHANGED, null] } as const;
    expect(() => toChanges(insert, relation, place)).toThrow('an update did not send the value of "body"');
  });

  test('a row of another width is an error', () => {
    expect(() => update(['1', '2', 'x'], ['1', '2', 'x', 'o'])).toThrow('3 cells for 4 columns');
    expect(() => toChanges({ kind: 'insert', oid: 9, after: [] }, relation, place)).toThrow('0 cells for 4 columns');
  });

  test('a table without primary key never splits an update', () => {
    const keyless = { ...relation, key: [] };
    const moved = {
      kind: 'update',
      oid: 9,
      before: ['1', '2', 'x', 'o'],
      beforeIsKeyOnly: false,
      after: ['3', '4', 'x', 'o'],
    } as const;
    expect(toChanges(moved, keyless, place).map((change) => change.op)).toEqual(['u']);
  });
});

describe('cells that are too large to be read', () => {
  const huge = { tooLarge: 1000 };

  test('a new row with one has its key and its size, and nothing else', () => {
    expect(toChanges({ kind: 'insert', oid: 9, after: ['1', '2', huge, null] }, relation, place)).toEqual([
      { relation, op: 'c', before: null, after: ['1', '2', null, null], tooLarge: 1000, ...place },
    ]);
    expect(update(['1', '2', 'x', 'o'], ['1', '2', huge, huge])).toEqual([
      { relation, op: 'u', before: ['1', '2', 'x', 'o'], after: ['1', '2', null, null], tooLarge: 2000, ...place },
    ]);
  });

  test('one that was not sent again is as large as before', () => {
    expect(update(['1', '2', huge, 'o'], ['1', '2', UNCHANGED, 'n'])).toEqual([
      { relation, op: 'u', before: null, after: ['1', '2', null, 'n'], tooLarge: 1000, ...place },
    ]);
  });

  test('an old row with one is left out, and a new row that fits is whole', () => {
    expect(update(['1', '2', huge, 'o'], ['1', '2', 'small', 'o'])).toEqual([
      { relation, op: 'u', before: null, after: ['1', '2', 'small', 'o'], ...place },
    ]);
  });

  test('a delete keeps the key of it, and so does a key that moves', () => {
    const deleted = { relation, op: 'd', before: ['1', '2', null, 'o'], after: null, isKeyOnly: true, ...place };
    const before = ['1', '2', huge, 'o'];
    expect(toChanges({ kind: 'delete', oid: 9, before, beforeIsKeyOnly: false }, relation, place)).toEqual([deleted]);
    expect(update(before, ['1', '3', UNCHANGED, 'o'])).toEqual([
      deleted,
      { relation, op: 'c', before: null, after: ['1', '3', null, 'o'], tooLarge: 1000, ...place, ordinal: 5 },
    ]);
  });
});

test('positions of the key, in key order', () => {
  expect(keyPositions(relation)).toEqual([1, 0]);
  expect(() => keyPositions({ ...relation, key: ['gone'] })).toThrow('"gone" is not published');
});
