import { describe, expect, it } from 'vitest';
import { createProgress, toProgressLine, toRate } from '../../../cli/progress.ts';
import { toBytesText, toCountText, toDurationText, toTableLines } from '../../../cli/quantity-text.ts';

describe('toProgressLine', () => {
  const state = { label: 'rows', done: 0, total: 1000, ratePerSecond: 0, elapsedSeconds: 4, isOver: false };
  const cases: [string, Partial<typeof state>, number, string][] = [
    ['begins', {}, 10, 'rows  [░░░░░░░░░░]    0 %  0 of 1,000  0/s'],
    ['under way', { done: 250, ratePerSecond: 50 }, 8, 'rows  [██░░░░░░]   25 %  250 of 1,000  50/s  15 s left'],
    ['a plain line', { done: 250, ratePerSecond: 50 }, 0, 'rows   25 %  250 of 1,000  50/s  15 s left'],
    ['nearly all', { done: 999, ratePerSecond: 50 }, 0, 'rows   99 %  999 of 1,000  50/s  0.0 s left'],
    ['more than expected', { done: 1200, ratePerSecond: 9 }, 4, 'rows  [████]  100 %  1,200 of 1,000  9/s'],
    ['over', { done: 1000, ratePerSecond: 250, isOver: true }, 0, 'rows  100 %  1,000 of 1,000  250/s  in 4.0 s'],
    ['unknown total', { done: 1234, total: 0, ratePerSecond: 10 }, 10, 'rows  1,234  10/s'],
  ];
  it.each(cases)('%s', (_, changes, width, expected) => {
    expect(toProgressLine({ ...state, ...changes }, width)).toBe(expected);
  });
});

describe('toRate', () => {
  it('is that of the last ten seconds', () => {
    expect(toRate([])).toBe(0);
    expect(toRate([{ atMs: 0, done: 5 }])).toBe(0);
    expect(
      toRate([
        { atMs: 0, done: 0 },
        { atMs: 2000, done: 100 },
      ]),
    ).toBe(50);
    const slower = [
      { atMs: 0, done: 0 },
      { atMs: 5000, done: 5000 },
      { atMs: 15_000, done: 5100 },
    ];
    expect(toRate(slower)).toBe(10);
  });
});

describe('createProgress', () => {
  function watch(isTerminal: boolean, columns = 100) {
    let text = '';
    const clock = { atMs: 0 };
    const write = (more: string) => {
      text += more;
    };
    const progress = createProgress({ label: 'rows', total: 100, isTerminal, write, columns, nowMs: () => clock.atMs });
    return { progress, clock, text: () => text };
  }

  it('redraws one line of a terminal, at most ten times a second', () => {
    const { progress, clock, text } = watch(true);
    for (; clock.atMs < 1000; clock.atMs += 10) progress.update(clock.atMs / 10);
    expect(text().split('\r')).toHaveLength(11);
    expect(text()).not.toContain('\n');
    progress.close();
    progress.close();
    progress.update(100);
    expect(text().split('\n')).toHaveLength(2);
    expect(text().endsWith(' 99 of 100  99/s  in 1.0 s\u001b[K\n')).toBe(true);
  });

  it('leaves the bar out of a narrow terminal', () => {
    const { progress, text } = watch(true, 20);
    progress.update(50);
    expect(text()).toBe('\rrows   50 %  50 of \u001b[K');
  });

  it('prints a plain line every two seconds, and the last', () => {
    const { progress, clock, text } = watch(false);
    for (; clock.atMs <= 5000; clock.atMs += 100) progress.update(clock.atMs / 100);
    progress.close();
    const lines = text().trimEnd().split('\n');
    expect(lines.map((line) => line.split('  ')[2])).toEqual(['20 of 100', '40 of 100', '50 of 100']);
    for (const control of ['\r', '\u001b']) expect(text()).not.toContain(control);
  });
});

describe('quantities', () => {
  it.each([
    [0n, '0 B'],
    [999n, '999 B'],
    [1000n, '1.0 kB'],
    [999_999n, '1.0 MB'],
    [3_400_000n, '3.4 MB'],
    [5_000_000_000_000_000n, '5000.0 TB'],
  ])('%s bytes', (bytes, text) => expect(toBytesText(bytes)).toBe(text));
  it.each([
    [-1, '0.0 s'],
    [0.44, '0.4 s'],
    [9.96, '10 s'],
    [59.6, '1 m 00 s'],
    [185, '3 m 05 s'],
    [7800, '2 h 10 m'],
    [Number.POSITIVE_INFINITY, '?'],
  ])('%s seconds', (seconds, text) => expect(toDurationText(seconds)).toBe(text));
  it.each([
    [0, '0'],
    [999, '999'],
    [1234567, '1,234,567'],
    [1000n, '1,000'],
  ])('%s counted', (count, text) => expect(toCountText(count)).toBe(text));
  it('aligns columns', () => {
    expect(
      toTableLines(
        [
          ['a', '1'],
          ['bcd', '22', 'x'],
        ],
        [1],
      ),
    ).toEqual(['a     1', 'bcd  22  x']);
  });
});
