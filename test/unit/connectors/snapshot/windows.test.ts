// Chunks read ahead by several connections, beside a stream of changes: whatever the order in which readers, writers and the stream get on, no older version of a row comes after a newer one.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Chunk } from '../../../../connectors/snapshot/chunks.ts';
import { isVisible, parseSnapshot } from '../../../../connectors/snapshot/visibility.ts';
import { createWindows, type Window, type Windows } from '../../../../connectors/snapshot/windows.ts';

const toKey = (text: string | undefined) => (text === undefined ? -1 : Number(text));
const LARGE = 'x'.repeat(100);

interface Version {
  readonly version: number;
  readonly isDeleted: boolean;
}
type Entry =
  | { readonly marker: string; readonly snapshot: string }
  | { readonly key: number; readonly xid: bigint; readonly to: Version };

/** A table, its log, a connector with `readers` connections, and what becomes of it all; each step is one thing that happens. */
function createWorld(readers: number, keys: number, chunkRows: number) {
  const table = new Map<number, Version>(
    Array.from({ length: keys }, (_, at) => [2 * at, { version: 1, isDeleted: false }]),
  );
  const wal: Entry[] = [];
  /** Committed, and not visible yet. */
  let hanging: { key: number; xid: bigint; to: Version }[] = [];
  let nextXid = 10n;
  let nextToken = 0;
  let streamed = 0;
  let unseen = new Set<bigint>();
  let windows: Windows | null = null;
  let reached: readonly string[] | null = null;
  let isOver = false;
  const log: { key: number; version: number; isRead: boolean; isDeleted: boolean }[] = [];
  const doubts: string[] = [];
  /** What each connection is about to do. */
  const work: (() => void)[] = [];

  const toSnapshot = () => {
    const xips = hanging.map(({ xid }) => xid);
    return `${xips[0] ?? nextXid}:${nextXid}:${xips.join(',')}`;
  };
  const rowsBetween = (after: number, upTo: number) =>
    [...table].filter(([key, { isDeleted }]) => key > after && key <= upTo && !isDeleted).sort(([a], [b]) => a - b);
  const send = (token: string) => wal.push({ marker: token, snapshot: toSnapshot() });

  function begin(): void {
    const marker = `m${nextToken++}`;
    const mine = createWindows({ after: reached, marker, most: readers + 1, mostBytes: 1000 });
    windows = mine;
    send(marker);
    for (let at = 0; at < readers; at++) work[at] = () => read(at, mine);
  }

  /** One connection: each step is a statement of it, or its answer. */
  function read(at: number, mine: Windows): void {
    const next = mine.next();
    if (next === null || windows !== mine) return;
    const take = (window: Window) => {
      mine.take(window);
      mine.begin(window);
      work[at] = () => {
        const limit = window.found === null ? chunkRows : window.found.rows + 1;
        const all = rowsBetween(toKey(window.after?.[0]), window.upTo === null ? Infinity : toKey(window.upTo[0]));
        const rows = all.slice(0, limit).map(([key, { version }]) => [String(key), String(version), LARGE]);
        const chunk: Chunk = {
          ...{ rows, tooLarge: [], missing: [], snapshot: rows.length === 0 ? null : toSnapshot() },
          ...{ lastKey: rows.length === 0 ? null : [rows.at(-1)![0]!], isLast: rows.length < limit },
        };
        const high = `m${nextToken++}`;
        work[at] = () => {
          if (windows !== mine) return begun(at, mine);
          mine.read(window, chunk, high);
          send(high);
          work[at] = () => {
            mine.sent(high);
            begun(at, mine);
          };
        };
      };
    };
    if (next !== 'look') {
      take(next);
      return;
    }
    const after = mine.look();
    work[at] = () => {
      const found = rowsBetween(toKey(after?.[0]), Infinity)[chunkRows - 1];
      work[at] = () =>
        take(
          mine.add(
            found === undefined ? null : { upTo: [String(found[0])], found: { rows: chunkRows, hasNoLarge: true } },
          ),
        );
    };
  }
  const begun = (at: number, mine: Windows) => {
    work[at] = () => read(at, windows ?? mine);
  };

  function stream(): void {
    const entry = wal[streamed];
    if (entry === undefined) return;
    streamed += 1;
    if ('key' in entry) {
      const { key, xid, to } = entry;
      log.push({ key, ...to, isRead: false });
      windows?.touch(String(key));
      unseen.add(xid);
      return;
    }
    const carried = parseSnapshot(entry.snapshot);
    unseen = new Set([...unseen].filter((xid) => !isVisible(xid, carried)));
    const found = windows?.pass(entry.marker, [...unseen]) ?? null;
    if (found === null) return;
    for (const passed of found.passed) {
      for (const [key, version] of passed.chunk.rows)
        if (!passed.isTouched(key!))
          log.push({ key: Number(key), version: Number(version), isRead: true, isDeleted: false });
      reached = passed.reached;
      isOver = passed.isLast;
    }
    if (isOver) windows = null;
    else if (found.doubt !== null) {
      doubts.push(found.doubt);
      begin();
    }
  }

  /** A row is changed, inserted or deleted; `isSlow`: it is in the log before others see it. */
  function write(key: number, isDelete: boolean, isSlow: boolean): void {
    // A row is locked until its change is visible.
    if (hanging.some((one) => one.key === key)) return;
    const before = table.get(key);
    if (isDelete && (before === undefined || before.isDeleted)) return;
    const change = { key, xid: nextXid++, to: { version: (before?.version ?? 0) + 1, isDeleted: isDelete } };
    wal.push(change);
    if (isSlow) hanging.push(change);
    else table.set(key, change.to);
  }

  function settle(): void {
    for (const { key, to } of hanging) table.set(key, to);
    hanging = [];
  }

  begin();
  return {
    doubts,
    write,
    settle,
    stream,
    read: (at: number) => work[at % readers]!(),
    finish(): void {
      settle();
      for (let rounds = 0; !isOver && rounds < 10_000; rounds++) {
        for (let at = 0; at < readers; at++) work[at]!();
        stream();
      }
      while (streamed < wal.length) stream();
    },
    check(): void {
      expect(isOver).toBe(true);
      const last = new Map<number, { version: number; isDeleted: boolean }>();
      const reads = new Map<number, number>();
      for (const { key, version, isRead, isDeleted } of log) {
        expect(version, `row ${key}: an older version behind a newer one`).toBeGreaterThanOrEqual(
          last.get(key)?.version ?? 0,
        );
        last.set(key, { version, isDeleted });
        if (isRead) reads.set(key, (reads.get(key) ?? 0) + 1);
      }
      expect(new Map([...last].sort(([a], [b]) => a - b))).toEqual(new Map([...table].sort(([a], [b]) => a - b)));
      expect([...reads.values()].every((count) => count === 1)).toBe(true);
    },
  };
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), at: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('stream' as const), at: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ kind: fc.constant('write' as const), key: fc.nat(60), isDelete: fc.boolean(), isSlow: fc.boolean() },
    }),
  },
);

