import { beforeEach, describe, expect, test } from 'vitest';
import type { Relation } from '../../../../changes/change.ts';
import type { SignalProgress, TableProgress } from '../../../../connectors/position.ts';
import type { Signal } from '../../../../connectors/snapshot/signal.ts';
import { createWorkList, type WorkList } from '../../../../connectors/snapshot/work.ts';

const relations: Relation[] = ['a', 'b'].map((table, at) => ({
  oid: at + 1,
  schema: 'public',
  table,
  columns: [{ name: 'id', typeOid: 23, typeName: 'integer', typeModifier: -1 }],
  key: ['id'],
}));
const loaded: Record<string, TableProgress> = {
  a: { done: true, lastKey: ['9'], rows: 9 },
  b: { done: true, lastKey: null, rows: 0 },
};
const idOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
const ask = (number: number, table = 'a'): Signal => ({
  ...{ v: 1, id: idOf(number), kind: 'snapshot', table, where: null, keys: null },
  ...{ repair: false, hints: null, by: '', at: '' },
});
const say = (number: number, kind: 'pause' | 'resume' | 'cancel'): Signal => ({ v: 1, id: idOf(number), kind });

let work: WorkList;
let signals: Signal[];
const create = (progress: Record<string, TableProgress>, state?: SignalProgress) =>
  createWorkList({ relations, progress, signals: state });
const take = (signal: Signal) => work.take(BigInt(signals.push(signal) - 1), { is: 'signal', signal });
const nextId = () => work.next()?.request?.id ?? null;
const states = () => work.state().signals.requests.map(({ id, state }) => [Number(id.slice(-3)), state]);
const over = () => work.state().signals.finished.map(({ id, state }) => [Number(id.slice(-3)), state]);

/** The same list in a session that begins with what this one stored, before and after its signals are read again. */
function restart(): void {
  work = create(work.state().snapshot, JSON.parse(JSON.stringify(work.state().signals)) as SignalProgress);
}
function readAgain(): void {
  const from = work.signalsFrom(BigInt(signals.length));
  for (const [offset, signal] of signals.entries())
    if (BigInt(offset) >= from) expect(work.take(BigInt(offset), { is: 'signal', signal })).toBeNull();
  work.caughtUp();
}

beforeEach(() => {
  work = create(loaded);
  signals = [];
});

test('tables come first, in their order, and requests after them', () => {
  work = create({ b: { done: false, lastKey: ['3'], rows: 3 } });
  take(ask(1, 'b'));
  work.caughtUp();
  const first = work.next()!;
  expect(first).toMatchObject({ relation: { table: 'a' }, request: null });
  expect(work.reached(first)).toEqual({ lastKey: null, rows: 0 });
  work.advance(first, ['5'], 5, false);
  expect(work.next()).toBe(first);
  work.advance(first, ['5'], 0, true);
  const second = work.next()!;
  expect([second.relation.table, work.reached(second)]).toEqual(['b', { lastKey: ['3'], rows: 3 }]);
  work.advance(second, ['8'], 5, true);
  expect(work.state().snapshot).toEqual({
    a: { done: true, lastKey: ['5'], rows: 5 },
    b: { done: true, lastKey: ['8'], rows: 8 },
  });
  expect([nextId(), work.isIdle()]).toEqual([idOf(1), false]);
});

test('a position is a value: what happens later does not change it', () => {
  take(ask(1));
  work.caughtUp();
  const before = work.state();
  const copy = structuredClone(before);
  work.begin(work.next()!, 7);
  work.advance(work.next()!, ['1'], 1, true);
  expect(before).toEqual(copy);
});

test('nothing that was asked for begins before all is known of what was said of it', () => {
  take(ask(1));
  expect([nextId(), work.isIdle()]).toEqual([null, false]);
  take(say(1, 'cancel'));
  work.caughtUp();
  expect([nextId(), work.isIdle(), over()]).toEqual([null, true, [[1, 'cancelled']]]);
});

test('the initial load rests and goes on when somebody says so, in later sessions too; what is asked for is read meanwhile', () => {
  const sayLoad = (number: number, kind: 'pause-load' | 'resume-load'): Signal => ({ v: 1, id: idOf(number), kind });
  work = create({ ...loaded, b: { done: false, lastKey: ['3'], rows: 3 } });
  take(ask(1));
  work.caughtUp();
  expect(work.next()).toMatchObject({ relation: { table: 'b' }, request: null });
  expect(take(sayLoad(2, 'pause-load'))).toEqual({ problem: null, id: idOf(2), kind: 'pause-load' });
  expect([nextId(), work.state().signals.isLoadPaused]).toEqual([idOf(1), true]);
  work.advance(work.next()!, ['1'], 1, true);
  expect([work.next(), work.isIdle()]).toEqual([null, true]);
  restart();
  readAgain();
  expect([work.next(), work.isIdle()]).toEqual([null, true]);
  take(sayLoad(3, 'resume-load'));
  expect(work.reached(work.next()!)).toEqual({ lastKey: ['3'], rows: 3 });
  expect(work.state().signals).not.toHaveProperty('isLoadPaused');
});

