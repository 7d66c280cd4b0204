import { describe, expect, test } from 'vitest';
import { judge, type Look, MOST_LOOKS, pauseAfter } from '../../../projectors/verify/settle.ts';

/** A look at a row that nobody has touched, at a quiet moment. */
const look = (of: Partial<Look> = {}): Look => ({
  tuple: '700',
  xmax: '0',
  snapshotXmin: 1000n,
  horizon: 1005n,
  difference: 'notes',
  isTouchable: false,
  isParked: false,
  ...of,
});
const verdict = (before: Look | null, now: Look, alike = 0) => judge(before, now, alike).verdict;

describe('a look', () => {
  test('that finds no difference settles it, whatever was before', () => {
    expect(verdict(null, look({ difference: '' }))).toBe('equal');
    expect(verdict(look(), look({ difference: '', tuple: null, isParked: true }))).toBe('equal');
  });

  test('alone proves no difference', () => {
    expect(verdict(null, look())).toBe('again');
  });

  test('proves one together with the same before it', () => {
    expect(verdict(look(), look())).toBe('different');
  });

  test('proves none where anything has changed since', () => {
    expect(verdict(look(), look({ tuple: '701' }))).toBe('again');
    expect(verdict(look(), look({ tuple: null }))).toBe('again');
    expect(verdict(look({ tuple: null }), look())).toBe('again');
    expect(verdict(look(), look({ difference: 'total' }))).toBe('again');
  });

  test('proves none while a change of the row waits for its cause', () => {
    expect(verdict(look(), look({ isParked: true }))).toBe('again');
  });

  describe('at a tuple that somebody has touched', () => {
    // What stands in xmax may be a subtransaction's, or a set of several transactions: it is no transaction of the snapshot then, although one of them hangs in its commit.
    test.each(['1003', '9', '4000000000'])('proves none while a transaction may hang (xmax %s)', (xmax) => {
      expect(verdict(look(), look({ xmax, snapshotXmin: 1005n }))).toBe('again');
      expect(verdict(look(), look({ xmax, snapshotXmin: 900n }))).toBe('again');
    });

    test('proves one once every transaction of the look before has ended', () => {
      expect(verdict(look(), look({ xmax: '1003', snapshotXmin: 1006n }))).toBe('different');
    });
  });

  describe('without a tuple', () => {
    const absent = (of: Partial<Look> = {}) => look({ tuple: null, snapshotXmin: 1006n, isTouchable: true, ...of });

    test('proves a difference where rows are found that any change would have touched', () => {
      expect(verdict(absent(), absent())).toBe('different');
    });

    test('proves none while a transaction may hang: it may have put the row in', () => {
      expect(verdict(absent(), absent({ snapshotXmin: 1005n }))).toBe('again');
    });

    test('has to be repeated where nothing tells a row that came and went', () => {
      const untouchable = absent({ isTouchable: false });
      let before: Look | null = null;
      let alike = 0;
      const verdicts: string[] = [];
      for (let looks = 0; looks < 9; looks += 1) {
        const judged = judge(before, untouchable, alike);
        verdicts.push(judged.verdict);
        ({ alike } = judged);
        before = untouchable;
      }
      expect(verdicts).toEqual([...Array.from({ length: 8 }, () => 'again'), 'different']);
      // Another difference, and it begins anew; a moment that is not certain only does not count.
      expect(judge(before, absent({ isTouchable: false, difference: 'other' }), 7)).toEqual({
        verdict: 'again',
        alike: 0,
      });
      expect(judge(before, absent({ isTouchable: false, snapshotXmin: 1n }), 7)).toEqual({
        verdict: 'again',
        alike: 7,
      });
      expect(MOST_LOOKS).toBeGreaterThan(10);
    });
  });
});

test('pauses grow, and last half a minute in all', () => {
  const pauses = Array.from({ length: MOST_LOOKS - 1 }, (_, at) => pauseAfter(at + 1));
  expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses);
  expect(pauses[0]).toBeLessThan(100);
  const seconds = pauses.reduce((sum, ms) => sum + ms, 0) / 1000;
  expect(seconds).toBeGreaterThan(20);
  expect(seconds).toBeLessThan(45);
});