test.each([1, 2, 4])(
  'with %i connections every row is there, once, and no older version comes behind a newer one',
  (readers) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const world = createWorld(readers, 25, 4);
        for (const one of steps) {
          if (one.kind === 'read') world.read(one.at);
          else if (one.kind === 'stream') world.stream();
          else if (one.kind === 'settle') world.settle();
          else world.write(one.key, one.isDelete, one.isSlow);
        }
        world.finish();
        world.check();
      }),
      { numRuns: 300 },
    );
  },
);

test('without writers no chunk is read twice, in whatever order answers and markers come', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const world = createWorld(4, 25, 4);
      for (const one of steps) {
        if (one.kind === 'read') world.read(one.at);
        else world.stream();
      }
      world.finish();
      world.check();
      expect(world.doubts).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

const chunkOf = (rows: number, isLast: boolean, text = 'x'): Chunk => ({
  ...{ rows: Array.from({ length: rows }, (_, at) => [String(at), text]), tooLarge: [], missing: [] },
  ...{ snapshot: '5:5:', lastKey: rows === 0 ? null : [String(rows - 1)], isLast },
});
const range = (upTo: number) => ({ upTo: [String(upTo)], found: { rows: 10, hasNoLarge: true } });

/** Looks for a range, and begins to read it. */
function open(windows: Windows, upTo: number | null): Window {
  expect(windows.next()).toBe('look');
  windows.look();
  const window = windows.add(upTo === null ? null : range(upTo));
  windows.take(window);
  windows.begin(window);
  return window;
}

test('a chunk that is read before the one ahead of it waits for it, and forgets nothing meanwhile', () => {
  const windows = createWindows({ after: null, marker: 'low', most: 3 });
  const first = open(windows, 10);
  const second = open(windows, 20);
  windows.pass('low', []);
  windows.read(second, chunkOf(3, true), 'second');
  expect(windows.pass('second', [])).toEqual({ passed: [], doubt: null });
  windows.sent('second');
  windows.touch('1');
  windows.read(first, chunkOf(3, true), 'first');
  const { passed } = windows.pass('first', [])!;
  expect(passed.map(({ reached, isLast }) => [reached, isLast])).toEqual([
    [['10'], false],
    [['20'], false],
  ]);
  // Also of the second one, whose own window was over.
  expect(passed.map(({ isTouched }) => ['0', '1'].map(isTouched))).toEqual([
    [false, true],
    [false, true],
  ]);
});

test('a late answer about a marker does not bring back one that is forgotten', () => {
  const windows = createWindows({ after: null, marker: 'low', most: 5 });
  const first = open(windows, 10);
  const second = open(windows, 20);
  windows.read(first, chunkOf(3, true), 'first');
  windows.read(second, chunkOf(3, true), 'second');
  windows.sent('second');
  for (const token of ['low', 'first', 'second']) windows.pass(token, []);
  // The stream was faster than the answer.
  windows.sent('first');
  const third = open(windows, 30);
  windows.read(third, chunkOf(3, true), 'third');
  expect(windows.pass('third', [])).toMatchObject({ passed: [{ reached: ['30'] }], doubt: null });
});

test('what is read and not written is bounded in bytes, but for the chunk that the others wait for', () => {
  const windows = createWindows({ after: null, marker: 'low', most: 10, mostBytes: 1000 });
  const first = open(windows, 10);
  const second = open(windows, 20);
  windows.read(second, chunkOf(3, true, 'x'.repeat(500)), 'second');
  expect(windows.next()).toBeNull();
  // Rows have come into the range since it was looked for.
  windows.read(first, chunkOf(3, false, 'x'.repeat(500)), 'first');
  windows.pass('low', []);
  expect(windows.next()).toBeNull();
  expect(windows.pass('first', [])!.passed).toHaveLength(1);
  const rest = windows.next();
  expect(rest).toMatchObject({ after: ['2'], upTo: ['10'], found: null });
});

test('more changes than are kept make the chunks void that they may be about', () => {
  const windows = createWindows({ after: null, marker: 'low', most: 3 });
  const first = open(windows, 10);
  windows.pass('low', []);
  windows.read(first, chunkOf(3, true), 'first');
  for (let at = 0; at <= 20_000; at++) windows.touch(`other ${at}`);
  expect(windows.pass('first', [])).toMatchObject({ passed: [], doubt: expect.stringContaining('more was changed') });
});

test('markers of others are none', () => {
  const windows = createWindows({ after: null, marker: 'low', most: 3 });
  expect(windows.pass('of another session', [])).toBeNull();
  expect(windows.pass('low', [])).not.toBeNull();
  expect(windows.pass('low', [])).toBeNull();
});