test('a rate is that of what is read: none is left of what rests, or is over', () => {
  take(ask(1));
  work.caughtUp();
  work.begin(work.next()!, 10);
  work.advance(work.next()!, ['4'], 4, false, 50);
  expect(work.state().signals.requests[0]).toMatchObject({ rows: 4, rowsPerSecond: 50 });
  take(say(1, 'pause'));
  expect(work.state().signals.requests[0]).not.toHaveProperty('rowsPerSecond');
  work = create({ ...loaded, b: { done: false, lastKey: null, rows: 0 } });
  work.advance(work.next()!, ['4'], 4, false, 50);
  expect(work.state().snapshot.b).toEqual({ done: false, lastKey: ['4'], rows: 4, rowsPerSecond: 50 });
  work.advance(work.next()!, ['5'], 1, true, 50);
  expect(work.state().snapshot.b).toEqual({ done: true, lastKey: ['5'], rows: 5 });
});

describe('requests', () => {
  beforeEach(() => {
    for (const number of [1, 2, 3]) take(ask(number));
    work.caughtUp();
  });

  test('are read one after another; one that is resumed waits for the one at hand', () => {
    work.begin(work.next()!, 10);
    take(say(1, 'pause'));
    expect(nextId()).toBe(idOf(2));
    work.begin(work.next()!, 10);
    take(say(1, 'resume'));
    expect([nextId(), states()]).toEqual([
      idOf(2),
      [
        [1, 'waiting'],
        [2, 'running'],
        [3, 'waiting'],
      ],
    ]);
    work.advance(work.next()!, ['1'], 1, true);
    expect([nextId(), over()]).toEqual([idOf(1), [[2, 'done']]]);
    expect(work.state().signals.finished).toEqual([{ id: idOf(2), table: 'a', state: 'done', rows: 1 }]);
  });

  test('go on in the next session where they were', () => {
    work.begin(work.next()!, 10);
    work.advance(work.next()!, ['4'], 4, false);
    take(say(2, 'pause'));
    restart();
    expect([nextId(), work.isIdle()]).toEqual([null, false]);
    readAgain();
    expect([nextId(), states()]).toEqual([
      idOf(1),
      [
        [1, 'running'],
        [2, 'paused'],
        [3, 'waiting'],
      ],
    ]);
    expect(work.reached(work.next()!)).toEqual({ lastKey: ['4'], rows: 4 });
    work.advance(work.next()!, ['4'], 0, true);
    expect(nextId()).toBe(idOf(3));
    take(say(3, 'cancel'));
    expect([nextId(), work.isIdle()]).toEqual([null, true]);
  });

  test('whose signal is gone fail', () => {
    restart();
    work.caughtUp();
    expect(work.state().signals.finished[0]).toEqual({
      ...{ id: idOf(1), table: 'a', state: 'failed', rows: 0 },
      reason: 'its signal is no longer in the topic',
    });
    expect(over()).toHaveLength(3);
  });

  test('end with the topic that they came from: another one of its name is read from its beginning', () => {
    restart();
    expect(work.signalsFrom(1n)).toBe(0n);
    expect(over()).toHaveLength(3);
    signals = [];
    take(ask(9));
    work.caughtUp();
    expect(nextId()).toBe(idOf(9));
  });

  test('of a table that is no longer captured fail', () => {
    take(ask(4, 'b'));
    work = createWorkList({ relations: relations.slice(0, 1), progress: loaded, signals: work.state().signals });
    readAgain();
    expect(work.state().signals.finished).toEqual([
      { id: idOf(4), table: 'b', state: 'failed', rows: 0, reason: 'table b is not captured' },
    ]);
  });

  test('are paused, resumed and cancelled by their id alone', () => {
    const said = [
      say(7, 'pause'),
      say(1, 'resume'),
      say(2, 'pause'),
      say(2, 'pause'),
      say(2, 'resume'),
      say(3, 'cancel'),
      say(3, 'resume'),
    ];
    expect(said.map((signal) => take(signal)?.problem)).toEqual([
      'no such snapshot waits or runs',
      null,
      null,
      null,
      null,
      null,
      'no such snapshot waits or runs',
    ]);
    expect([states(), over()]).toEqual([
      [
        [1, 'waiting'],
        [2, 'waiting'],
      ],
      [[3, 'cancelled']],
    ]);
  });

  test('are known by their id: one that comes twice is taken once', () => {
    expect(take(ask(1))?.problem).toBe('its id is known already');
    work.advance(work.next()!, null, 0, true);
    expect(take(ask(1))?.problem).toBe('its id is known already');
    expect(states()).toEqual([
      [2, 'waiting'],
      [3, 'waiting'],
    ]);
  });

  test('that fail are over; those that were cancelled meanwhile are not over twice', () => {
    const first = work.next()!;
    work.fail(first, 'a reason');
    const second = work.next()!;
    take(say(2, 'cancel'));
    work.fail(second, 'a reason');
    expect(over()).toEqual([
      [1, 'failed'],
      [2, 'cancelled'],
    ]);
  });
});

test('a reason is kept as far as a position has room for it', () => {
  take(ask(1));
  work.caughtUp();
  work.fail(work.next()!, 'y'.repeat(1_000_000));
  expect(work.state().signals.finished[0]!.reason).toBe('y'.repeat(300));
});

test('a position holds so many that wait, and so many that are over', () => {
  for (let number = 0; number < 130; number++) take(ask(number));
  work.caughtUp();
  expect(states()).toHaveLength(100);
  expect(over()).toHaveLength(20);
  expect(work.state().signals.finished.at(-1)?.reason).toBe('100 snapshots wait already');
  for (let at = 0; at < 100; at++) work.advance(work.next()!, null, 0, true);
  expect(over().at(-1)).toEqual([99, 'done']);
  expect([over().length, work.isIdle()]).toEqual([20, true]);
});
