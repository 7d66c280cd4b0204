import { expect, test } from 'vitest';
import { createPace, createRateMeter } from '../../../../connectors/snapshot/pace.ts';

test('without a rate nothing waits, and chunks are as large as they are', () => {
  const pace = createPace(0);
  expect([pace.limit(1000), pace.ask(1000, 0), pace.ask(1000, 0)]).toEqual([1000, 0, 0]);
});

test('several that ask at once wait for one another, and what was not read is given back', () => {
  const pace = createPace(100);
  expect([pace.ask(100, 0), pace.ask(100, 0), pace.ask(100, 500)]).toEqual([0, 1000, 1500]);
  pace.giveBack(50);
  expect(pace.ask(1, 500)).toBe(2000);
  // A pause saves nothing up.
  expect([pace.ask(100, 60_000), pace.ask(100, 60_000)]).toEqual([0, 1000]);
});

test('a chunk is what a second allows at most, and a row at least', () => {
  expect([30, 1, 5000].map((rate) => createPace(rate).limit(1000))).toEqual([30, 1, 1000]);
});

test('never more rows than the rate allows since the first, and a chunk', () => {
  const pace = createPace(50);
  let nowMs = 0;
  let asked = 0;
  for (let chunk = 0; chunk < 40; chunk++) {
    nowMs += pace.ask(50, nowMs);
    asked += 50;
    expect(asked).toBeLessThanOrEqual((nowMs * 50) / 1000 + 50);
    nowMs += chunk % 3 === 0 ? 700 : 10;
  }
});

test('the rate is that of the last ten seconds', () => {
  const meter = createRateMeter();
  expect([
    meter.add(0, 0),
    meter.add(50, 500),
    meter.add(100, 1000),
    meter.add(300, 2000),
    meter.add(300, 11_000),
  ]).toEqual([0, 0, 100, 150, 20]);
});
