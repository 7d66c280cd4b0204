import { describe, expect, test } from 'vitest';
import { parseLsn } from '../../../changes/lsn.ts';
import {
  assertBound,
  type Binding,
  decodePosition,
  encodePosition,
  type Position,
} from '../../../connectors/position.ts';
import { createResentCheck } from '../../../connectors/resent.ts';
import { parseTimelineHistory } from '../../../connectors/timeline.ts';

const bound: Binding = { systemId: '7', timeline: 1, history: [], database: 'legacy', slot: 's', clusterId: 'k' };
const position = (lsn: string, binding: Partial<Binding> = {}): Position => ({
  bound: { ...bound, ...binding },
  lsn: parseLsn(lsn),
  sourceMicros: 1n,
  unseenXids: [],
  snapshot: {},
  offsets: {},
});
const check =
  (stored: Position, actual: Partial<Binding>, confirmed = '0/10', walEnd = 'FF/0') =>
  () =>
    assertBound(stored, { ...bound, ...actual }, { confirmedLsn: parseLsn(confirmed), walEnd: parseLsn(walEnd) });

const left = (timeline: number, lsn: string) => ({ timeline, lsn });

describe('a stored position', () => {
  test.each([
    ['the same server', position('0/20'), {}],
    ['promoted exactly at the position', position('0/20'), { timeline: 2, history: [left(1, '0/20')] }],
    ['promoted after it', position('0/20'), { timeline: 2, history: [left(1, '0/21')] }],
    [
      'promoted twice after it',
      position('0/20', { timeline: 2, history: [left(1, '0/9')] }),
      { timeline: 4, history: [left(1, '0/9'), left(2, '0/30'), left(3, '0/40')] },
    ],
    [
      'a position of before, without history',
      position('0/20', { history: undefined }),
      { timeline: 2, history: [left(1, '0/30')] },
    ],
    [
      'a server that lost its history, on the same timeline',
      position('0/20', { timeline: 3, history: [left(1, '0/9')] }),
      { timeline: 3, history: undefined },
    ],
  ])('holds: %s', (_, stored, actual) => {
    expect(check(stored, actual)).not.toThrow();
  });

  test.each([
    [
      'promoted before it',
      position('0/20'),
      { timeline: 2, history: [left(1, '0/1F')] },
      /0\/20 on timeline 1 lies past 0\/1F, where timeline 2 left it/,
    ],
    // As numbers, not as texts.
    [
      'promoted before it, in another file',
      position('10/0'),
      { timeline: 2, history: [left(1, '9/FF')] },
      /lies past 9\/FF/,
    ],
    [
      'the old primary',
      position('0/20', { timeline: 2, history: [left(1, '0/9')] }),
      {},
      /timeline 1 did not come from it/,
    ],
    [
      'not an ancestor',
      position('0/20', { timeline: 2 }),
      { timeline: 3, history: [left(1, '0/30')] },
      /timeline 3 did not come from it/,
    ],
    ['history lost', position('0/20'), { timeline: 2, history: undefined }, /timeline 2 did not come from it/],
    [
      'two standbys that were promoted, each to timeline 2',
      position('0/20', { timeline: 2, history: [left(1, '0/11')] }),
      { timeline: 2, history: [left(1, '0/12')] },
      /came from other ones \(1 up to 0\/11\) than this server's \(1 up to 0\/12\)/,
    ],
    [
      'the same, and promoted once more',
      position('0/20', { timeline: 2, history: [left(1, '0/11')] }),
      { timeline: 3, history: [left(1, '0/12'), left(2, '0/40')] },
      /came from other ones/,
    ],
  ])('does not hold: %s', (_, stored, actual, expected) => {
    expect(check(stored, actual)).toThrow(expected);
    expect(check(stored, actual)).toThrow(expect.objectContaining({ code: 'position_mismatch' }));
  });

  test('must lie between what the slot is confirmed up to and the end of the server’s log', () => {
    expect(check(position('0/20'), {}, '0/20', '0/20')).not.toThrow();
    expect(check(position('0/20'), {}, '0/21')).toThrow(/confirmed up to 0\/21, past the stored position 0\/20/);
    expect(check(position('0/20'), {}, '0/10', '0/1F')).toThrow(/log ends at 0\/1F, before the stored position 0\/20/);
  });

  test('keeps its history, and one without it is read', () => {
    const stored = { ...position('0/20', { timeline: 2, history: [left(1, '0/11')] }), last: '8:2' };
    expect(decodePosition(encodePosition(stored))).toEqual(stored);
    const { history: _, ...before } = bound;
    const old = { ...position('0/20'), bound: before };
    expect(decodePosition(encodePosition(old))).toEqual(old);
    expect(check(decodePosition(encodePosition(old)), {})).not.toThrow();
  });
});

test('a timeline history file', () => {
  const file = '1\t0/3000110\tno recovery target specified\n\n# a comment\n2\tA/B0\tbefore 2026-01-01 00:00:00+00\n';
  expect(parseTimelineHistory(file)).toEqual([left(1, '0/3000110'), left(2, 'A/B0')]);
  expect(() => parseTimelineHistory('x\t0/1\n')).toThrow(/not a timeline history/);
});

describe('what the server sends again', () => {
  const check = (ids: readonly string[], last: string | undefined) => () => {
    const { last: _, ...stored } = position('0/20');
    const resent = createResentCheck({ ...stored, ...(last === undefined ? {} : { last }) });
    for (const id of ids) resent.pass(id);
    resent.settle();
  };

  test('ends with the transaction that the position was reached with', () => {
    expect(check(['7:1', '8:2'], '8:2')).not.toThrow();
    expect(check(['7:1', '8:2'], '9:3')).toThrow(/Transaction 8:2 .* 0\/20, .* 9:3/);
    expect(check(['8:3'], '8:2')).toThrow(expect.objectContaining({ code: 'position_mismatch' }));
  });

  test('may be nothing, or belong to a position of before', () => {
    expect(check([], '8:2')).not.toThrow();
    expect(check(['7:1'], undefined)).not.toThrow();
  });
});
