import { expect, test } from 'vitest';
import { toStatusDocument, toStatusLines } from '../../../cli/commands/status.ts';
import type { Position, SignalProgress } from '../../../connectors/position.ts';
import type { PipelineState } from '../../../monitor/pipeline-state.ts';

const signals: SignalProgress = {
  next: '5',
  requests: [
    {
      id: 'r',
      offset: '3',
      table: 'docs',
      state: 'running',
      lastKey: ['secret'],
      rows: 1200,
      total: 5000,
      rowsPerSecond: 50,
    },
    { id: 'p', offset: '4', table: 'docs', state: 'paused', lastKey: null, rows: 0, total: null },
  ],
  finished: [
    { id: 'f', table: 'docs', state: 'failed', rows: 7, reason: 'division by zero' },
    { id: 'd', table: 'docs', state: 'done', rows: 8 },
    { id: 'c', table: 'docs', state: 'cancelled', rows: 9 },
  ],
};

function stateWith(position: Partial<Position>): PipelineState {
  const bound = { systemId: '1', timeline: 1, database: 'd', slot: 's', clusterId: 'c' };
  const whole = { bound, lsn: 1n, sourceMicros: 0n, unseenXids: [], snapshot: {}, offsets: {}, ...position };
  const down = { state: 'down', problem: 'no answer', remedy: 'Start it.' } as const;
  return {
    ...{ legacy: down, target: down, source: null, tables: [], projections: [] },
    kafka: { state: 'up', position: whole, deadLetters: 0 },
  };
}

test('snapshots that are not over, or failed, are told with how far they are, and without keys of rows', () => {
  const state = stateWith({ signals });
  const document = toStatusDocument(state, [], 'healthy');
  expect(document.connector.snapshots.map(({ id, state: is, rows }) => [id, is, rows])).toEqual([
    ['f', 'failed', 7],
    ['r', 'running', 1200],
    ['p', 'paused', 0],
  ]);
  expect(JSON.stringify(document)).not.toContain('secret');
  const lines = toStatusLines(state, { slot: 's' }, [], 'healthy');
  const from = lines.indexOf('Ad-hoc snapshots');
  expect(lines.slice(from + 1, from + 6).map((line) => line.replaceAll(/ +/g, ' ').trim())).toEqual([
    'id table state rows of about rows/s left',
    'f docs failed 7 division by zero',
    'r docs running 1,200 5,000 50 1 m 16 s',
    'p docs paused 0',
    '',
  ]);
});

test('the initial load is told with its rate, the time it has left, and whether it is paused', () => {
  const table = { table: 'docs', rows: 1200, done: false, estimatedRows: 5000 };
  const tables = [
    { ...table, rowsPerSecond: 50, secondsLeft: 76 },
    { ...table, table: 'pairs', rows: 9, done: true },
  ];
  const linesOf = (state: PipelineState) => {
    const lines = toStatusLines(state, { slot: 's' }, [], 'healthy').map((line) => line.replaceAll(/ +/g, ' ').trim());
    return lines.slice(lines.indexOf('Initial load') + 1).slice(0, 2);
  };
  const running = { ...stateWith({}), tables };
  expect(linesOf(running)).toEqual(['docs 1,200 24 % of about 5,000, 50 rows/s, 1 m 16 s left', 'pairs 9 done']);
  const paused = { ...stateWith({ signals: { ...signals, isLoadPaused: true } }), tables: [table, tables[1]!] };
  expect(linesOf(paused)).toEqual(['docs 1,200 24 % of about 5,000, paused', 'pairs 9 done']);
  expect(toStatusDocument(running, [], 'healthy').connector).toMatchObject({
    initialLoad: tables,
    initialLoadPaused: false,
  });
  expect(toStatusDocument(paused, [], 'healthy').connector.initialLoadPaused).toBe(true);
});

test('where there are none, nothing is said of them', () => {
  const done = { ...signals, requests: [], finished: signals.finished.slice(1) };
  for (const position of [{}, { signals: done }])
    expect(toStatusLines(stateWith(position), { slot: 's' }, [], 'healthy')).not.toContain('Ad-hoc snapshots');
});
